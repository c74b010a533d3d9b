package dev.grpsqlite.bench.report;

import java.util.Locale;

/** Numbers as people read them: three digits that count. */
final class Text {
  private Text() {}

  static String number(double value) {
    double size = Math.abs(value);
    String format =
        size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : size >= 0.1 || size == 0 ? "%.2f" : "%.3g";
    return String.format(Locale.ROOT, format, value);
  }

  static String seconds(double value) {
    return value >= 1
        ? number(value) + " s"
        : value >= 1e-3 ? number(value * 1e3) + " ms" : number(value * 1e6) + " µs";
  }

  static String percent(double part) {
    return String.format(Locale.ROOT, "%.0f %%", part * 100);
  }
}
