package dev.grpsqlite.e2e.history;

/** A promise that was not kept. */
public record Violation(Anomaly anomaly, String text) {
  /** The names that the literature has for them, where there is one. */
  public enum Anomaly {
    /** Acknowledged and not there. */
    LOST_COMMIT,
    /** Reported as failed and there. */
    FAILED_BUT_APPLIED,
    APPLIED_TWICE,
    /** A part of a transaction is there, another one is not. */
    NOT_WHOLE,
    /** G1a: what was read was written by a transaction that failed. */
    ABORTED_READ,
    /** G1b: what was read was overwritten by its own transaction. */
    INTERMEDIATE_READ,
    /** What was read was written by nobody. */
    INVENTED_READ,
    /** A transaction does not see what it wrote or read itself. */
    INTERNAL,
    /** Two reads for which there is no one order of writes. */
    INCOMPATIBLE_ORDER,
    /** G0: transactions overwrite each other crosswise. */
    WRITE_CYCLE,
    /** G1c: each saw, or wrote after, the other. */
    CIRCULAR_READ,
    /** G-single, two of them writing the same key after they read the same state of it. */
    LOST_UPDATE,
    /** G-single: a state that never was: something of a transaction was seen, and not all of it. */
    READ_SKEW,
    /** G2: each missed what another one wrote. */
    WRITE_SKEW,
    /** Serializable, but not in an order in which the clocks agree. */
    STALE_READ,
    /** The reads and writes of one key have no order at all. */
    NOT_LINEARIZABLE,
    /** Money came or went. */
    WRONG_SUM,
    /** An error that no fault explains. */
    WRONG_ERROR
  }
}
