package dev.grpsqlite.bench.report;

import java.util.List;
import java.util.Locale;

/**
 * One measured figure, and what it has to reach.
 *
 * @param what was measured, of what
 * @param unit of the values; empty for a ratio
 * @param values in the order in which they were measured; none if it was not
 * @param bar for the median
 * @param why it was not measured; empty if it was
 */
public record Figure(String what, String unit, List<Double> values, Bar bar, String why) {
  /** What came of a bar. */
  public enum Verdict {
    MET("yes"),
    MISSED("**no**"),
    NOT_MEASURED("not measured"),
    /** There is no bar. */
    NONE("");

    private final String text;

    Verdict(String text) {
      this.text = text;
    }
  }

  public Figure {
    if (values.isEmpty() == why.isEmpty()) {
      throw new IllegalArgumentException(
          what + ": either something was measured, or there is a reason why not");
    }
    values = List.copyOf(values);
  }

  public Figure(String what, String unit, List<Double> values, Bar bar) {
    this(what, unit, values, bar, "");
  }

  public static Figure ratio(String what, Series values, Bar bar) {
    return new Figure(what, "", values.values(), bar);
  }

  public static Figure notMeasured(String what, Bar bar, String why) {
    return new Figure(what, "", List.of(), bar, why);
  }

  public Verdict verdict() {
    if (values.isEmpty()) {
      return Verdict.NOT_MEASURED;
    }
    if (bar.relation() == Bar.Relation.NONE) {
      return Verdict.NONE;
    }
    return bar.holds(median()) ? Verdict.MET : Verdict.MISSED;
  }

  public double median() {
    return new Series(values).median();
  }

  /** The heading of {@link #row}s. */
  static final String HEADING =
      "| what | median | least … most | values | bar | reached |\n|---|---|---|---|---|---|";

  /**
   * A row of a Markdown table: what, median, least and most, how many, the bar, whether it holds.
   */
  public String row() {
    if (values.isEmpty()) {
      return String.format(
          "| %s | | | 0 | %s | %s: %s |", what, bar.text(unit), verdict().text, why);
    }
    Series series = new Series(values);
    return String.format(
        Locale.ROOT,
        "| %s | %s | %s … %s | %d | %s | %s |",
        what,
        (Text.number(series.median()) + " " + unit).strip(),
        Text.number(series.least()),
        Text.number(series.most()),
        values.size(),
        bar.text(unit),
        verdict().text);
  }
}
