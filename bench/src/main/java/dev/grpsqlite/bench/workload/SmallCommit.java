package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.baseline.Echo;
import dev.grpsqlite.bench.baseline.LogSync;
import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.report.Series;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** One writer that changes one row, again and again. */
final class SmallCommit implements Workload {
  static final String DISK = "append and sync";
  private static final int ROWS = 1000;
  private static final int COMMITS_TO_SIZE = 50;

  @Override
  public String name() {
    return "commit";
  }

  @Override
  public String about() {
    return "An operation is `UPDATE t SET n = n + 1 WHERE id = ?` in a transaction of its own, on a table"
        + " of 1,000 rows. The echo sends and receives as many bytes as such a commit does;"
        + " \"append and sync\" has as many appended to a file on the servers' disk and synced.";
  }

  @Override
  public String tried() {
    return "A commit is one call: one send of the header and both pages, one wait, one write of the answer; the client hands"
        + " over to no other thread, the memory server answers on the event loop. With RocksDB the parts are, in"
        + " microseconds, one CPU, under some load: client 96 to 130, network and wake of the event loop 40 to 55, decoding"
        + " and checks 60 to 100, hand-over to the thread that commits 20 to 28, batch 60 to 75, write to the log 26 to"
        + " 30, sync (as in \"append and sync\"), memory table 75, mark of the sync and answer 36, hand-over back"
        + " 20 to 28, write and wake of the client 70. So two hand-overs and the memory table are what is above the"
        + " bar. Kept: images of a page that nobody can read any more leave the client's cache at once (a connection's"
        + " 8,000th commit had cost five times the CPU of its first), and no buffers but the pages' own. Without effect:"
        + " a log that is allocated ahead. Not done: log files that are used again would halve the sync, but their recovery"
        + " wants sequence numbers without gaps, and tables that are taken over whole leave some.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Place> places = new ArrayList<>(List.of(rig.local("FULL"), rig.local("OFF")));
    places.addAll(rig.remotes(Rig.MEMORY, rig.sizes().delaysMs()));
    places.addAll(rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs()));
    List<Contender> contenders = new ArrayList<>();
    for (Place place : places) {
      contenders.add(contender(rig, place));
    }
    long sent;
    long received;
    try (Connection connection = make(rig.remote(Rig.MEMORY, 0), "commit-size.db")) {
      Statistics before = Statistics.of(connection);
      Increment increment = new Increment(connection);
      Timed.times(COMMITS_TO_SIZE, increment::run);
      Statistics after = Statistics.of(connection);
      sent = after.since(before, "bytes_sent") / COMMITS_TO_SIZE;
      received = after.since(before, "bytes_received") / COMMITS_TO_SIZE;
    }
    for (double delayMs : rig.sizes().delaysMs()) {
      Echo echo = rig.echo(delayMs);
      contenders.add(
          new Contender(
              Rig.echoName(delayMs),
              () -> new Sample(echo.unary(sent, received, rig.sizes().sliceMs()))));
    }
    LogSync log = new LogSync(rig.folder());
    rig.atEnd(log::close);
    contenders.add(
        new Contender(DISK, () -> new Sample(log.append((int) sent, rig.sizes().sliceMs()))));
    return contenders;
  }

  /** A database with the table, and a connection to it. */
  static Connection make(Place place, String database) throws SQLException {
    Connection connection = place.open(database);
    Place.execute(
        connection,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, pad)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
            + ROWS
            + ") INSERT INTO t SELECT i, 0, zeroblob(100) FROM n");
    return connection;
  }

  private static Contender contender(Rig rig, Place place) throws Exception {
    Connection connection = rig.closing(make(place, place.own("commit")));
    Increment increment = new Increment(connection);
    return new Contender(
        place.name(),
        () -> {
          if (!place.isRemote()) {
            return new Sample(Timed.during(rig.sizes().sliceMs(), increment::run).each());
          }
          Statistics before = Statistics.of(connection);
          Timed.Run run = Timed.during(rig.sizes().sliceMs(), increment::run);
          return new Sample(run.each(), Statistics.of(connection).trips(before, run.operations()));
        });
  }

  /** The transaction, prepared. */
  static final class Increment {
    private static final int STEP = 389; // no two neighbours in a row
    private final PreparedStatement update;

    Increment(Connection connection) throws SQLException {
      update = connection.prepareStatement("UPDATE t SET n = n + 1 WHERE id = ?");
    }

    void run(int number) throws SQLException {
      update.setInt(1, number * STEP % ROWS + 1);
      if (update.executeUpdate() != 1) {
        throw new SQLException("no row was changed");
      }
    }
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String memory = RemotePlace.name(Rig.MEMORY, 0);
    String rocksdb = RemotePlace.name(Rig.ROCKSDB, 0);
    Series echo = measured.seconds(Rig.echoName(0));
    return List.of(
        Figure.ratio(
            "small commit, memory server, to the bare echo of the same bytes",
            measured.seconds(memory).to(echo),
            Bar.atMost(1.5)),
        Figure.ratio(
            "small commit, RocksDB, to echo and one sync",
            measured.seconds(rocksdb).to(echo.plus(measured.seconds(DISK))),
            Bar.atMost(1.2)));
  }
}
