package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.apple.foundationdb.Range;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.time.Clock;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class LayoutTest {
  private final FakeCluster cluster = new FakeCluster();
  private final Keys keys = new Keys("p");

  @AfterEach
  void stop() {
    cluster.close();
  }

  private FdbPageStore open(String prefix) throws Exception {
    return FdbPageStore.open(
        cluster.connect(),
        TestStores.settings(prefix, Retention.NONE),
        database -> Long.MAX_VALUE,
        Clock.systemUTC());
  }

  private void set(byte[] key, byte[] value) {
    try (Transactions transactions = new Transactions(cluster.connect(), System::nanoTime)) {
      get(
          transactions.write(
              transaction -> {
                transaction.set(key, value);
                return Futures.done();
              }));
    }
  }

  @Test
  void whatAServerMadeIsOpenedByTheNext() throws Exception {
    try (FdbPageStore store = open("p")) {
      assertEquals(0, get(store.findOrCreate("db")).head().version());
    }
    try (FdbPageStore store = open("p")) {
      assertTrue(get(store.find("db")).isPresent());
    }
  }

  @Test
  void whatIsOfANewerLayoutIsLeftAlone() throws Exception {
    set(keys.layout(), Values.number(Layout.NUMBER + 1));
    StoreOpenException refused = assertThrows(StoreOpenException.class, () -> open("p"));
    assertEquals(
        "the store with the prefix p has layout 2, and this server knows layout 1 alone;"
            + " start a newer fdb-server",
        refused.getMessage());
    assertEquals(1, cluster.count(Range.startsWith(keys.root())));
  }

  @Test
  void whatHasNoMarkIsLeftAlone() throws Exception {
    set(ByteArrayUtil.join(keys.root(), new byte[] {'N', 'a'}), new byte[] {1});
    StoreOpenException refused = assertThrows(StoreOpenException.class, () -> open("p"));
    assertEquals(
        "the store with the prefix p has no mark of its layout, so it is nothing that this server"
            + " made; name another prefix, with --prefix",
        refused.getMessage());
    assertEquals(1, cluster.count(Range.startsWith(keys.root())));
    open("q").close(); // whose keys are others
  }
}
