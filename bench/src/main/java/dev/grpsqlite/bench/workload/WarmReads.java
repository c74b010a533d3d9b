package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** Points that were read before, by a connection that holds the lease, and by a replica. */
final class WarmReads implements Workload {
  private static final String HELD = ", lease held";
  private static final String STALE = ", bounded staleness";
  private static final String REFRESHED = ", fresh";
  private static final int STEP = 7919;
  private static final double BAR = 0.9;

  private final List<String> judged = new ArrayList<>();

  @Override
  public String name() {
    return "warm";
  }

  @Override
  public String about() {
    return "An operation is `SELECT pad FROM t WHERE id = ?` in a transaction of its own, of all rows in"
        + " an order that is not theirs. The table is larger than SQLite's own cache, so that its VFS is asked"
        + " for pages, and smaller than the extension's. Lease held: the connection has written before. Bounded"
        + " staleness: `mode=ro&max_staleness_ms=5000`. Fresh: `mode=ro`, whose transactions ask the server"
        + " what is new.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    int rows = rig.sizes().warmRows();
    Path source =
        Sources.make(
            rig,
            "warm",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, pad BLOB)",
            Sources.rows(rows) + "INSERT INTO t SELECT i, randomblob(500) FROM n");
    List<Contender> contenders = new ArrayList<>();
    Place local = rig.local("FULL");
    local.load(source, "warm.db");
    contenders.add(contender(rig, local.name(), local.open("warm.db"), rows));
    judged.clear();
    for (Place place : rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs())) {
      String own = place.own("warm");
      place.load(source, own);
      Connection holder = place.open(own);
      Place.execute(holder, "UPDATE t SET pad = randomblob(500) WHERE id = 1");
      judged.add(place.name() + HELD);
      contenders.add(contender(rig, place.name() + HELD, holder, rows));
      String read = "replica-of-" + own;
      place.load(source, read);
      judged.add(place.name() + STALE);
      Connection stale = place.openToRead(read, "max_staleness_ms=5000");
      contenders.add(contender(rig, place.name() + STALE, stale, rows));
    }
    Place near = rig.remote(Rig.ROCKSDB, 0);
    String fresh = "fresh-" + near.own("warm");
    near.load(source, fresh);
    contenders.add(contender(rig, near.name() + REFRESHED, near.openToRead(fresh), rows));
    return contenders;
  }

  private static Contender contender(Rig rig, String name, Connection connection, int rows)
      throws SQLException {
    rig.closing(connection);
    Place.execute(connection, "SELECT sum(length(pad)) FROM t");
    PreparedStatement select = connection.prepareStatement("SELECT pad FROM t WHERE id = ?");
    Timed.Operation read =
        number -> {
          select.setInt(1, (int) ((long) number * STEP % rows) + 1);
          try (ResultSet row = select.executeQuery()) {
            if (!row.next() || row.getBytes(1).length != 500) {
              throw new SQLException("a row is missing");
            }
          }
        };
    boolean isRemote = !name.startsWith("local");
    return new Contender(
        name,
        () -> {
          if (!isRemote) {
            return new Sample(Timed.during(rig.sizes().sliceMs(), read).each());
          }
          Statistics before = Statistics.of(connection);
          Timed.Run run = Timed.during(rig.sizes().sliceMs(), read);
          return new Sample(run.each(), Statistics.of(connection).trips(before, run.operations()));
        });
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return judged.stream()
        .map(
            place ->
                Figure.ratio(
                    "warm reads, throughput to a local file's, " + place,
                    measured.seconds("local FULL").to(measured.seconds(place)),
                    Bar.atLeast(BAR)))
        .toList();
  }
}
