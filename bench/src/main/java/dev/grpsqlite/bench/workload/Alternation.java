package dev.grpsqlite.bench.workload;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * The order in which places take their turns. A round is one turn of each; every other one goes
 * backwards, so that nobody always comes after the same neighbour, or always first. The round
 * before the first is for compilers and caches, and does not count: in it, a place goes on until it
 * has had its time for that. What its very first turn took is kept, for that is what somebody sees
 * who comes to a server that has just started.
 */
final class Alternation {
  private Alternation() {}

  /**
   * Runs as many rounds as there may be, or as fit.
   *
   * @param least so many, however long they take
   * @param mostNanos after which none of the others is begun, from the first that counts on
   * @param warmUpNanos of each place, before the rounds that count; it has one turn at least
   * @param clock in nanoseconds
   */
  static Measured run(
      List<Contender> contenders,
      int least,
      int most,
      long mostNanos,
      long warmUpNanos,
      LongSupplier clock)
      throws Exception {
    Map<String, List<Sample>> samples = new LinkedHashMap<>();
    Map<String, Double> first = new LinkedHashMap<>();
    for (Contender each : contenders) {
      if (samples.put(each.name(), new ArrayList<>()) != null) {
        throw new IllegalArgumentException("two places are called " + each.name());
      }
    }
    List<Contender> order = new ArrayList<>(contenders);
    for (Contender each : order) {
      long warmFrom = clock.getAsLong();
      do {
        first.putIfAbsent(each.name(), each.measurement().take().seconds());
      } while (clock.getAsLong() - warmFrom < warmUpNanos);
    }
    long begun = clock.getAsLong();
    for (int round = 1;
        round <= most && (round <= least || clock.getAsLong() - begun < mostNanos);
        round++) {
      Collections.reverse(order);
      for (Contender each : order) {
        Sample sample = each.measurement().take();
        samples.computeIfAbsent(each.name(), name -> new ArrayList<>()).add(sample);
      }
    }
    return new Measured(samples, first);
  }
}
