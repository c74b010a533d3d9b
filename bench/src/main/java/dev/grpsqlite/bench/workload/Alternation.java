package dev.grpsqlite.bench.workload;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;

/**
 * The order in which places take their turns. A round is one turn of each; every other one goes
 * backwards, so that nobody always comes after the same neighbour, or always first. The round
 * before the first is for compilers and caches, and counts for nothing.
 */
final class Alternation {
  private Alternation() {}

  /**
   * Runs as many rounds as there may be, or as fit.
   *
   * @param least so many, however long they take
   * @param goOn asked before each of the others
   */
  static Measured run(List<Contender> contenders, int least, int most, BooleanSupplier goOn)
      throws Exception {
    Map<String, List<Sample>> samples = new LinkedHashMap<>();
    for (Contender each : contenders) {
      if (samples.put(each.name(), new ArrayList<>()) != null) {
        throw new IllegalArgumentException("two places are called " + each.name());
      }
    }
    List<Contender> order = new ArrayList<>(contenders);
    for (int round = 0; round <= most && (round <= least || goOn.getAsBoolean()); round++) {
      for (Contender each : order) {
        Sample sample = each.measurement().take();
        if (round > 0) {
          samples.computeIfAbsent(each.name(), name -> new ArrayList<>()).add(sample);
        }
      }
      Collections.reverse(order);
    }
    return new Measured(samples);
  }
}
