package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.QuotaContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

class RocksQuotaTest extends QuotaContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception {
    return RocksPageStore.open(TestStores.settings(folder), pins, clock);
  }
}
