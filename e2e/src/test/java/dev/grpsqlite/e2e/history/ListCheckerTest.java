package dev.grpsqlite.e2e.history;

import static dev.grpsqlite.e2e.history.Histories.at;
import static dev.grpsqlite.e2e.history.Histories.kinds;
import static dev.grpsqlite.e2e.history.Histories.ok;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Good histories are good, and each kind of bad one is found under its name. */
class ListCheckerTest {
  private static final long LATE = 1000;

  private static void assertFinds(Anomaly expected, Transaction... history) {
    assertEquals(List.of(expected), kinds(ListChecker.check(List.of(history))));
  }

  private static void assertGood(Transaction... history) {
    assertEquals(List.of(), ListChecker.check(List.of(history)));
  }

  @Test
  void oneAfterTheOtherIsGood() {
    assertGood(
        ok("a", 1, 2, "a1:10 l1:10"),
        ok("b", 3, 4, "l1:10 a1:11 a2:20 l1:10,11"),
        ok("c", 5, 6, "l1:10,11 l2:20"),
        ok("end", LATE, LATE + 1, "l1:10,11 l2:20"));
  }

  @Test
  void atTheSameTimeEitherOrderIsGood() {
    assertGood(
        ok("a", 1, 10, "a1:10"),
        ok("before", 2, 9, "l1:"),
        ok("after", 2, 9, "l1:10"),
        ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void anUnknownOneMayHappenLateOrNever() {
    Transaction unknown = at("u", 1, Transaction.NEVER, Outcome.UNKNOWN, "a1:10 a2:20");
    assertGood(unknown, ok("early", 5, 6, "l1:"), ok("end", LATE, LATE + 1, "l1:10 l2:20"));
    assertGood(unknown, ok("early", 5, 6, "l1:"), ok("end", LATE, LATE + 1, "l1: l2:"));
  }

  @Test
  void halfOfAnUnknownOne() {
    assertFinds(
        Anomaly.NOT_WHOLE,
        at("u", 1, Transaction.NEVER, Outcome.UNKNOWN, "a1:10 a2:20"),
        ok("end", LATE, LATE + 1, "l1:10 l2:"));
  }

  @Test
  void abortedRead() {
    assertFinds(
        Anomaly.ABORTED_READ,
        at("f", 1, 2, Outcome.FAIL, "a1:10"),
        ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void intermediateRead() {
    assertFinds(
        Anomaly.INTERMEDIATE_READ,
        ok("w", 1, 9, "a1:10 a1:11"),
        ok("r", 2, 8, "l1:10"),
        ok("end", LATE, LATE + 1, "l1:10,11"));
  }

  @Test
  void lostAppend() {
    assertFinds(Anomaly.LOST_COMMIT, ok("w", 1, 2, "a1:10"), ok("end", LATE, LATE + 1, "l1:"));
  }

  @Test
  void duplicateAppend() {
    assertFinds(
        Anomaly.APPLIED_TWICE, ok("w", 1, 2, "a1:10"), ok("end", LATE, LATE + 1, "l1:10,10"));
  }

  @Test
  void inventedValue() {
    assertFinds(Anomaly.INVENTED_READ, ok("end", LATE, LATE + 1, "l1:77"));
  }

  @Test
  void itDoesNotSeeItsOwn() {
    assertFinds(Anomaly.INTERNAL, ok("w", 1, 2, "a1:10 l1:"), ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void itSeesTwoStates() {
    assertFinds(
        Anomaly.INTERNAL,
        ok("w", 1, 9, "a1:10"),
        ok("r", 1, 9, "l1: l1:10"),
        ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void readsThatNoOrderExplains() {
    assertFinds(
        Anomaly.INCOMPATIBLE_ORDER,
        ok("a", 1, 9, "a1:10"),
        ok("b", 1, 9, "a1:11"),
        ok("r", 2, 8, "l1:11"),
        ok("end", LATE, LATE + 1, "l1:10,11"));
  }

  @Test
  void writesCrosswise() {
    assertFinds(
        Anomaly.WRITE_CYCLE,
        ok("a", 1, 9, "a1:10 a2:20"),
        ok("b", 1, 9, "a1:11 a2:21"),
        ok("end", LATE, LATE + 1, "l1:10,11 l2:21,20"));
  }

  @Test
  void eachSawTheOther() {
    assertFinds(
        Anomaly.CIRCULAR_READ,
        ok("a", 1, 9, "a1:10 l2:20"),
        ok("b", 1, 9, "a2:20 l1:10"),
        ok("end", LATE, LATE + 1, "l1:10 l2:20"));
  }

  @Test
  void lostUpdate() {
    assertFinds(
        Anomaly.LOST_UPDATE,
        ok("a", 1, 9, "l1: a1:10"),
        ok("b", 1, 9, "l1: a1:11"),
        ok("end", LATE, LATE + 1, "l1:10,11"));
  }

  @Test
  void readSkew() {
    assertFinds(
        Anomaly.READ_SKEW,
        ok("w", 1, 9, "a1:10 a2:20"),
        ok("r", 1, 9, "l1: l2:20"),
        ok("end", LATE, LATE + 1, "l1:10 l2:20"));
  }

  @Test
  void writeSkew() {
    assertFinds(
        Anomaly.WRITE_SKEW,
        ok("a", 1, 9, "l1: a2:20"),
        ok("b", 1, 9, "l2: a1:10"),
        ok("end", LATE, LATE + 1, "l1:10 l2:20"));
  }

  @Test
  void staleRead() {
    assertFinds(
        Anomaly.STALE_READ,
        ok("w", 1, 2, "a1:10"),
        ok("r", 3, 4, "l1:"),
        ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void nonMonotonicReads() {
    assertFinds(
        Anomaly.STALE_READ,
        ok("w", 1, 50, "a1:10"),
        ok("r", 3, 4, "l1:10"),
        ok("r again", 5, 6, "l1:"),
        ok("end", LATE, LATE + 1, "l1:10"));
  }

  @Test
  void aWriteThatCameBeforeAnEarlierOne() {
    assertFinds(
        Anomaly.STALE_READ,
        ok("first", 1, 2, "a1:10"),
        ok("second", 3, 4, "a1:11"),
        ok("end", LATE, LATE + 1, "l1:11,10"));
  }

  /** Serial histories are good in any order of arrival; with one read of an older state, bad. */
  @Test
  void randomSerialHistories() {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Random random = new Random(seed);
    for (int round = 0; round < 50; round++) {
      List<Transaction> history = new ArrayList<>();
      List<List<Long>> lists = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
      List<Transaction> stale = new ArrayList<>();
      for (int i = 0; i < 100; i++) {
        List<Step> steps = new ArrayList<>();
        for (int k = 0; k < 3; k++) {
          if (random.nextBoolean()) {
            steps.add(new Step(Step.Kind.LIST, k, lists.get(k)));
          }
          if (random.nextInt(3) == 0) {
            long value = i * 10L + k;
            lists.get(k).add(value);
            steps.add(Step.of(Step.Kind.APPEND, k, value));
          }
        }
        // Longer than its place in the order, so that the clocks allow other ones.
        long from = Math.max(0, i * 10L - random.nextInt(30));
        history.add(new Transaction("t" + i, "list", Outcome.OK, from, i * 10L + 9, steps, 0));
        if (i == 50) {
          stale.add(
              new Transaction(
                  "stale",
                  "list",
                  Outcome.OK,
                  990,
                  999,
                  List.of(new Step(Step.Kind.LIST, 0, lists.get(0))),
                  0));
        }
      }
      for (int k = 0; k < 3; k++) {
        history.add(
            new Transaction(
                "end" + k,
                "list",
                Outcome.OK,
                LATE + 100,
                LATE + 101,
                List.of(new Step(Step.Kind.LIST, k, lists.get(k))),
                0));
      }
      Collections.shuffle(history, random);
      String context = "-Dgrpsqlite.seed=" + seed;
      assertEquals(List.of(), ListChecker.check(history), context);
      history.addAll(stale);
      assertEquals(List.of(Anomaly.STALE_READ), kinds(ListChecker.check(history)), context);
    }
  }
}
