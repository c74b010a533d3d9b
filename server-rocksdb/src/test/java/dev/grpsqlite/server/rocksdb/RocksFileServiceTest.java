package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.FileServiceContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

/** The file service, while the collector takes all it may. */
class RocksFileServiceTest extends FileServiceContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
