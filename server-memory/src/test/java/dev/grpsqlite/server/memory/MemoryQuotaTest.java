package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.contract.QuotaContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

class MemoryQuotaTest extends QuotaContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
    return new MemoryPageStore(pins, clock);
  }
}
