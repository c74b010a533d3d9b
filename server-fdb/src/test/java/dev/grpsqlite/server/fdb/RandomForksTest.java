package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.contract.RandomForksContract;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Retention;
import java.time.Clock;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

class RandomForksTest extends RandomForksContract<FdbPageStore> {
  private final FakeCluster cluster = new FakeCluster(11, 0.01);
  private final Keys keys = new Keys("forks");

  @AfterEach
  void stop() {
    cluster.close();
  }

  @Override
  protected FdbPageStore open() throws Exception {
    return FdbPageStore.open(
        cluster.connect(),
        new FdbPageStore.Settings(
            "forks",
            Retention.parse("3versions"),
            Duration.ofHours(1),
            Duration.ofHours(1),
            Duration.ZERO),
        database -> Long.MAX_VALUE,
        Clock.systemUTC());
  }

  @Override
  protected void settle(FdbPageStore store) {
    get(store.collect());
  }

  @Override
  protected int images(FdbPageStore store, List<DatabaseId> databases) {
    return databases.stream().mapToInt(each -> cluster.count(keys.images(each))).sum();
  }

  @Override
  protected void assertEmpty(FdbPageStore store) {
    assertEquals(0, cluster.count(keys.allDatabases()));
    assertEquals(0, cluster.count(keys.names("")));
    assertEquals(0, cluster.count(keys.todos()));
  }
}
