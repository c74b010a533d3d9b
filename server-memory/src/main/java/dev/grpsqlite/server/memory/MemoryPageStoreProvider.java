package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.time.Clock;
import java.util.List;
import java.util.Map;

/** Makes {@code memory-server} of the server's core. It has no settings of its own. */
public final class MemoryPageStoreProvider implements PageStoreProvider {
  @Override
  public String name() {
    return "memory";
  }

  @Override
  public List<Setting> settings() {
    return List.of();
  }

  /** What is staged is in the heap. */
  @Override
  public Map<String, String> commonDefaults() {
    long heap = Runtime.getRuntime().maxMemory();
    return Map.of(
        "max-staged-bytes-total", Long.toString(heap / 2),
        "max-staged-bytes-per-identity", Long.toString(heap / 4));
  }

  @Override
  public PageStore open(Map<String, String> settings, SnapshotPins pins, Clock clock) {
    return new MemoryPageStore(pins, clock);
  }
}
