package dev.grpsqlite.e2e.history;

/** What a client knows of its transaction. */
public enum Outcome {
  /** Committed. */
  OK,
  /** Nothing happened. */
  FAIL,
  /** Either; also if the client was killed before it could say. */
  UNKNOWN
}
