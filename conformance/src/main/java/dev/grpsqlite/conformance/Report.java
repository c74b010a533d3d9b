package dev.grpsqlite.conformance;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Results for people, and as JUnit XML. */
final class Report {
  private static final String INDENT = " ".repeat(17);

  private Report() {}

  /** One line, and for what is not as it should be the rule and what was seen. */
  static String line(Result result) {
    Rule rule = result.rule();
    String head = String.format(Locale.ROOT, "%-7s %-8s ", result.kind().word(), rule.number());
    return switch (result.kind()) {
      case PASSED -> head + firstWords(rule.text());
      case SKIPPED -> head + result.detail();
      case FAILED, MISSED, KNOWN, FIXED ->
          head + rule.text() + "\n" + INDENT + result.detail().replace("\n", "\n" + INDENT);
    };
  }

  private static String firstWords(String text) {
    return text.length() <= 90 ? text : text.substring(0, text.lastIndexOf(' ', 88)) + " …";
  }

  static String summary(List<Result> results, long millis) {
    List<String> parts = new ArrayList<>();
    parts.add(count(results, Result.Kind.PASSED) + " passed");
    parts.add(count(results, Result.Kind.FAILED) + " failed");
    add(parts, count(results, Result.Kind.MISSED), "recommended missed");
    add(parts, count(results, Result.Kind.KNOWN), "known failures");
    add(parts, count(results, Result.Kind.FIXED), "known failures that pass");
    add(parts, count(results, Result.Kind.SKIPPED), "not for this server");
    return String.join(", ", parts) + "; " + (millis + 500) / 1000 + " s";
  }

  private static void add(List<String> parts, long count, String what) {
    if (count > 0) {
      parts.add(count + " " + what);
    }
  }

  private static long count(List<Result> results, Result.Kind kind) {
    return results.stream().filter(result -> result.kind() == kind).count();
  }

  static String junit(List<Result> results, String address, long millis) {
    StringBuilder xml = new StringBuilder("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    long bad = results.stream().filter(Result::isBad).count();
    long skipped =
        results.stream().filter(r -> !r.isBad() && r.kind() != Result.Kind.PASSED).count();
    xml.append("<testsuite name=\"grpsqlite-conformance ")
        .append(escaped(address))
        .append("\" tests=\"")
        .append(results.size())
        .append("\" failures=\"")
        .append(bad)
        .append("\" errors=\"0\" skipped=\"")
        .append(skipped)
        .append("\" time=\"")
        .append(seconds(millis))
        .append("\">\n");
    for (Result result : results) {
      xml.append("  <testcase classname=\"grpsqlite.conformance\" name=\"")
          .append(result.rule().number())
          .append("\" time=\"")
          .append(seconds(result.millis()))
          .append("\">");
      String element =
          result.isBad() ? "failure" : result.kind() == Result.Kind.PASSED ? "" : "skipped";
      if (!element.isEmpty()) {
        xml.append("<")
            .append(element)
            .append(" message=\"")
            .append(escaped(result.kind().word() + ": " + result.detail()))
            .append("\">")
            .append(escaped(result.rule().text()))
            .append("</")
            .append(element)
            .append(">");
      }
      xml.append("</testcase>\n");
    }
    return xml.append("</testsuite>\n").toString();
  }

  private static String seconds(long millis) {
    return String.format(Locale.ROOT, "%.3f", millis / 1000.0);
  }

  private static String escaped(String text) {
    StringBuilder result = new StringBuilder();
    text.codePoints()
        .forEach(
            c -> {
              switch (c) {
                case '&' -> result.append("&amp;");
                case '<' -> result.append("&lt;");
                case '>' -> result.append("&gt;");
                case '"' -> result.append("&quot;");
                case '\n' -> result.append("&#10;");
                // XML has no way to write the other control characters.
                default -> result.appendCodePoint(c < 0x20 ? '?' : c);
              }
            });
    return result.toString();
  }
}
