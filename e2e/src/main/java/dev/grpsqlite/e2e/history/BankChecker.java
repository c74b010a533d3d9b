package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Step.Kind;
import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/**
 * Money that is moved between accounts is neither made nor lost: every read sees the same sum, and
 * the last one sees each account as all committed moves leave it.
 */
public final class BankChecker {
  private BankChecker() {}

  /** What is wrong. Accounts count from 0, and each has the same at first. */
  public static List<Violation> check(List<Transaction> transactions, int accounts, long balance) {
    List<Violation> violations = new ArrayList<>();
    List<Long> expected = new ArrayList<>(Collections.nCopies(accounts, balance));
    for (Transaction transaction : transactions) {
      if (transaction.outcome() != Outcome.OK) {
        continue;
      }
      for (Step step : transaction.steps()) {
        if (step.kind() == Kind.MOVE) {
          int from = (int) step.key();
          int to = step.values().get(0).intValue();
          expected.set(from, expected.get(from) - step.values().get(1));
          expected.set(to, expected.get(to) + step.values().get(1));
        } else if (sum(step.values()) != accounts * balance) {
          violations.add(new Violation(Anomaly.WRONG_SUM, transaction.toString()));
        }
      }
    }
    Optional<Transaction> last =
        transactions.stream()
            .filter(t -> t.outcome() == Outcome.OK && !t.writes())
            .max(Comparator.comparingLong(Transaction::begun));
    last.ifPresent(
        read -> {
          List<Long> found = read.steps().get(read.steps().size() - 1).values();
          if (!found.equals(expected)) {
            violations.add(
                new Violation(
                    Anomaly.LOST_COMMIT, "at the end " + found + ", should be " + expected));
          }
        });
    return violations;
  }

  private static long sum(List<Long> balances) {
    return balances.stream().mapToLong(Long::longValue).sum();
  }
}
