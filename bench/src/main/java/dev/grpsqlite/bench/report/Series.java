package dev.grpsqlite.bench.report;

import java.util.List;
import java.util.stream.IntStream;

/**
 * What one thing measured, round by round, in the rounds' order.
 *
 * @param values at least one
 */
public record Series(List<Double> values) {
  public Series {
    if (values.isEmpty()) {
      throw new IllegalArgumentException("nothing was measured");
    }
    values = List.copyOf(values);
  }

  public double median() {
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    return sorted.size() % 2 == 1
        ? sorted.get(middle)
        : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
  }

  public double least() {
    return values.stream().mapToDouble(Double::doubleValue).min().orElseThrow();
  }

  public double most() {
    return values.stream().mapToDouble(Double::doubleValue).max().orElseThrow();
  }

  /** From least to most, as a part of the median: 0.1 is ±5 %. */
  public double spread() {
    return median() == 0 ? 0 : (most() - least()) / Math.abs(median());
  }

  /**
   * This one's value to the other's of the same round: what slowed the machine down for a round
   * slowed both.
   */
  public Series to(Series other) {
    checkRounds(other);
    return new Series(
        IntStream.range(0, values.size())
            .mapToObj(i -> values.get(i) / other.values.get(i))
            .toList());
  }

  /** Round by round. */
  public Series plus(Series other) {
    checkRounds(other);
    return new Series(
        IntStream.range(0, values.size())
            .mapToObj(i -> values.get(i) + other.values.get(i))
            .toList());
  }

  private void checkRounds(Series other) {
    if (values.size() != other.values.size()) {
      throw new IllegalArgumentException(
          values.size() + " rounds beside " + other.values.size() + " are no pairs");
    }
  }
}
