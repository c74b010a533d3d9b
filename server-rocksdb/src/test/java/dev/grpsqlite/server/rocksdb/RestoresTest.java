package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RestoresTest {
  private static final int PAGE_SIZE = TestWriter.PAGE_SIZE;

  @TempDir Path folder = Path.of("");

  private RocksPageStore open() throws Exception {
    return RocksPageStore.open(
        TestStores.settings(folder, Retention.FOREVER, Duration.ofHours(1)),
        TestStores.NO_PINS,
        Clock.systemUTC());
  }

  private static CompletableFuture<Long> restore(
      RocksPageStore store, TestWriter writer, long id, long version) {
    return store.restore(
        writer.database, writer.session, writer.epoch, new CommitId(9, id), version);
  }

  private static void assertFails(Code code, CompletableFuture<?> future) {
    assertEquals(code, assertThrows(StoreException.class, () -> get(future)).code());
  }

  /** More than one message's worth of pages, some as they were. */
  @Test
  void aRestoreWritesThePagesThatDifferAndNoOthers() throws Exception {
    int pages = 1200;
    try (RocksPageStore store = open()) {
      TestWriter writer = new TestWriter(store, "a");
      List<PageImage> first = new ArrayList<>();
      List<PageImage> second = new ArrayList<>();
      for (int i = 1; i <= pages; i++) {
        first.add(TestPages.page(i, PAGE_SIZE, i));
        second.add(TestPages.page(i, PAGE_SIZE, i % 3 == 0 ? i : i + 5000));
      }
      writer.commit(pages, first.toArray(new PageImage[0]));
      writer.commit(700, second.subList(0, 700).toArray(new PageImage[0]));
      assertEquals(3, get(restore(store, writer, 1, 1)));
      List<PageImage> restored = writer.read(3, pages);
      for (int i = 0; i < pages; i++) {
        assertEquals(first.get(i).data(), restored.get(i).data(), "page " + (i + 1));
        assertEquals(first.get(i).checksum(), restored.get(i).checksum());
        assertEquals(i < 700 && (i + 1) % 3 == 0 ? 2 : 3, restored.get(i).version());
      }
      long[] changed = get(store.changes(writer.database, 2, 3, pages)).pages();
      assertEquals(700 - 700 / 3 + 500, changed.length);
      assertEquals(changed.length, get(store.history(writer.database, 4, 1)).get(0).pagesChanged());
      assertEquals(4, get(restore(store, writer, 2, 3)), "of the head itself");
      assertArrayEquals(new long[0], get(store.changes(writer.database, 3, 4, pages)).pages());
      assertEquals(0, TestStores.entries(store, Keys.STAGE));
    }
  }

  @Test
  void p3_p5_aRestoreIsFencedAndAppliedOnceAfterARestartToo() throws Exception {
    TestWriter before;
    try (RocksPageStore store = open()) {
      before = new TestWriter(store, "a");
      before.commit(1, TestPages.page(1, PAGE_SIZE, 1));
      before.commit(1, TestPages.page(1, PAGE_SIZE, 2));
      List<CompletableFuture<Long>> sent = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        sent.add(restore(store, before, 1, 1));
      }
      for (CompletableFuture<Long> each : sent) {
        assertEquals(3, get(each));
      }
      assertEquals(3, before.head());
      assertFails(Code.NO_SUCH_VERSION, restore(store, before, 2, 4));
      assertFails(Code.NO_SUCH_VERSION, restore(store, before, 2, -1));
      assertFails(
          Code.LEASE_LOST,
          store.restore(before.database, new SessionId(8, 8), before.epoch, new CommitId(9, 2), 1));
    }
    try (RocksPageStore store = open()) {
      TestWriter other = new TestWriter(store, "a", new SessionId(5, 5));
      other.commit(1, TestPages.page(1, PAGE_SIZE, 4));
      assertEquals(3, get(restore(store, before, 1, 1)));
      assertFails(Code.LEASE_LOST, restore(store, before, 2, 1));
      assertEquals(4, other.head());
      get(store.setRetention(other.database, Optional.of(Retention.NONE)));
      settle(store);
      assertFails(Code.SNAPSHOT_TOO_OLD, restore(store, other, 2, 1));
      assertEquals(4, other.head());
    }
  }

  /** While the holder of the lease commits, and the collector takes all it may. */
  @Test
  void p1_p6_aRestoreBesideCommitsAndTheCollectorIsWhole() throws Exception {
    int pages = 600;
    try (RocksPageStore store =
        RocksPageStore.open(
            TestStores.settings(folder, Retention.parse("6versions"), Duration.ofMillis(1)),
            TestStores.NO_PINS,
            Clock.systemUTC())) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(pages, TestWriter.all(pages, 1));
      int restored = 0;
      for (int round = 2; round < 30; round++) {
        long head = writer.head();
        CompletableFuture<Long> restore = restore(store, writer, round, Math.max(1, head - 4));
        CompletableFuture<Long> commit =
            writer.commitLater(head, pages, null, TestWriter.all(pages, round));
        try {
          get(commit);
        } catch (StoreException e) {
          assertEquals(Code.HEAD_MOVED, e.code());
        }
        long version = get(restore);
        restored++;
        List<PageImage> read = writer.read(version, pages);
        for (PageImage page : read) {
          assertEquals(read.get(0).data(), page.data(), "page " + page.number());
        }
      }
      assertTrue(restored > 20);
    }
  }
}
