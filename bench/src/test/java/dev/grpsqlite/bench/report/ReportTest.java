package dev.grpsqlite.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.grpsqlite.bench.profile.Profile;
import dev.grpsqlite.bench.report.Comparison.Row;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

class ReportTest {
  private static final Comparison COMPARISON =
      new Comparison(
          "commit",
          "An operation is a commit.",
          List.of(
              new Row("local <FULL>", new Series(List.of(0.002, 0.001, 0.001)), 0.007, Map.of()),
              new Row(
                  "rocksdb 0 ms",
                  new Series(List.of(0.004, 0.002, 0.003)),
                  0.009,
                  Map.of("round trips", 1.0))),
          List.of(
              Figure.ratio("slow", new Series(List.of(2.0)), Bar.atMost(1.5)),
              Figure.ratio("quick", new Series(List.of(1.0)), Bar.atMost(1.5))),
          List.of(
              new Profile(
                  "rocksdb 0 ms",
                  2,
                  Map.of("main", 1.5),
                  ordered("grpc-default-worker", 0.5, "GC Thread", 0.1, "VM Thread", 0.001),
                  ordered("Wal.sync", 0.25, "Other.method", 0.2))));

  private static Map<String, Double> ordered(Object... namesAndValues) {
    Map<String, Double> all = new LinkedHashMap<>();
    for (int i = 0; i < namesAndValues.length; i += 2) {
      all.put((String) namesAndValues[i], (Double) namesAndValues[i + 1]);
    }
    return all;
  }

  @TempDir Path folder;

  @Test
  void theFirstLinesSayWhichBarsAreMissed() {
    Report report = report();
    report.addFailure("scan", "the server ended");
    List<String> lines = report.markdown().lines().limit(6).toList();
    assertEquals(
        List.of(
            "# Benchmarks",
            "",
            "1 bars met, 1 missed, 1 not measured.",
            "Not run to its end: scan: the server ended",
            "- missed: slow: 2.00 (bar ≤ 1.50)",
            ""),
        lines);
  }

  @Test
  void aProfileSaysWhoseTimeItIs() {
    String text = report().markdown();
    assertTrue(
        text.contains(
            """
            ### Where the time goes, rocksdb 0 ms

            - CPU of the client, with SQLite and the extension: 75 % of the time; main 75 %
            - CPU of the server: 30 % of the time; grpc-default-worker 25 %, GC Thread 5 %
            - methods of the server's Java threads: Wal.sync 25 %, Other.method 20 %
            """),
        text);
  }

  @Test
  void aTableComparesWithItsFirstRowRoundByRound() {
    String text = report().markdown();
    assertTrue(
        text.contains("| place | time | spread | the first | to local <FULL> | round trips |"),
        text);
    assertTrue(text.contains("| local <FULL> | 1.00 ms | 100 % | 7.00 ms | 1.00 |  |"), text);
    assertTrue(text.contains("| rocksdb 0 ms | 3.00 ms | 67 % | 9.00 ms | 2.00 | 1.00 |"), text);
    assertTrue(text.contains("![commit](commit.svg)"), text);
  }

  @Test
  void everyNumberIsInTheJson() throws Exception {
    report().write(folder);
    JsonObject json =
        JsonParser.parseString(Files.readString(folder.resolve("report.json"))).getAsJsonObject();
    JsonObject comparison = json.getAsJsonArray("comparisons").get(0).getAsJsonObject();
    JsonObject place = comparison.getAsJsonArray("places").get(1).getAsJsonObject();
    assertEquals("rocksdb 0 ms", place.get("place").getAsString());
    assertEquals("[0.004,0.002,0.003]", place.getAsJsonArray("seconds").toString());
    assertEquals(1, place.getAsJsonObject("counts").get("round trips").getAsInt());
    JsonObject missed = comparison.getAsJsonArray("figures").get(0).getAsJsonObject();
    assertEquals("MISSED", missed.get("verdict").getAsString());
    assertEquals(1.5, missed.getAsJsonObject("bar").get("limit").getAsDouble());
  }

  /** The same ratio is the same distance: twice as long as 1 ms ends as far on as 4 ms from 2. */
  @Test
  void aPlotIsXmlOnALogarithmicAxis() throws Exception {
    String svg =
        Plot.svg(
            new Comparison(
                "c",
                "",
                List.of(row("<one>", 0.001), row("two", 0.002), row("four", 0.004)),
                List.of(),
                List.of()));
    DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(svg)));
    List<Double> widths =
        Pattern.compile("<rect x=[^>]* width='([0-9.]+)'")
            .matcher(svg)
            .results()
            .map((MatchResult found) -> Double.valueOf(found.group(1)))
            .toList();
    assertEquals(3, widths.size(), svg);
    double step = widths.get(1) - widths.get(0);
    assertTrue(step > 10, svg);
    assertEquals(step, widths.get(2) - widths.get(1), 0.2);
    assertTrue(svg.contains("2.00 ms"), svg);
  }

  private static Row row(String place, double seconds) {
    return new Row(place, new Series(List.of(seconds)), seconds, Map.of());
  }

  private static Report report() {
    Report report = new Report("One machine.\n");
    report.add(COMPARISON);
    report.add("others", "", List.of(Figure.notMeasured("scale", Bar.atMost(2), "too large")));
    return report;
  }
}
