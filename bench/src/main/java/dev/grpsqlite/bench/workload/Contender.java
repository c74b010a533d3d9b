package dev.grpsqlite.bench.workload;

/**
 * A workload in one place, ready to be measured any number of times.
 *
 * @param name of the place
 */
public record Contender(String name, Measurement measurement) {
  /** Does the work once and says what it took. */
  public interface Measurement {
    Sample take() throws Exception;
  }
}
