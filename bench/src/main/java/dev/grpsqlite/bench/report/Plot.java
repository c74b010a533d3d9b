package dev.grpsqlite.bench.report;

import dev.grpsqlite.bench.report.Comparison.Row;
import java.util.List;
import java.util.Locale;

/**
 * A comparison as an SVG: a bar for each place to its median, a line from its least to its most.
 * The axis is logarithmic, since what is compared is ratios: the same distance is the same ratio
 * anywhere.
 */
final class Plot {
  private static final int LABEL_PX = 230;
  private static final int BARS_PX = 480;
  private static final int VALUE_PX = 90;
  private static final int ROW_PX = 22;
  private static final int TOP_PX = 34;
  private static final int BOTTOM_PX = 26;
  private static final int WIDTH_PX = LABEL_PX + BARS_PX + VALUE_PX;

  private Plot() {}

  static String svg(Comparison comparison) {
    List<Row> rows = comparison.rows();
    double from = Math.floor(log(rows.stream().mapToDouble(r -> r.seconds().least())));
    double most = rows.stream().mapToDouble(r -> r.seconds().most()).max().orElseThrow();
    double to = Math.max(from + 1, Math.ceil(Math.log10(most)));
    int bottom = TOP_PX + rows.size() * ROW_PX;
    StringBuilder svg = new StringBuilder();
    add(
        svg,
        "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif'"
            + " font-size='12'>",
        WIDTH_PX,
        bottom + BOTTOM_PX);
    add(svg, "<rect width='100%%' height='100%%' fill='white'/>");
    add(
        svg,
        "<text x='8' y='20' font-size='14' font-weight='bold'>%s: time per operation</text>",
        escaped(comparison.name()));
    for (int decade = (int) from; decade <= to; decade++) {
      double x = x(Math.pow(10, decade), from, to);
      add(
          svg,
          "<line x1='%1$.1f' y1='%2$d' x2='%1$.1f' y2='%3$d' stroke='#ddd'/>",
          x,
          TOP_PX,
          bottom);
      add(
          svg,
          "<text x='%.1f' y='%d' text-anchor='middle' fill='#666'>%s</text>",
          x,
          bottom + 16,
          decade(decade));
    }
    for (int i = 0; i < rows.size(); i++) {
      row(svg, rows.get(i), TOP_PX + i * ROW_PX, from, to);
    }
    return svg.append("</svg>\n").toString();
  }

  private static void row(StringBuilder svg, Row row, int top, double from, double to) {
    double end = x(row.seconds().median(), from, to);
    int middle = top + ROW_PX / 2;
    add(
        svg,
        "<text x='%d' y='%d' text-anchor='end'>%s</text>",
        LABEL_PX - 8,
        middle + 4,
        escaped(row.place()));
    add(
        svg,
        "<rect x='%d' y='%d' width='%.1f' height='%d' fill='#4a7fb5'/>",
        LABEL_PX,
        top + 4,
        end - LABEL_PX,
        ROW_PX - 8);
    add(
        svg,
        "<line x1='%.1f' y1='%3$d' x2='%2$.1f' y2='%3$d' stroke='#222' stroke-width='2'/>",
        x(row.seconds().least(), from, to),
        x(row.seconds().most(), from, to),
        middle);
    add(
        svg,
        "<text x='%d' y='%d'>%s</text>",
        LABEL_PX + BARS_PX + 8,
        middle + 4,
        Text.seconds(row.seconds().median()));
  }

  /** The logarithm of the least, which a clock too coarse must not make infinite. */
  private static double log(java.util.stream.DoubleStream seconds) {
    return Math.log10(Math.max(1e-9, seconds.min().orElseThrow()));
  }

  private static double x(double seconds, double from, double to) {
    double part = (Math.log10(Math.max(1e-9, seconds)) - from) / (to - from);
    return LABEL_PX + part * BARS_PX;
  }

  private static String decade(int decade) {
    return Text.seconds(Math.pow(10, decade)).replaceAll("\\.0+(?= )", "");
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;");
  }

  private static void add(StringBuilder svg, String format, Object... arguments) {
    svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }
}
