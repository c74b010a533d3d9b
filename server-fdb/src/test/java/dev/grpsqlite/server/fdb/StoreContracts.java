package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Database;
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
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Nested;

/**
 * What every store must do, over some cluster, while the collector takes all it may. Each test has
 * a store of its own there.
 */
abstract class StoreContracts {
  private static final AtomicLong STORES = new AtomicLong(System.nanoTime());

  /** Connects to the cluster of all these tests. */
  abstract Database connect() throws Exception;

  private PageStore open(Retention retention, SnapshotPins pins, Clock clock) throws Exception {
    return FdbPageStore.open(
        connect(), TestStores.settings("store" + STORES.incrementAndGet(), retention), pins, clock);
  }

  @Nested
  class Store extends PageStoreContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Groups extends GroupContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class PageService extends PageServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class FileService extends FileServiceContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Versions extends VersionsContract {
    @Override
    protected PageStore open(Retention retention, SnapshotPins pins, Clock clock, Path folder)
        throws Exception {
      return StoreContracts.this.open(retention, pins, clock);
    }
  }

  @Nested
  class Watching extends WatchContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Yielding extends YieldContract {
    @Override
    protected boolean delegatesReads() {
      return false;
    }

    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }

  @Nested
  class Quotas extends QuotaContract {
    @Override
    protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
      return StoreContracts.this.open(Retention.NONE, pins, clock);
    }
  }
}
