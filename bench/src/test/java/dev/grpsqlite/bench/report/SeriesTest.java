package dev.grpsqlite.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.List;
import org.junit.jupiter.api.Test;

class SeriesTest {
  @Test
  void theMedianIsTheMiddleInOrderOfSize() {
    assertEquals(3, new Series(List.of(9.0, 1.0, 3.0)).median());
    assertEquals(2.5, new Series(List.of(100.0, 1.0, 3.0, 2.0)).median());
  }

  @Test
  void theSpreadIsFromLeastToMostOfTheMedian() {
    Series series = new Series(List.of(4.0, 3.0, 6.0));
    assertEquals(0.75, series.spread());
    assertEquals(3, series.least());
    assertEquals(6, series.most());
  }

  /** A machine that was half as fast in the second round has the same ratio in it. */
  @Test
  void ratiosAreOfTheSameRound() {
    Series one = new Series(List.of(2.0, 4.0, 2.0));
    Series other = new Series(List.of(1.0, 2.0, 1.0));
    assertEquals(List.of(2.0, 2.0, 2.0), one.to(other).values());
    assertEquals(List.of(3.0, 6.0, 3.0), one.plus(other).values());
  }

  @Test
  void whatHasNoPairHasNoRatio() {
    Series one = new Series(List.of(2.0, 4.0));
    assertThrows(IllegalArgumentException.class, () -> one.to(new Series(List.of(1.0))));
    assertThrows(IllegalArgumentException.class, () -> new Series(List.of()));
  }
}
