package dev.grpsqlite.e2e.history;

import static dev.grpsqlite.e2e.history.Histories.kinds;
import static dev.grpsqlite.e2e.history.Histories.ok;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Registers that are and that are not linearizable. */
class RegisterCheckerTest {
  private static void assertGood(Transaction... history) {
    assertEquals(List.of(), RegisterChecker.check(List.of(history)));
  }

  private static void assertBad(Transaction... history) {
    assertEquals(List.of(Anomaly.NOT_LINEARIZABLE), kinds(RegisterChecker.check(List.of(history))));
  }

  @Test
  void oneAfterTheOtherIsGood() {
    assertGood(
        ok("a", 1, 2, "g1:0"),
        ok("b", 3, 4, "w1:10"),
        ok("c", 5, 6, "g1:10"),
        ok("d", 7, 8, "s1:10,11,1"),
        ok("e", 9, 10, "s1:10,12,0"),
        ok("f", 11, 12, "g1:11"),
        ok("other key", 11, 12, "g2:0"));
  }

  @Test
  void atTheSameTimeTheFirstChoiceMayBeWrong() {
    assertGood(
        ok("a", 1, 10, "w1:10"),
        ok("b", 1, 10, "w1:11"),
        ok("c", 2, 9, "s1:11,12,1"),
        ok("d", 11, 12, "g1:10"));
  }

  @Test
  void whatTookEffectWithoutAnAnswerMayBeLate() {
    assertGood(
        ok("u", 1, Transaction.NEVER, "w1:10"),
        ok("r", 5, 6, "g1:0"),
        ok("s", 7, 8, "g1:10"),
        ok("killed", 9, Transaction.NEVER, "s1:10,11"),
        ok("t", 10, 11, "g1:11"));
  }

  @Test
  void staleRead() {
    assertBad(ok("w", 1, 2, "w1:10"), ok("r", 3, 4, "g1:0"));
  }

  @Test
  void nonMonotonicReads() {
    assertBad(ok("w", 1, 50, "w1:10"), ok("r", 3, 4, "g1:10"), ok("r", 5, 6, "g1:0"));
  }

  @Test
  void bothSwapsOfOneValue() {
    assertBad(ok("w", 1, 2, "w1:10"), ok("a", 3, 9, "s1:10,11,1"), ok("b", 3, 9, "s1:10,12,1"));
  }

  @Test
  void aSwapThatShouldHaveBeen() {
    assertBad(ok("w", 1, 2, "w1:10"), ok("a", 3, 4, "s1:10,11,0"));
  }

  @Test
  void aLostWrite() {
    assertBad(ok("a", 1, 2, "w1:10"), ok("b", 3, 4, "w1:11"), ok("r", 5, 6, "g1:10"));
  }

  @Test
  void randomSerialHistories() {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Random random = new Random(seed);
    for (int round = 0; round < 50; round++) {
      List<Transaction> history = new ArrayList<>();
      long value = 0;
      for (int i = 0; i < 200; i++) {
        String step;
        switch (random.nextInt(3)) {
          case 0 -> {
            value = 1000L + i;
            step = "w1:" + value;
          }
          case 1 -> step = "g1:" + value;
          default -> {
            boolean right = random.nextBoolean();
            step = "s1:" + (right ? value : 1) + "," + (2000 + i) + "," + (right ? 1 : 0);
            value = right ? 2000L + i : value;
          }
        }
        long spread = random.nextInt(60);
        history.add(ok("t" + i, Math.max(0, i * 10L - spread), i * 10L + spread, step));
      }
      Collections.shuffle(history, random);
      String context = "-Dgrpsqlite.seed=" + seed;
      assertEquals(List.of(), RegisterChecker.check(history), context);
      history.add(ok("wrong", 5000, 5001, "g1:0"));
      assertEquals(
          List.of(Anomaly.NOT_LINEARIZABLE), kinds(RegisterChecker.check(history)), context);
    }
  }
}
