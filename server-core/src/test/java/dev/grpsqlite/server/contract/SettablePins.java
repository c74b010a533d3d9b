package dev.grpsqlite.server.contract;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Pins as a test wants them; nothing is pinned at first. */
public final class SettablePins implements SnapshotPins {
  private final Map<DatabaseId, Long> oldest = new ConcurrentHashMap<>();

  public void pin(DatabaseId database, long version) {
    oldest.put(database, version);
  }

  public void unpin(DatabaseId database) {
    oldest.remove(database);
  }

  @Override
  public long oldestPinned(DatabaseId database) {
    return oldest.getOrDefault(database, Long.MAX_VALUE);
  }
}
