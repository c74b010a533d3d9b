package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.YieldContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

class RocksYieldTest extends YieldContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
