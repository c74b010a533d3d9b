package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Retention;
import java.time.Clock;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class PinsTest {
  private static final long PROCESS = 7;

  @Test
  void aRefreshWaitsForTheOneThatIsUnderWay() throws Exception {
    Keys keys = new Keys("pins");
    try (FakeCluster cluster = new FakeCluster();
        Transactions transactions = new Transactions(cluster.connect(), System::nanoTime);
        FdbPageStore store =
            FdbPageStore.open(
                cluster.connect(),
                TestStores.settings("pins", Retention.parse("forever")),
                database -> Long.MAX_VALUE,
                Clock.systemUTC())) {
      DatabaseId database = get(store.findOrCreate("db")).id();
      Pins pins = new Pins(transactions, new Databases(keys), pinned -> Long.MAX_VALUE, PROCESS);
      get(pins.publish(database, 0));
      assertEquals(1, cluster.count(keys.pins(PROCESS)));

      CompletableFuture<Void> go = new CompletableFuture<>();
      cluster.commitAfter(go);
      CompletableFuture<Void> first = pins.refresh();
      CompletableFuture<Void> second = pins.refresh();
      assertFalse(first.isDone());
      assertFalse(second.isDone(), "what is no longer needed is still written down");
      go.complete(null);
      get(second);
      assertEquals(0, cluster.count(keys.pins(PROCESS)));
    }
  }
}
