package dev.grpsqlite.e2e.history;

import java.util.List;

/**
 * One transaction of one client, as the client saw it.
 *
 * @param id of this transaction alone
 * @param workload which database and what kind of steps
 * @param begun on the clock that all clients share, in nanoseconds: it had no effect before
 * @param ended it had all its effect before; {@link #NEVER} if that is not known
 * @param steps of an unknown one perhaps only what was planned
 * @param error SQLite's result code; 0 without one
 */
public record Transaction(
    String id,
    String workload,
    Outcome outcome,
    long begun,
    long ended,
    List<Step> steps,
    int error) {
  public static final long NEVER = Long.MAX_VALUE;

  public Transaction {
    steps = List.copyOf(steps);
  }

  /** The same, now that it is known how it ended. An unknown one may take effect until the end. */
  Transaction resolved(Outcome known) {
    return new Transaction(id, workload, known, begun, ended, steps, error);
  }

  boolean writes() {
    return steps.stream().anyMatch(Step::writes);
  }

  @Override
  public String toString() {
    return id + " " + outcome + " " + steps;
  }
}
