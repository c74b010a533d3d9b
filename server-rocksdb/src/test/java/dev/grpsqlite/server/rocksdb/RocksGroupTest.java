package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.GroupContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

/** Groups of commits, while the collector takes all it may. */
class RocksGroupTest extends GroupContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
