package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import java.util.Map;

/** Makes {@code versioned-server} of the server's core. */
public final class VersionedPageStoreProvider implements PageStoreProvider {
  /** A version is kept for at most this much longer than it must be. */
  private static final Duration COLLECTION_INTERVAL = Duration.ofMillis(500);

  private static final Setting RETENTION =
      new Setting(
          "retention",
          "HOW-LONG",
          "how far back versions are kept: " + Retention.SYNTAX,
          "10m",
          false,
          Retention::problem);

  @Override
  public String name() {
    return "versioned";
  }

  @Override
  public List<Setting> settings() {
    return List.of(RETENTION);
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
    String retention = settings.getOrDefault(RETENTION.name(), RETENTION.defaultValue());
    VersionedPageStore store =
        new VersionedPageStore(Retention.parse(retention), pins, clock, new SecureRandom());
    store.collectEvery(COLLECTION_INTERVAL);
    return store;
  }
}
