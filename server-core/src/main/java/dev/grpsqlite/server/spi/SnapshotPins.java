package dev.grpsqlite.server.spi;

/**
 * Which versions open sessions still read; the server gives one to the store, whose collector asks
 * it. Thread-safe; answers from memory.
 */
@FunctionalInterface
public interface SnapshotPins {
  /** The oldest version that a session may still read, or {@link Long#MAX_VALUE} for none. */
  long oldestPinned(DatabaseId database);
}
