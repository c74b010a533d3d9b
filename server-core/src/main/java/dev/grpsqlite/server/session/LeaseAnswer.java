package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.LeaseState;
import org.jspecify.annotations.Nullable;

/**
 * What became of a request for a lease.
 *
 * @param state as the store last told it; of another holder, if not granted
 * @param move from the version that the caller has, if that was asked and the lease was taken; with
 *     {@link Outcome#HEAD_MOVED} it was given back
 * @param isNew whether the session did not have it before
 */
public record LeaseAnswer(
    Outcome outcome, LeaseState state, Heads.@Nullable Move move, boolean isNew) {

  /** The possible ends. */
  public enum Outcome {
    GRANTED,
    /** Another session has it, or is to have it first. */
    HELD,
    /** The head is not where the caller needs it. */
    HEAD_MOVED
  }

  static LeaseAnswer held(LeaseState state) {
    return new LeaseAnswer(Outcome.HELD, state, null, false);
  }

  public boolean isGranted() {
    return outcome == Outcome.GRANTED;
  }
}
