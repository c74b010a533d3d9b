package dev.grpsqlite.e2e.history;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.util.Arrays;
import java.util.List;

/** Histories made by hand. */
final class Histories {
  private Histories() {}

  /** A transaction from one moment to another; steps as {@link Step} has them as text. */
  static Transaction at(String id, long begun, long ended, Outcome outcome, String steps) {
    return new Transaction(
        id,
        "list",
        outcome,
        begun,
        ended,
        Arrays.stream(steps.split(" ", -1)).map(Step::parse).toList(),
        0);
  }

  static Transaction ok(String id, long begun, long ended, String steps) {
    return at(id, begun, ended, Outcome.OK, steps);
  }

  /** Without those that are there twice, in order. */
  static List<Anomaly> kinds(List<Violation> violations) {
    return violations.stream().map(Violation::anomaly).distinct().sorted().toList();
  }
}
