package dev.grpsqlite.bench;

import java.util.List;
import java.util.Locale;

/**
 * One measured figure.
 *
 * @param what was measured, of what
 * @param unit of the values; empty for a ratio
 * @param values sorted, at least one
 * @param bar the median has to be below it; {@link #NONE} if it is only for information
 */
record Figure(String what, String unit, List<Double> values, double bar) {
  static final double NONE = Double.POSITIVE_INFINITY;

  Figure {
    if (values.isEmpty()) {
      throw new IllegalArgumentException(what + ": nothing was measured");
    }
    values = values.stream().sorted().toList();
  }

  double median() {
    int middle = values.size() / 2;
    return values.size() % 2 == 1
        ? values.get(middle)
        : (values.get(middle - 1) + values.get(middle)) / 2;
  }

  boolean holds() {
    return median() < bar;
  }

  /**
   * A row of a Markdown table: what, median, least and most, how many, the bar, whether it holds.
   */
  String row() {
    return String.format(
        Locale.ROOT,
        "| %s | %s %s | %s … %s | %d | %s | %s |",
        what,
        number(median()),
        unit,
        number(values.get(0)),
        number(values.get(values.size() - 1)),
        values.size(),
        bar == NONE ? "" : "< " + number(bar) + " " + unit,
        bar == NONE ? "" : holds() ? "yes" : "**no**");
  }

  String json() {
    return String.format(
        Locale.ROOT,
        "{\"what\": \"%s\", \"unit\": \"%s\", \"median\": %s, \"bar\": %s, \"values\": %s}",
        what,
        unit,
        median(),
        bar == NONE ? "null" : bar,
        values);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
  }
}
