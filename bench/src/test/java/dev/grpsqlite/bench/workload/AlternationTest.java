package dev.grpsqlite.bench.workload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.grpsqlite.bench.report.Comparison.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class AlternationTest {
  private final List<String> turns = new ArrayList<>();

  private Contender contender(String name) {
    return new Contender(
        name,
        () -> {
          turns.add(name);
          return new Sample(turns.size(), Map.of("turns", turns.size() * 10.0));
        });
  }

  private static Measured run(List<Contender> contenders, int rounds) throws Exception {
    return Alternation.run(contenders, rounds, rounds, 0, 0, System::nanoTime);
  }

  @Test
  void whatTakesLongHasFewerRoundsAndWarmingUpIsNotInItsTime() throws Exception {
    Measured measured =
        Alternation.run(List.of(contender("a"), contender("b")), 2, 9, 5, 4, turns::size);
    assertEquals(3, measured.seconds("a").values().size());
    assertEquals(3, measured.seconds("b").values().size());
    measured = Alternation.run(List.of(contender("a")), 2, 4, Long.MAX_VALUE, 0, System::nanoTime);
    assertEquals(4, measured.seconds("a").values().size());
  }

  @Test
  void everyOtherRoundGoesBackwardsAndTheFirstCountsForNothing() throws Exception {
    Measured measured = run(List.of(contender("a"), contender("b"), contender("c")), 2);
    assertEquals(List.of("a", "b", "c", "c", "b", "a", "a", "b", "c"), turns);
    assertEquals(List.of(6.0, 7.0), measured.seconds("a").values());
    assertEquals(List.of(5.0, 8.0), measured.seconds("b").values());
    assertEquals(List.of(40.0, 90.0), measured.count("c", "turns").values());
  }

  @Test
  void eachPlaceIsRepeatedForAsLongAsItMayWarmUpAndItsFirstTurnIsKept() throws Exception {
    Measured measured =
        Alternation.run(List.of(contender("a"), contender("b")), 1, 1, 0, 3, turns::size);
    assertEquals(List.of("a", "a", "a", "b", "b", "b", "b", "a"), turns);
    assertEquals(List.of(1.0, 4.0), measured.rows().stream().map(Row::first).toList());
    assertEquals(List.of(8.0), measured.seconds("a").values());
  }

  @Test
  void rowsAreInTheOrderOfThePlaces() throws Exception {
    Measured measured = run(List.of(contender("z"), contender("a")), 1);
    assertEquals(List.of("z", "a"), measured.rows().stream().map(Row::place).toList());
    assertEquals(Map.of("turns", 40.0), measured.rows().get(0).counts());
  }

  @Test
  void whatWasNotMeasuredIsNotMadeUp() throws Exception {
    Measured measured = run(List.of(contender("a")), 1);
    assertThrows(IllegalArgumentException.class, () -> measured.seconds("b"));
    assertThrows(IllegalArgumentException.class, () -> measured.count("a", "round trips"));
    assertThrows(
        IllegalArgumentException.class, () -> run(List.of(contender("a"), contender("a")), 1));
  }
}
