package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Rows anywhere in a large table, over an empty cache. */
final class Points implements Workload {
  private static final String BY_KEY = ", by key";
  private static final String BY_INDEX = ", by index";
  private static final String ALONE = ", by key, nothing sent ahead";
  private static final String FIRST = "first lookup, trips from open";
  private static final double DELAY_MS = 2;
  private static final String DATABASE = "table.db";

  @Override
  public String name() {
    return "points";
  }

  @Override
  public String about() {
    return "An operation is the select of one row of a large table, by its primary key or by an index of"
        + " values in no order, in one read transaction of a connection that was just opened. The times are of the"
        + " lookups after the first one; its round trips are those from open to row beyond the session's.";
  }

  @Override
  public String tried() {
    return "An open is a round trip. SQLite then begins two transactions, one to read the schema and "
        + "one for the query, and each has to ask whether somebody has committed meanwhile: reads "
        + "that may be stale (max_staleness_ms) do without. So three of the round trips come before "
        + "the first page is asked for.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    Path source = Sources.table(rig, rig.sizes().tableMiB());
    List<Contender> contenders = new ArrayList<>();
    Place local = rig.local("FULL");
    local.load(source, DATABASE);
    contenders.add(contender(rig, local, BY_KEY));
    contenders.add(contender(rig, local, BY_INDEX));
    rig.loadOnce(Rig.ROCKSDB, source, DATABASE);
    for (Place place : rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs())) {
      contenders.add(contender(rig, place, BY_KEY));
      contenders.add(contender(rig, place, BY_INDEX));
    }
    contenders.add(contender(rig, rig.remote(Rig.ROCKSDB, DELAY_MS), ALONE, "prefetch_mb=0"));
    return contenders;
  }

  private static Contender contender(Rig rig, Place place, String how, String... parameters)
      throws SQLException {
    int rows = Sources.tableRows(rig.sizes().tableMiB());
    int points = rig.sizes().points();
    String by = how.equals(BY_INDEX) ? "k = (? * 7368787) % 15485863" : "id = ?";
    Connection holder = rig.closing(place.open(place.own("session")));
    return new Contender(
        place.name() + how,
        () -> {
          Statistics before = place.isRemote() ? Statistics.of(holder) : new Statistics(Map.of());
          try (Connection connection = place.openToRead(DATABASE, parameters)) {
            connection.setAutoCommit(false);
            try (PreparedStatement select =
                connection.prepareStatement("SELECT length(pad) FROM t WHERE " + by)) {
              Timed.Operation lookup =
                  number -> {
                    // Far from each other, so that no two are on one page.
                    select.setLong(1, 1 + (long) (number + 1) * (rows / (points + 2)));
                    try (ResultSet row = select.executeQuery()) {
                      if (!row.next() || row.getInt(1) != 440) {
                        throw new SQLException("a row is missing");
                      }
                    }
                  };
              Timed.once(number -> lookup.run(points));
              if (!place.isRemote()) {
                return new Sample(Timed.times(points, lookup).each());
              }
              Statistics first = Statistics.of(connection);
              Timed.Run run = Timed.times(points, lookup);
              Statistics after = Statistics.of(connection);
              Map<String, Double> counts = new HashMap<>(after.cold(before, points));
              counts.putAll(after.trips(first, points));
              counts.put(FIRST, (double) first.since(before, "round_trips"));
              return new Sample(run.each(), counts);
            }
          }
        });
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String place = RemotePlace.name(Rig.ROCKSDB, DELAY_MS);
    return List.of(
        new Figure(
            "cold lookup by key, 2 ms: round trips after the first one",
            "",
            measured.count(place + BY_KEY, Statistics.ROUND_TRIPS).values(),
            Bar.atMost(1.1)),
        new Figure(
            "cold lookup by key, 2 ms: round trips from open to the first row",
            "",
            measured.count(place + BY_KEY, FIRST).values(),
            Bar.atMost(2)),
        measured.ratio(
            "cold lookup by key, 2 ms: time to that with nothing sent ahead",
            place + BY_KEY,
            place + ALONE,
            Bar.atMost(1)));
  }
}
