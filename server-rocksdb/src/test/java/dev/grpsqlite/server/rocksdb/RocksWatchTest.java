package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.WatchContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

class RocksWatchTest extends WatchContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
