package dev.grpsqlite.server.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class RetentionTest {
  @Test
  void readsWhatPeopleWrite() {
    assertEquals(Retention.FOREVER, Retention.parse("forever"));
    assertEquals(Retention.NONE, Retention.parse("0"));
    assertEquals(Retention.lasting(Duration.ofMillis(500)), Retention.parse("500ms"));
    assertEquals(Retention.lasting(Duration.ofSeconds(90)), Retention.parse("90s"));
    assertEquals(Retention.lasting(Duration.ofMinutes(10)), Retention.parse("10m"));
    assertEquals(Retention.lasting(Duration.ofHours(24)), Retention.parse("24h"));
    assertEquals(Retention.lasting(Duration.ofDays(7)), Retention.parse("7d"));
    assertEquals(new Retention(false, Duration.ZERO, 1), Retention.parse("1version"));
    assertEquals(new Retention(false, Duration.ZERO, 100), Retention.parse("100versions"));
    Retention both = new Retention(false, Duration.ofMinutes(10), 100);
    assertEquals(both, Retention.parse("10m,100versions"));
    assertEquals(both, Retention.parse("100versions, 10m"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "10",
        "m",
        "-1m",
        "1.5h",
        "10m,",
        "10m,5s",
        "1versions,2versions",
        "never",
        "Forever",
        "9999999999999d"
      })
  void saysWhatItDoesNotUnderstand(String text) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Retention.parse(text));
    assertTrue(String.valueOf(e.getMessage()).startsWith("\"" + text + "\""), e.getMessage());
    assertEquals(e.getMessage(), Retention.problem(text));
    assertEquals("", Retention.problem("10m"));
  }
}
