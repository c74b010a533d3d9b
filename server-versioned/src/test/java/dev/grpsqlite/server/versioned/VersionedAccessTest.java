package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.contract.AccessContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;

class VersionedAccessTest extends AccessContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
    return new VersionedPageStore(Retention.FOREVER, pins, clock, new SecureRandom());
  }
}
