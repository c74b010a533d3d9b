package dev.grpsqlite.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class FigureTest {
  @Test
  void theMedianIsJudged() {
    Figure odd = new Figure("a fork", "ms", List.of(9.0, 1.0, 200.0), 10);
    assertEquals(9, odd.median());
    assertTrue(odd.holds());
    assertEquals("| a fork | 9.00 ms | 1.00 … 200 | 3 | < 10.0 ms | yes |", odd.row());
    Figure even = new Figure("a fork", "ms", List.of(30.0, 10.0), 20);
    assertEquals(20, even.median());
    assertFalse(even.holds(), "at the bar is not below it");
    assertTrue(even.row().endsWith("**no** |"));
  }

  @Test
  void nothingMeasuredIsNoSuccess() {
    assertThrows(
        IllegalArgumentException.class, () -> new Figure("x", "ms", List.of(), Figure.NONE));
  }
}
