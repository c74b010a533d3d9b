package dev.grpsqlite.bench.workload;

import java.util.Map;

/**
 * What one place did in one round.
 *
 * @param seconds per operation
 * @param counts of what else, per operation
 */
public record Sample(double seconds, Map<String, Double> counts) {
  Sample(double seconds) {
    this(seconds, Map.of());
  }
}
