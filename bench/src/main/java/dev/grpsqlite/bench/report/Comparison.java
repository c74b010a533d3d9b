package dev.grpsqlite.bench.report;

import dev.grpsqlite.bench.profile.Profile;
import java.util.List;
import java.util.Map;

/**
 * One workload in several places, side by side.
 *
 * @param name of the workload
 * @param about what it does, for a reader who wants to judge it
 * @param rows the first one is what the others are compared with
 * @param figures ratios of rows, with their bars
 * @param profiles of places without delay, if a bar was missed
 */
public record Comparison(
    String name, String about, List<Row> rows, List<Figure> figures, List<Profile> profiles) {
  /**
   * One place.
   *
   * @param seconds per operation, round by round
   * @param first seconds per operation of the turn before all others, on servers and in a client
   *     whose code may not be compiled yet
   * @param counts what else was counted per operation: the medians, in the order to show them
   */
  public record Row(String place, Series seconds, double first, Map<String, Double> counts) {}

  public Comparison {
    rows = List.copyOf(rows);
    figures = List.copyOf(figures);
    profiles = List.copyOf(profiles);
  }
}
