package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What a history says, all workloads together.
 *
 * <p>Every transaction that writes also leaves its id in the database, its mark. So what became of
 * an unknown one is found by looking, whoever has overwritten the rest since: it is taken as
 * committed if its mark is there and as failed if not, and the checkers then see whether all of it
 * is there, or nothing.
 *
 * @param whole how many transactions of unknown outcome had been committed
 * @param absent and how many had not
 */
public record Verdict(
    List<Violation> violations, int ok, int failed, int whole, int absent, int steps) {
  /** SQLite's result codes that a fault or another client explains. */
  private static final Set<Integer> EXPLAINED = Set.of(0, 5, 10, 14);

  public Verdict {
    violations = List.copyOf(violations);
  }

  /**
   * Judges.
   *
   * @param accounts of the bank, and of each side of the pair
   * @param balance that each had at first
   */
  public static Verdict of(History history, int accounts, long balance) {
    List<Violation> violations = new ArrayList<>();
    int[] counts = new int[4];
    List<Transaction> resolved = new ArrayList<>();
    Set<String> known = new HashSet<>();
    for (Transaction transaction : history.transactions()) {
      known.add(transaction.id());
      if (!EXPLAINED.contains(transaction.error())) {
        violations.add(
            new Violation(Anomaly.WRONG_ERROR, transaction.error() + " in " + transaction));
      }
    }
    for (String workload : workloads(history)) {
      Map<String, Integer> marks = history.marksOf(workload);
      for (Transaction transaction : history.of(workload)) {
        resolved.add(resolve(transaction, marks, violations, counts));
      }
      marks.forEach(
          (id, times) -> {
            if (times > 1) {
              violations.add(new Violation(Anomaly.APPLIED_TWICE, id + " in " + workload));
            }
            if (!known.contains(id)) {
              violations.add(new Violation(Anomaly.INVENTED_READ, "mark " + id));
            }
          });
    }
    checkPair(history, violations);
    History all = new History(resolved, history.marks());
    violations.addAll(RegisterChecker.check(all.of("register")));
    violations.addAll(ListChecker.check(all.of("list")));
    violations.addAll(BankChecker.check(all.of("bank"), accounts, balance));
    violations.addAll(BankChecker.check(all.of("pair"), 2 * accounts, balance));
    int steps = resolved.stream().mapToInt(t -> t.steps().size()).sum();
    return new Verdict(violations, counts[0], counts[1], counts[2], counts[3], steps);
  }

  private static Set<String> workloads(History history) {
    Set<String> workloads = new HashSet<>();
    history.transactions().forEach(t -> workloads.add(t.workload()));
    return workloads;
  }

  private static Transaction resolve(
      Transaction transaction,
      Map<String, Integer> marks,
      List<Violation> violations,
      int[] counts) {
    boolean isThere = marks.containsKey(transaction.id());
    switch (transaction.outcome()) {
      case OK -> {
        counts[0]++;
        if (transaction.writes() && !isThere) {
          violations.add(new Violation(Anomaly.LOST_COMMIT, transaction.toString()));
        }
        return transaction;
      }
      case FAIL -> {
        counts[1]++;
        if (isThere) {
          violations.add(new Violation(Anomaly.FAILED_BUT_APPLIED, transaction.toString()));
        }
        return transaction;
      }
      case UNKNOWN -> {
        counts[isThere ? 2 : 3]++;
        return transaction.resolved(isThere ? Outcome.OK : Outcome.FAIL);
      }
    }
    throw new IllegalStateException(transaction.toString());
  }

  /** The second database of the pair has the same marks as the first. */
  private static void checkPair(History history, List<Violation> violations) {
    Set<String> left = history.marksOf("pair").keySet();
    Set<String> right = history.marksOf("pair-right").keySet();
    Set<String> either = new HashSet<>(left);
    either.addAll(right);
    either.removeIf(id -> left.contains(id) && right.contains(id));
    either.forEach(
        id -> violations.add(new Violation(Anomaly.NOT_WHOLE, id + " in one of two databases")));
  }
}
