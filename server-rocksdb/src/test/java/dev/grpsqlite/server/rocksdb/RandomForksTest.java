package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.contract.RandomForksContract;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;

class RandomForksTest extends RandomForksContract<RocksPageStore> {
  @TempDir Path folder = Path.of("");

  @Override
  protected RocksPageStore open() throws Exception {
    return RocksPageStore.open(
        TestStores.settings(folder, Retention.parse("3versions"), Duration.ofHours(1)),
        TestStores.NO_PINS,
        Clock.systemUTC());
  }

  @Override
  protected void settle(RocksPageStore store) {
    get(store.dropStages(new SessionId(0, 0))); // behind what drops left to do
    TestStores.settle(store);
  }

  @Override
  protected int images(RocksPageStore store, List<DatabaseId> databases) throws Exception {
    return TestStores.images(store);
  }

  @Override
  protected void assertEmpty(RocksPageStore store) throws Exception {
    assertEquals(0, TestStores.images(store));
    for (byte kind : Keys.OF_A_DATABASE) {
      assertEquals(0, TestStores.entries(store, kind), "of kind " + (char) kind);
    }
    for (byte kind : Keys.FOR_ITS_FORKS) {
      assertEquals(0, TestStores.entries(store, kind), "of kind " + (char) kind);
    }
    assertEquals(0, TestStores.entries(store, Keys.FORKED_FROM));
    assertEquals(0, TestStores.entries(store, Keys.DROPPED));
  }
}
