package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Linearizability of registers: each transaction reads, sets, or compares and sets one key.
 *
 * <p>Keys are independent (a history is linearizable if and only if it is for each key alone), so
 * each is searched by itself, as Wing and Gong do it: take one of the operations that nothing
 * undone must precede, see whether the register allows it, go on, or come back and take another.
 * With Lowe's memory: a set of operations done and a value that were tried once are not tried
 * again. Sound and complete. Unknown operations must have been resolved; one that took effect may
 * have done so any time after it began.
 */
public final class RegisterChecker {
  /** A register that was never set. */
  public static final long INITIAL = 0;

  private record Operation(Transaction transaction, Step step) {}

  private record Tried(BitSet done, long value) {}

  /** A choice that was made, and where to go on if it was wrong. */
  private record Choice(int operation, long valueBefore) {}

  private final List<Operation> operations;

  private RegisterChecker(List<Operation> operations) {
    this.operations = operations;
  }

  /** What is wrong; failed transactions are left out, unknown ones are refused. */
  public static List<Violation> check(List<Transaction> transactions) {
    Map<Long, List<Operation>> byKey = new TreeMap<>();
    for (Transaction transaction : transactions) {
      switch (transaction.outcome()) {
        case OK -> {
          for (Step step : transaction.steps()) {
            byKey
                .computeIfAbsent(step.key(), key -> new ArrayList<>())
                .add(new Operation(transaction, step));
          }
        }
        case FAIL -> {}
        case UNKNOWN -> throw new IllegalArgumentException("not resolved: " + transaction);
      }
    }
    List<Violation> violations = new ArrayList<>();
    byKey.forEach(
        (key, operations) -> {
          operations.sort(Comparator.comparingLong(o -> o.transaction.begun()));
          int stuck = new RegisterChecker(operations).stuckAt();
          if (stuck >= 0) {
            violations.add(
                new Violation(
                    Anomaly.NOT_LINEARIZABLE,
                    "register " + key + ", not beyond " + operations.get(stuck)));
          }
        });
    return violations;
  }

  /** -1 if there is an order; else the first operation that is in none of the orders tried. */
  private int stuckAt() {
    BitSet done = new BitSet(operations.size());
    Set<Tried> tried = new HashSet<>();
    Deque<Choice> choices = new ArrayDeque<>();
    long value = INITIAL;
    int candidate = 0;
    int furthest = 0;
    while (done.cardinality() < operations.size()) {
      int first = done.nextClearBit(0);
      furthest = Math.max(furthest, first);
      int chosen = choose(done, tried, value, Math.max(candidate, first));
      if (chosen >= 0) {
        choices.push(new Choice(chosen, value));
        value = after(operations.get(chosen), value);
        candidate = 0;
      } else if (choices.isEmpty()) {
        return furthest;
      } else {
        Choice wrong = choices.pop();
        done.clear(wrong.operation);
        value = wrong.valueBefore;
        candidate = wrong.operation + 1;
      }
    }
    return -1;
  }

  /**
   * The next operation, from this one on, that may be next and was not tried; it is marked as done.
   */
  private int choose(BitSet done, Set<Tried> tried, long value, int from) {
    // What begins after an undone one has ended must come after it.
    long earliestEnd = Transaction.NEVER;
    for (int i = done.nextClearBit(0); i < operations.size(); i = done.nextClearBit(i + 1)) {
      if (operations.get(i).transaction.begun() > earliestEnd) {
        break;
      }
      earliestEnd = Math.min(earliestEnd, operations.get(i).transaction.ended());
    }
    for (int i = done.nextClearBit(from); i < operations.size(); i = done.nextClearBit(i + 1)) {
      Operation operation = operations.get(i);
      if (operation.transaction.begun() > earliestEnd) {
        break;
      }
      if (allows(operation, value)) {
        done.set(i);
        if (tried.add(new Tried((BitSet) done.clone(), after(operation, value)))) {
          return i;
        }
        done.clear(i);
      }
    }
    return -1;
  }

  private static boolean allows(Operation operation, long value) {
    Step step = operation.step;
    return switch (step.kind()) {
      case SET -> true;
      case GET -> step.values().get(0) == value;
      case SWAP -> !isKnown(step) || (step.values().get(0) == value) == isSwapped(step);
      default -> throw new IllegalArgumentException("not of a register: " + step);
    };
  }

  private static long after(Operation operation, long value) {
    Step step = operation.step;
    return switch (step.kind()) {
      case SET -> step.values().get(0);
      case SWAP ->
          (isKnown(step) ? isSwapped(step) : step.values().get(0) == value)
              ? step.values().get(1)
              : value;
      default -> value;
    };
  }

  /** Whether its client lived to see what came of it. */
  private static boolean isKnown(Step swap) {
    return swap.values().size() == 3;
  }

  private static boolean isSwapped(Step swap) {
    return swap.values().get(2) == 1;
  }
}
