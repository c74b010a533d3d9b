package dev.grpsqlite.bench.workload;

import java.util.concurrent.TimeUnit;

/** Clocks for measurements. */
final class Timed {
  private static final double NANOS = 1e9;

  private Timed() {}

  /** An operation; it is told how many came before it in this measurement. */
  interface Operation {
    void run(int number) throws Exception;
  }

  /** How many operations took how long. */
  record Run(int operations, double seconds) {
    double each() {
      return seconds / operations;
    }
  }

  /** Seconds of doing something once. */
  static double once(Operation operation) throws Exception {
    return times(1, operation).seconds();
  }

  /** Does it this often. */
  static Run times(int count, Operation operation) throws Exception {
    long begun = System.nanoTime();
    for (int i = 0; i < count; i++) {
      operation.run(i);
    }
    return new Run(count, (System.nanoTime() - begun) / NANOS);
  }

  /** Does it again and again for a time, at least once. */
  static Run during(int millis, Operation operation) throws Exception {
    long begun = System.nanoTime();
    long end = begun + TimeUnit.MILLISECONDS.toNanos(millis);
    int count = 0;
    long now;
    do {
      operation.run(count++);
      now = System.nanoTime();
    } while (now < end);
    return new Run(count, (now - begun) / NANOS);
  }
}
