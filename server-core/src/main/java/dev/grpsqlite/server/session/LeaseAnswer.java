package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.LeaseState;
import org.jspecify.annotations.Nullable;

/**
 * What became of a request for a lease.
 *
 * @param state as the store last told it; if not granted, of another holder, or free
 * @param move from the version that the caller has, if that was asked and the lease was taken; with
 *     {@link Outcome#HEAD_MOVED} it was given back, unless another request had been told of it
 */
public record LeaseAnswer(Outcome outcome, LeaseState state, Heads.@Nullable Move move) {

  /** The possible ends. */
  public enum Outcome {
    GRANTED,
    /** Another session has it, or is to have it first. */
    HELD,
    /** The head is not where the caller needs it. */
    HEAD_MOVED
  }

  static LeaseAnswer held(LeaseState state) {
    return new LeaseAnswer(Outcome.HELD, state, null);
  }

  public boolean isGranted() {
    return outcome == Outcome.GRANTED;
  }
}
