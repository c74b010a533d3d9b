package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.contract.GroupContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;

class VersionedGroupTest extends GroupContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
    VersionedPageStore store =
        new VersionedPageStore(Retention.NONE, pins, clock, new SecureRandom());
    store.collectEvery(Duration.ofMillis(1));
    return store;
  }
}
