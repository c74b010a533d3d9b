package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.contract.FileServiceContract;
import dev.grpsqlite.server.contract.GroupContract;
import dev.grpsqlite.server.contract.PageServiceContract;
import dev.grpsqlite.server.contract.PageStoreContract;
import dev.grpsqlite.server.contract.QuotaContract;
import dev.grpsqlite.server.contract.VersionsContract;
import dev.grpsqlite.server.contract.WatchContract;
import dev.grpsqlite.server.contract.YieldContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Nested;

/**
 * What every store must do, over a cluster in memory, while the collector takes all it may. Some
 * attempts fail, or end with nobody knowing, as they do when a cluster recovers.
 */
class FakeClusterContractsTest {
  private static final double FAULTS = 0.02;

  private static FakeCluster cluster = new FakeCluster();
  private static int stores;

  @BeforeAll
  static void start() {
    cluster = new FakeCluster(7, FAULTS);
  }

  @AfterAll
  static void stop() {
    cluster.close();
  }

  private static PageStore open(Retention retention, SnapshotPins pins, Clock clock)
      throws Exception {
    return FdbPageStore.open(
        cluster.connect(), TestStores.settings("store" + stores++, retention), pins, clock);
  }

  @Nested
  class Store extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Groups extends GroupContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class PageService extends PageServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class FileService extends FileServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Versions extends VersionsContract {
    @Override
    protected PageStore open(Retention retention, SnapshotPins pins, Clock clock, Path folder)
        throws Exception {
      return FakeClusterContractsTest.open(retention, pins, clock);
    }
  }

  @Nested
  class Watching extends WatchContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Yielding extends YieldContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Quotas extends QuotaContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return FakeClusterContractsTest.open(Retention.NONE, pins, clock);
    }
  }
}
