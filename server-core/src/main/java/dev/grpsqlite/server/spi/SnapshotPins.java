package dev.grpsqlite.server.spi;

import java.util.Set;

/**
 * Which versions open sessions still read; the server gives one to the store, whose collector asks
 * it. Thread-safe; answers from memory.
 */
@FunctionalInterface
public interface SnapshotPins {
  /** The oldest version that a session may still read, or {@link Long#MAX_VALUE} for none. */
  long oldestPinned(DatabaseId database);

  /**
   * The databases of which a version is pinned, for a store whose collector is another server's.
   */
  default Set<DatabaseId> pinnedDatabases() {
    return Set.of();
  }
}
