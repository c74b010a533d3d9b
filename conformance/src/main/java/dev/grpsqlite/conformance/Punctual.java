package dev.grpsqlite.conformance;

import io.grpc.StatusRuntimeException;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Watches that a rule says what it has to say in time. A server is not to blame for what a client
 * loses that was too slow, on a busy machine, to keep it.
 */
final class Punctual {
  private final long nanos;
  private final LongSupplier nanoTime;
  private long renewed;

  /** So long may pass at most from when it is renewed to the answer of what follows. */
  Punctual(long millis) {
    this(millis, System::nanoTime);
  }

  /**
   * @param nanoTime a clock as {@link System#nanoTime}
   */
  Punctual(long millis, LongSupplier nanoTime) {
    this.nanos = TimeUnit.MILLISECONDS.toNanos(millis);
    this.nanoTime = nanoTime;
    this.renewed = nanoTime.getAsLong();
  }

  /** Does what renews it, and what the server must allow if it comes in time. */
  void renew(Expect.Action action) throws Exception {
    long begun = nanoTime.getAsLong();
    expect(action);
    renewed = begun;
  }

  /** Does what comes out well if it is still kept. */
  void expect(Expect.Action action) throws Exception {
    try {
      action.run();
    } catch (StatusRuntimeException | Violation e) {
      long late = nanoTime.getAsLong() - renewed - nanos;
      if (late <= 0) {
        throw e;
      }
      NotShown notShown =
          new NotShown(
              "this machine is too busy: the kit itself, or an answer, was "
                  + TimeUnit.NANOSECONDS.toMillis(late)
                  + " ms late");
      notShown.addSuppressed(e);
      throw notShown;
    }
  }
}
