package dev.grpsqlite.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.bench.report.Figure.Verdict;
import java.util.List;
import org.junit.jupiter.api.Test;

class FigureTest {
  @Test
  void theMedianIsJudged() {
    Figure odd = new Figure("a fork", "ms", List.of(9.0, 1.0, 200.0), Bar.below(10));
    assertEquals(Verdict.MET, odd.verdict());
    assertEquals("| a fork | 9.00 ms | 1.00 … 200 | 3 | < 10.0 ms | yes |", odd.row());
    Figure even = new Figure("a fork", "ms", List.of(30.0, 10.0), Bar.below(20));
    assertEquals(Verdict.MISSED, even.verdict(), "at the bar is not below it");
    assertTrue(even.row().endsWith("**no** |"), even.row());
  }

  @Test
  void aBarIsReachedFromItsSide() {
    assertEquals(Verdict.MET, verdict(1.5, Bar.atMost(1.5)));
    assertEquals(Verdict.MISSED, verdict(1.51, Bar.atMost(1.5)));
    assertEquals(Verdict.MET, verdict(0.9, Bar.atLeast(0.9)));
    assertEquals(Verdict.MISSED, verdict(0.89, Bar.atLeast(0.9)));
    assertEquals(Verdict.NONE, verdict(7, Bar.NONE));
  }

  private static Verdict verdict(double value, Bar bar) {
    return Figure.ratio("x", new Series(List.of(value)), bar).verdict();
  }

  @Test
  void nothingMeasuredIsNoSuccess() {
    assertThrows(
        IllegalArgumentException.class, () -> new Figure("x", "ms", List.of(), Bar.below(1)));
    Figure without = Figure.notMeasured("scale", Bar.atMost(2), "in the full form only");
    assertEquals(Verdict.NOT_MEASURED, without.verdict());
    assertEquals("| scale | | | 0 | ≤ 2.00 | not measured: in the full form only |", without.row());
  }
}
