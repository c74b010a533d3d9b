package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** One of many small databases at a time, as a server of many tenants does. */
final class OpenClose implements Workload {
  private static final String OPEN_ALONE = "trips of the open alone";
  private static final int STEP = 7919;

  @Override
  public String name() {
    return "open";
  }

  @Override
  public String about() {
    return "An operation is an open, the select of one row, and a close, of one of many small databases,"
        + " never the same twice in a row, while the process has another one open.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Contender> contenders = new ArrayList<>();
    List<Place> places = new ArrayList<>(List.of(rig.local("OFF")));
    places.addAll(rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs()));
    int databases = rig.sizes().databases();
    for (Place place : List.of(rig.local("OFF"), rig.remote(Rig.ROCKSDB, 0))) {
      rig.closing(place.open(place.own("session"))); // so that the session is made once
      for (int i = 0; i < databases; i++) {
        make(place, i);
      }
    }
    for (Place place : places) {
      Connection holder = rig.closing(place.open(place.own("session")));
      int[] next = new int[1];
      Timed.Operation open =
          number -> {
            try (Connection connection = place.open(name(next[0]++ * STEP % databases));
                Statement statement = connection.createStatement();
                ResultSet row = statement.executeQuery("SELECT name FROM t WHERE id = 7")) {
              if (!row.next()) {
                throw new SQLException("no row");
              }
            }
          };
      contenders.add(
          new Contender(
              place.name(),
              () -> {
                if (!place.isRemote()) {
                  return new Sample(Timed.during(rig.sizes().sliceMs(), open).each());
                }
                Statistics before = Statistics.of(holder);
                Timed.Run run = Timed.during(rig.sizes().sliceMs(), open);
                Statistics after = Statistics.of(holder);
                Map<String, Double> counts = new HashMap<>(after.trips(before, run.operations()));
                try (Connection connection = place.open(name(next[0]++ * STEP % databases))) {
                  counts.put(
                      OPEN_ALONE, (double) Statistics.of(connection).since(after, "round_trips"));
                }
                return new Sample(run.each(), counts);
              }));
    }
    return contenders;
  }

  private static void make(Place place, int number) throws SQLException {
    try (Connection connection = place.open(name(number))) {
      Place.execute(
          connection,
          "BEGIN",
          "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)",
          Sources.rows(50) + "INSERT INTO t SELECT i, 'name ' || i FROM n",
          "COMMIT");
    }
  }

  private static String name(int number) {
    return "tenant-" + number + ".db";
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String place = RemotePlace.name(Rig.ROCKSDB, 2);
    return List.of(
        new Figure(
            "open of one of many databases: round trips",
            "",
            measured.count(place, OPEN_ALONE).values(),
            Bar.atMost(2)),
        new Figure(
            "open, query and close of one of many databases: round trips",
            "",
            measured.count(place, Statistics.ROUND_TRIPS).values(),
            Bar.NONE));
  }
}
