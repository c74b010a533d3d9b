package dev.grpsqlite.bench.workload;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What {@code PRAGMA grpsqlite_stats} says: counts of the connections to one server, and of one
 * database's cache.
 */
record Statistics(Map<String, Long> values) {
  static Statistics of(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("PRAGMA grpsqlite_stats")) {
      return parse(row.getString(1));
    }
  }

  static Statistics parse(String text) {
    Map<String, Long> values = new HashMap<>();
    text.lines()
        .forEach(
            line -> {
              int space = line.indexOf(' ');
              values.put(line.substring(0, space), Long.valueOf(line.substring(space + 1)));
            });
    return new Statistics(values);
  }

  long get(String name) {
    Long value = values.get(name);
    if (value == null) {
      throw new IllegalArgumentException("the extension does not count " + name);
    }
    return value;
  }

  long since(Statistics before, String name) {
    return get(name) - before.get(name);
  }

  /** Round trips of each operation since then. */
  Map<String, Double> trips(Statistics before, int operations) {
    return Map.of(ROUND_TRIPS, (double) since(before, "round_trips") / operations);
  }

  /**
   * Round trips and pages of each operation, on a cache that was empty before: how many came, and
   * how many of them were used.
   */
  Map<String, Double> cold(Statistics before, int operations) {
    Map<String, Double> counts = new LinkedHashMap<>(trips(before, operations));
    double asked = get("cache_misses");
    double used = asked + get("prefetch_used");
    counts.put(PAGES_NEEDED, used / operations);
    counts.put(PAGES_SENT, (used + get("prefetch_unused")) / operations);
    return counts;
  }

  static final String ROUND_TRIPS = "round trips";
  static final String PAGES_NEEDED = "pages needed";
  static final String PAGES_SENT = "pages sent";
}
