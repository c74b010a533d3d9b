package dev.grpsqlite.bench.workload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.junit.jupiter.api.Test;

class StatisticsTest {
  private static final Statistics BEFORE =
      Statistics.parse("round_trips 10\ncache_misses 0\nprefetch_used 0\nprefetch_unused 0");
  private static final Statistics AFTER =
      Statistics.parse("round_trips 15\ncache_misses 4\nprefetch_used 16\nprefetch_unused 5");

  @Test
  void roundTripsAndPagesAreOfEachOperation() {
    assertEquals(
        Map.of("round trips", 0.5, "pages needed", 2.0, "pages sent", 2.5), AFTER.cold(BEFORE, 10));
  }

  @Test
  void whatIsNotCountedIsNotNought() {
    assertThrows(IllegalArgumentException.class, () -> AFTER.get("commits"));
  }
}
