package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.contract.VersionsContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;

class VersionedVersionsTest extends VersionsContract {
  @Override
  protected PageStore open(Retention retention, SnapshotPins pins, Clock clock, Path folder) {
    VersionedPageStore store = new VersionedPageStore(retention, pins, clock, new SecureRandom());
    store.collectEvery(Duration.ofMillis(1));
    return store;
  }
}
