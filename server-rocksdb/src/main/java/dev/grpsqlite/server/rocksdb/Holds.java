package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * The versions that the store itself is reading, beside those that sessions may read. As they do,
 * whoever holds one looks only then whether it is still there. Thread-safe.
 */
final class Holds implements SnapshotPins {
  private final SnapshotPins sessions;
  private final Map<DatabaseId, TreeMap<Long, Integer>> held = new HashMap<>();

  Holds(SnapshotPins sessions) {
    this.sessions = sessions;
  }

  synchronized void add(DatabaseId database, long version) {
    held.computeIfAbsent(database, absent -> new TreeMap<>()).merge(version, 1, Integer::sum);
  }

  synchronized void remove(DatabaseId database, long version) {
    held.computeIfPresent(
        database,
        (id, versions) -> {
          versions.computeIfPresent(version, (key, count) -> count == 1 ? null : count - 1);
          return versions.isEmpty() ? null : versions;
        });
  }

  @Override
  public long oldestPinned(DatabaseId database) {
    long pinned = sessions.oldestPinned(database);
    synchronized (this) {
      TreeMap<Long, Integer> versions = held.get(database);
      return versions == null ? pinned : Math.min(pinned, versions.firstKey());
    }
  }
}
