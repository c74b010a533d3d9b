package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.contract.PageServiceContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import org.junit.jupiter.api.Nested;

/** The page service, where every version is kept and where none is that need not be. */
class VersionedPageServiceTest {
  @Nested
  class KeepingAll extends PageServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      return new VersionedPageStore(Retention.FOREVER, pins, clock, new SecureRandom());
    }
  }

  @Nested
  class KeepingNone extends PageServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
      VersionedPageStore store =
          new VersionedPageStore(Retention.NONE, pins, clock, new SecureRandom());
      store.collectEvery(Duration.ofMillis(1));
      return store;
    }
  }
}
