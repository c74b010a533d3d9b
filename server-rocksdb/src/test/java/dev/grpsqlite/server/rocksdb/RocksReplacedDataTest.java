package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.contract.ReplacedDataContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;

class RocksReplacedDataTest extends ReplacedDataContract {
  @Override
  protected PageStore open(Retention retention, SnapshotPins pins, Clock clock, Path folder)
      throws Exception {
    return RocksPageStore.open(
        TestStores.settings(folder, retention, Duration.ofMillis(2)), pins, clock);
  }
}
