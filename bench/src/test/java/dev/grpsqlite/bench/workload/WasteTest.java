package dev.grpsqlite.bench.workload;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.bench.report.Comparison;
import dev.grpsqlite.bench.report.Comparison.Row;
import dev.grpsqlite.bench.report.Figure.Verdict;
import dev.grpsqlite.bench.report.Series;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class WasteTest {
  @Test
  void whatWasSentInVainIsJudgedOverAllQueries() {
    List<Comparison> all =
        List.of(
            comparison(List.of(Map.of("pages needed", 10.0, "pages sent", 16.0), Map.of())),
            comparison(List.of(Map.of("pages needed", 30.0, "pages sent", 34.0))));
    assertEquals(1.25, Comparing.waste(all).median());
    assertEquals(Verdict.MET, Comparing.waste(all).verdict());
    assertEquals(Verdict.MISSED, Comparing.waste(all.subList(0, 1)).verdict());
  }

  @Test
  void withoutAColdQueryNothingWasMeasured() {
    assertEquals(
        Verdict.NOT_MEASURED, Comparing.waste(List.of(comparison(List.of(Map.of())))).verdict());
  }

  private static Comparison comparison(List<Map<String, Double>> counts) {
    return new Comparison(
        "c",
        "",
        counts.stream().map(each -> new Row("place", new Series(List.of(1.0)), 1, each)).toList(),
        List.of(),
        List.of());
  }
}
