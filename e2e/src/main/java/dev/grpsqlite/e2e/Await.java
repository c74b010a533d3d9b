package dev.grpsqlite.e2e;

import java.time.Duration;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** Waits for something to become so, until a deadline. */
public final class Await {
  private static final long PAUSE_MS = 20;

  private Await() {}

  /** A condition that may fail to be looked at. */
  @FunctionalInterface
  public interface Condition {
    boolean holds() throws Exception;
  }

  /**
   * Returns when the condition holds.
   *
   * @param what completes "waited ... for"
   * @param state is asked for what there is instead, when the time is over
   */
  public static void until(
      String what, Duration atMost, Condition condition, Supplier<? extends @Nullable Object> state)
      throws Exception {
    long deadline = System.nanoTime() + atMost.toNanos();
    while (!condition.holds()) {
      if (System.nanoTime() - deadline > 0) {
        throw new AssertionError("waited " + atMost + " for " + what + "; " + state.get());
      }
      Thread.sleep(PAUSE_MS);
    }
  }

  public static void until(String what, Duration atMost, Condition condition) throws Exception {
    until(what, atMost, condition, () -> "it did not happen");
  }
}
