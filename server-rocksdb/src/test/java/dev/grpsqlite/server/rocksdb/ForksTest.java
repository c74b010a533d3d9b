package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.ForkPoint;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ForksTest {
  private static final int PAGE_SIZE = TestWriter.PAGE_SIZE;
  private static final CommitId ID = new CommitId(5, 6);

  @TempDir Path folder = Path.of("");

  private static DatabaseId fork(RocksPageStore store, DatabaseId parent, long version, String to) {
    return get(store.fork(parent, version, to, ID)).id();
  }

  private static List<PageImage> read(
      RocksPageStore store, DatabaseId database, long version, int count) {
    return get(store.read(database, version, LongStream.rangeClosed(1, count).toArray()));
  }

  /** Behind what drops have left to do. */
  private static void settleAll(RocksPageStore store) {
    get(store.dropStages(new SessionId(0, 0)));
    settle(store);
  }

  private static long bytes(Path folder) throws Exception {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.mapToLong(path -> path.toFile().isFile() ? path.toFile().length() : 0).sum();
    } catch (UncheckedIOException e) {
      return Long.MAX_VALUE; // a file went in the middle
    }
  }

  @Test
  void aThousandForksTakeLessThanAMebibyteOnDisk() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "template");
      for (int i = 1; i <= 10; i++) {
        writer.commit(200, TestWriter.all(200, i));
      }
      store.engine().flush();
    }
    long forked;
    try (RocksPageStore store = TestStores.open(folder)) {
      long before = bytes(folder);
      DatabaseId template = get(store.findOrCreate("template")).id();
      List<CompletableFuture<?>> forks =
          IntStream.range(0, 1000)
              .<CompletableFuture<?>>mapToObj(
                  i -> store.fork(template, 10, "tenants/%04d/main.db".formatted(i), ID))
              .toList();
      forks.forEach(TestStores::get);
      forked = bytes(folder) - before;
      assertTrue(forked < 1 << 20, forked + " bytes");
      assertEquals(1000, get(store.list("tenants/", "", 2000)).size());
      DatabaseId last = get(store.findOrCreate("tenants/0999/main.db")).id();
      for (PageImage page : read(store, last, 0, 200)) {
        assertEquals(TestPages.page(1, PAGE_SIZE, 10).data(), page.data());
      }
    }
    System.out.println("1,000 forks: " + forked + " bytes");
  }

  /** Of the parent's stages, which come to be under a version that the fork can see. */
  @Test
  void p6_aForkDoesNotSeeWhatItsParentHadStagedOnly() throws Exception {
    StageId stage = new StageId(1, 1);
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "parent");
      writer.commit(3, TestWriter.all(3, 1));
      writer.stage(stage, TestWriter.all(2, 2));
      writer.commit(3, TestPages.page(1, PAGE_SIZE, 3));
      DatabaseId fork = fork(store, writer.database, 2, "fork");
      DatabaseId second = fork(store, fork, 0, "second");
      writer.stage(stage, TestPages.page(3, PAGE_SIZE, 4));
      for (DatabaseId each : List.of(fork, second)) {
        List<PageImage> read = read(store, each, 0, 3);
        assertEquals(TestPages.page(1, PAGE_SIZE, 3).data(), read.get(0).data());
        assertEquals(TestPages.page(2, PAGE_SIZE, 1).data(), read.get(1).data());
        assertEquals(TestPages.page(3, PAGE_SIZE, 1).data(), read.get(2).data());
      }
      get(store.drop(writer.database));
      settleAll(store);
      assertEquals(3, TestStores.images(store));
      List<PageImage> read = read(store, second, 0, 3);
      assertEquals(TestPages.page(3, PAGE_SIZE, 1).data(), read.get(2).data());
      assertEquals(List.of(0L, 0L, 0L), read.stream().map(PageImage::version).toList());
    }
  }

  @Test
  void whatOnlyADroppedParentNeededGoesAtOnceAndTheRestWithTheLastFork() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "parent");
      writer.commit(3, TestWriter.all(3, 1));
      writer.commit(3, TestPages.page(1, PAGE_SIZE, 2));
      fork(store, writer.database, 1, "early");
      fork(store, writer.database, 2, "late");
      writer.commit(10, TestWriter.all(10, 3));
      get(store.drop(writer.database));
      assertTrue(get(store.find("parent")).isEmpty());
      assertEquals(
          StoreException.Code.NO_SUCH_DATABASE,
          assertThrows(StoreException.class, () -> fork(store, writer.database, 3, "too late"))
              .code());
      assertEquals(0, get(store.findOrCreate("parent")).head().version(), "the name is free");
      settleAll(store);
      assertEquals(4, TestStores.images(store));
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      DatabaseId early = get(store.findOrCreate("early")).id();
      DatabaseId late = get(store.findOrCreate("late")).id();
      assertEquals(new ForkPoint("parent", 2, ID), get(store.info(late)).forkedFrom());
      assertEquals(TestPages.page(1, PAGE_SIZE, 1).data(), read(store, early, 0, 3).get(0).data());
      assertEquals(TestPages.page(1, PAGE_SIZE, 2).data(), read(store, late, 0, 3).get(0).data());
      get(store.drop(early));
      settleAll(store);
      assertEquals(3, TestStores.images(store));
      assertEquals(TestPages.page(1, PAGE_SIZE, 2).data(), read(store, late, 0, 3).get(0).data());
      get(store.drop(late));
      settleAll(store);
      assertEquals(0, TestStores.images(store));
      assertEquals(0, TestStores.entries(store, Keys.DROPPED));
    }
  }

  @Test
  void theSpaceOfForksAndTheirParentComesBack() throws Exception {
    int pages = 2000;
    try (RocksPageStore store = TestStores.open(folder)) {
      long empty = bytes(folder.resolve("db"));
      TestWriter writer = new TestWriter(store, "parent");
      for (int round = 1; round <= 4; round++) {
        StageId stage = new StageId(round, 0);
        long seed = round;
        for (int from = 1; from <= pages; from += 500) {
          long first = from;
          writer.stage(
              stage,
              LongStream.range(first, first + 500)
                  .mapToObj(page -> TestPages.page(page, PAGE_SIZE, page * 10 + seed))
                  .toArray(PageImage[]::new));
        }
        assertEquals(round, get(writer.commitLater(round - 1, pages, stage)));
        fork(store, writer.database, round, "fork" + round);
      }
      get(store.drop(writer.database));
      settleAll(store);
      assertEquals(4 * pages, TestStores.images(store));
      for (int round = 1; round <= 4; round++) {
        get(store.drop(get(store.findOrCreate("fork" + round)).id()));
        settleAll(store);
        assertEquals((4 - round) * pages, TestStores.images(store));
      }
      long deadline = System.nanoTime() + 60_000_000_000L;
      while (bytes(folder.resolve("db")) > empty + (4 << 20)) {
        assertTrue(System.nanoTime() < deadline, bytes(folder.resolve("db")) + " bytes left");
        store.engine().flush();
        LockSupport.parkNanos(20_000_000);
      }
    }
  }

  @Test
  void aForkOfAForkHasALimit() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "0");
      writer.commit(2, TestWriter.all(2, 1));
      for (int i = 1; i <= Catalog.MOST_ORIGINS; i++) {
        fork(store, writer.database, 1, String.valueOf(i));
        writer = new TestWriter(store, String.valueOf(i));
        writer.commit(2, TestPages.page(1, PAGE_SIZE, i + 1));
      }
      TestWriter last = writer;
      assertEquals(
          StoreException.Code.LIMIT,
          assertThrows(StoreException.class, () -> fork(store, last.database, 1, "one too many"))
              .code());
      // Nothing was written to it, so this goes through no more databases than the last does.
      DatabaseId same = fork(store, last.database, 0, "same");
      assertEquals(TestPages.page(2, PAGE_SIZE, 1).data(), read(store, same, 0, 2).get(1).data());
      assertEquals(TestPages.page(2, PAGE_SIZE, 1).data(), last.read(1, 2).get(1).data());
    }
  }
}
