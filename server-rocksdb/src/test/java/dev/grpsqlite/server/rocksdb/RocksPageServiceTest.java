package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.PageServiceContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

/** The page service, while the collector takes all it may. */
class RocksPageServiceTest extends PageServiceContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
