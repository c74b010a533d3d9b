package dev.grpsqlite.conformance;

import java.util.concurrent.TimeUnit;

/**
 * Watches that a rule says what it has to say in time. A server is not to blame for a client that
 * was too slow, on a busy machine, to keep what it had.
 */
final class Punctual {
  private final long nanos;
  private long last = System.nanoTime();

  /** So long may it take at most from one call of {@link #expect} to the next. */
  Punctual(long millis) {
    nanos = TimeUnit.MILLISECONDS.toNanos(millis);
  }

  void expect() throws NotShown {
    long now = System.nanoTime();
    long late = now - last - nanos;
    if (late > 0) {
      throw new NotShown(
          "this machine is too busy: the kit itself was "
              + TimeUnit.NANOSECONDS.toMillis(late)
              + " ms late");
    }
    last = now;
  }
}
