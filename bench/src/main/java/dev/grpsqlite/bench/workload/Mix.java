package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** What SQLite's own page on its speed once measured, one step after the other, and joins. */
final class Mix implements Workload {
  private static final int TEN_THOUSAND = 10_000;

  @Override
  public String name() {
    return "mix";
  }

  @Override
  public String about() {
    return "An operation is the whole mix, on a new database: at full size, 1,000 inserts each in its own"
        + " transaction; 25,000 in one; 25,000 into an indexed table in one; 100 selects without an index, 100"
        + " that compare strings, 5,000 by an index; 1,000 updates without, 25,000 with an index; inserts from"
        + " selects; deletes without and with an index; a large insert after a large delete, 12,000 small ones"
        + " after another; 100 joins; drops. Here each of these numbers is multiplied by the scale of this"
        + " form.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Place> places = new ArrayList<>(List.of(rig.local("FULL"), rig.local("OFF")));
    places.addAll(rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs()));
    places.add(rig.remote(Rig.MEMORY, 0));
    List<Contender> contenders = new ArrayList<>();
    for (Place place : places) {
      int[] taken = new int[1];
      contenders.add(
          new Contender(
              place.name(),
              () -> {
                try (Connection connection = place.open(place.own("mix-" + taken[0]++))) {
                  Run run = new Run(connection, rig.sizes().mixScale());
                  if (!place.isRemote()) {
                    return new Sample(Timed.once(number -> run.all()));
                  }
                  Statistics before = Statistics.of(connection);
                  double seconds = Timed.once(number -> run.all());
                  return new Sample(seconds, Statistics.of(connection).trips(before, 1));
                }
              }));
    }
    return contenders;
  }

  /** Once through. */
  private static final class Run {
    private final Connection connection;
    private final double scale;

    Run(Connection connection, double scale) {
      this.connection = connection;
      this.scale = scale;
    }

    void all() throws SQLException {
      Place.execute(
          connection,
          "CREATE TABLE t1 (a INTEGER, b INTEGER, c TEXT)",
          "CREATE TABLE t2 (a INTEGER, b INTEGER, c TEXT)",
          "CREATE TABLE t3 (a INTEGER, b INTEGER, c TEXT)",
          "CREATE INDEX i3 ON t3 (c)");
      insert("t1", 1000);
      transaction(() -> insert("t2", 25_000));
      transaction(() -> insert("t3", 25_000));
      select("SELECT count(*), avg(b) FROM t2 WHERE b >= ?1 AND b < ?1 + 1000", 100);
      select("SELECT count(*), avg(b) FROM t2 WHERE c LIKE '%' || ?1 || '%'", 100);
      Place.execute(connection, "CREATE INDEX i2a ON t2 (a)", "CREATE INDEX i2b ON t2 (b)");
      select("SELECT count(*), avg(b) FROM t2 WHERE b >= ?1 AND b < ?1 + 100", 5000);
      transaction(() -> update("UPDATE t1 SET b = b * 2 WHERE a >= ?1 AND a < ?1 + 10", 1000));
      transaction(() -> update("UPDATE t2 SET b = b + 1 WHERE a = ?1", 25_000));
      transaction(() -> update("UPDATE t2 SET c = 'changed ' || c WHERE a = ?1", 25_000));
      transaction(
          () ->
              Place.execute(
                  connection,
                  "INSERT INTO t1 SELECT b, a, c FROM t2",
                  "INSERT INTO t2 SELECT b, a, c FROM t1"));
      Place.execute(
          connection,
          "DELETE FROM t2 WHERE c LIKE '%50%'",
          "DELETE FROM t2 WHERE a > 10 AND a < 20000",
          "INSERT INTO t2 SELECT * FROM t1");
      transaction(
          () -> {
            Place.execute(connection, "DELETE FROM t1");
            insert("t1", 12_000);
          });
      select("SELECT count(*) FROM t3 JOIN t2 ON t2.a = t3.a WHERE t3.c > 'row ' || ?1", 100);
      Place.execute(connection, "DROP TABLE t1", "DROP TABLE t2", "DROP TABLE t3");
    }

    private int scaled(int count) {
      return Math.max(1, (int) (count * scale));
    }

    private interface Body {
      void run() throws SQLException;
    }

    private void transaction(Body body) throws SQLException {
      connection.setAutoCommit(false);
      body.run();
      connection.commit();
      connection.setAutoCommit(true);
    }

    private void insert(String table, int count) throws SQLException {
      try (PreparedStatement insert =
          connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?, ?)")) {
        for (int i = 1; i <= scaled(count); i++) {
          int b = mixed(i);
          insert.setInt(1, i);
          insert.setInt(2, b);
          insert.setString(3, "row " + b + " of some length, number " + i);
          insert.executeUpdate();
        }
      }
    }

    private void select(String sql, int count) throws SQLException {
      try (PreparedStatement select = connection.prepareStatement(sql)) {
        for (int i = 0; i < scaled(count); i++) {
          select.setInt(1, mixed(i));
          try (ResultSet row = select.executeQuery()) {
            if (!row.next()) {
              throw new SQLException("no row: " + sql);
            }
          }
        }
      }
    }

    private void update(String sql, int count) throws SQLException {
      try (PreparedStatement update = connection.prepareStatement(sql)) {
        for (int i = 1; i <= scaled(count); i++) {
          update.setInt(1, i);
          update.executeUpdate();
        }
      }
    }

    private static int mixed(int i) {
      return i * 7919 % TEN_THOUSAND;
    }
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return List.of(
        measured.ratio(
            "SQLite-like mix at 0 ms, RocksDB, to a local file",
            RemotePlace.name(Rig.ROCKSDB, 0),
            "local FULL",
            Bar.atMost(1.3)),
        measured.ratio(
            "SQLite-like mix at 0.5 ms, RocksDB, to a local file",
            RemotePlace.name(Rig.ROCKSDB, 0.5),
            "local FULL",
            Bar.atMost(2)));
  }
}
