package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Very many rows in one transaction. */
final class BulkLoad implements Workload {
  private static final double DELAY_MS = 0.5;

  @Override
  public String name() {
    return "bulk";
  }

  @Override
  public String about() {
    return "An operation is one transaction, an `INSERT … SELECT` of all rows of about 100 bytes into a new"
        + " table with one index, its COMMIT included. SQLite makes the rows, so that no time is spent in Java."
        + " What does not fit into the extension's buffer (buffer_mb, 16 MiB) is sent ahead while it runs.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Place> places = new ArrayList<>(List.of(rig.local("FULL"), rig.local("OFF")));
    places.addAll(rig.remotes(Rig.MEMORY, rig.sizes().delaysMs()));
    places.addAll(rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs()));
    List<Contender> contenders = new ArrayList<>();
    for (Place place : places) {
      int[] taken = new int[1];
      contenders.add(
          new Contender(place.name(), () -> load(rig, place, place.own("bulk-" + taken[0]++))));
    }
    return contenders;
  }

  private static Sample load(Rig rig, Place place, String database) throws Exception {
    String insert =
        Sources.rows(rig.sizes().bulkRows())
            + "INSERT INTO t SELECT i, "
            + Sources.MIXED
            + ", printf('%080d', i) FROM n";
    double seconds;
    Map<String, Double> counts = Map.of();
    try (Connection connection = place.open(database)) {
      Place.execute(
          connection,
          "CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, pad TEXT)",
          "CREATE INDEX t_k ON t (k)");
      if (place.isRemote()) {
        Statistics before = Statistics.of(connection);
        seconds = Timed.once(number -> Place.execute(connection, insert));
        counts = Statistics.of(connection).trips(before, 1);
      } else {
        seconds = Timed.once(number -> Place.execute(connection, insert));
      }
    }
    place.drop(database);
    return new Sample(seconds, counts);
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return List.of(
        measured.ratio(
            "bulk load at 0.5 ms, speed to a local file's",
            "local FULL",
            RemotePlace.name(Rig.ROCKSDB, DELAY_MS),
            Bar.atLeast(0.5)));
  }
}
