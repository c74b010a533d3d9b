package dev.grpsqlite.server.admission;

/** Counts what came in, and what was not let in. Thread-safe and quick. */
public interface Refusals {
  /** What there was too much of. */
  enum Limit {
    CONNECTIONS,
    CONNECTIONS_PER_ADDRESS,
    /** The connection did not begin, the request did not arrive, or the answer was not taken. */
    STALL,
    CALLS,
    CALL_BYTES
  }

  void refused(Limit limit);

  /** A request is whole. */
  void requestReceived(long bytes);
}
