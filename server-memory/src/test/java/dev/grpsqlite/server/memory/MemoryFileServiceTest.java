package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.contract.FileServiceContract;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.nio.file.Path;
import java.time.Clock;

class MemoryFileServiceTest extends FileServiceContract {
  @Override
  protected PageStore open(SnapshotPins pins, Clock clock, Path folder) {
    return new MemoryPageStore(pins, clock);
  }
}
