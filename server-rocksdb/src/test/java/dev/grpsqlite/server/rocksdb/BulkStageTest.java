package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Stages whose pages go to tables. */
class BulkStageTest {
  private static final StageId STAGE = new StageId(1, 1);
  private static final int MESSAGE = 250; // pages: about a megabyte, as clients send
  private static final int PAGES = 2 * 4 * MESSAGE;

  @TempDir Path folder = Path.of("");

  private static void stage(TestWriter writer, RocksPageStore store, PageImage... pages) {
    get(stageLater(writer, store, pages));
  }

  private static CompletableFuture<Void> stageLater(
      TestWriter writer, RocksPageStore store, PageImage... pages) {
    return store.stageInBulk(
        writer.database,
        writer.session,
        writer.epoch,
        STAGE,
        StageCalls.UNCOUNTED,
        TestWriter.PAGE_SIZE,
        Arrays.asList(pages));
  }

  private static PageImage[] pages(long first, int count) {
    return LongStream.range(first, first + count)
        .mapToObj(number -> TestPages.page(number, TestWriter.PAGE_SIZE, number))
        .toArray(PageImage[]::new);
  }

  /** Two runs, in turn, as from two threads. */
  private static void stageAll(TestWriter writer, RocksPageStore store) {
    for (int first = 1; first <= PAGES / 2; first += MESSAGE) {
      stage(writer, store, pages(first, MESSAGE));
      stage(writer, store, pages(PAGES / 2 + first, MESSAGE));
    }
  }

  private static void assertContent(List<PageImage> read) {
    for (PageImage page : read) {
      PageImage expected = TestPages.page(page.number(), TestWriter.PAGE_SIZE, page.number());
      assertEquals(expected.data(), page.data(), () -> "page " + page.number());
      assertEquals(expected.checksum(), page.checksum());
    }
  }

  private long tables() throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("staged"))) {
      return files.count();
    }
  }

  private void assertNothingIsLeft(RocksPageStore store) throws Exception {
    settle(store);
    assertEquals(0, TestStores.images(store));
    assertEquals(0, TestStores.entries(store, Keys.STAGE));
    assertEquals(0, TestStores.entries(store, Keys.CHANGED));
    assertEquals(0, tables());
  }

  @Test
  void isWrittenOnceAndCommitted() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      long before = store.engine().sequence();
      stageAll(writer, store);
      assertEquals(2, tables());
      assertEquals(0, TestStores.images(store), "in RocksDB before a table is complete");
      assertEquals(1, get(writer.commitLater(0, PAGES, STAGE)));
      assertEquals(0, tables());
      assertTrue(
          store.engine().sequence() - before < PAGES, "pages went through the log one by one");
      assertContent(writer.read(1, PAGES));
      assertEquals(PAGES, TestStores.images(store));
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      assertContent(writer.read(1, PAGES));
      // It is collected as any other version is.
      writer.commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, 77));
      settle(store);
      assertEquals(1, TestStores.images(store));
    }
  }

  @Test
  void aCommitHasWhatWasStagedBeforeItAnsweredOrNot() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      List<CompletableFuture<Void>> staged = new ArrayList<>();
      for (int first = 1; first <= PAGES; first += MESSAGE) {
        staged.add(stageLater(writer, store, pages(first, MESSAGE)));
      }
      assertEquals(1, get(writer.commitLater(0, PAGES, STAGE)));
      staged.forEach(TestStores::get);
      assertContent(writer.read(1, PAGES));
    }
  }

  @Test
  void aRunThatIsNotGoneOnWithIsCompletedMeanwhile() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stage(writer, store, pages(1, MESSAGE));
      for (int message = 2; message < 10; message++) {
        assertEquals(0, TestStores.images(store));
        stage(writer, store, pages(1 + message * MESSAGE, MESSAGE));
        stage(writer, store, pages(1 + (message + 8) * MESSAGE, MESSAGE));
      }
      awaitTables(2, "the run that ended, of three");
      assertEquals(MESSAGE, TestStores.images(store));
      stage(writer, store, pages(1 + MESSAGE, MESSAGE));
      assertEquals(3, tables(), "what goes on after all is a run of its own");
      assertEquals(1, get(writer.commitLater(0, 18 * MESSAGE, STAGE)));
      assertContent(writer.read(1, 18 * MESSAGE));
    }
  }

  private void awaitTables(int expected, String which) throws Exception {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
    while (tables() != expected && System.nanoTime() - until < 0) {
      Thread.sleep(10);
    }
    assertEquals(expected, tables(), which);
  }

  @Test
  void whatShrinksIsCompressed() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      ByteBuffer text = ByteBuffer.wrap("line ".repeat(TestWriter.PAGE_SIZE).getBytes(UTF_8));
      text.limit(TestWriter.PAGE_SIZE);
      for (int first = 1; first <= PAGES; first += MESSAGE) {
        PageImage[] pages =
            LongStream.range(first, first + MESSAGE)
                .mapToObj(number -> new PageImage(number, 0, 1, text))
                .toArray(PageImage[]::new);
        stage(writer, store, pages);
      }
      assertEquals(1, get(writer.commitLater(0, PAGES, STAGE)));
      long stored = store.engine().pageBytes(new byte[] {0}, new byte[] {(byte) 0xff});
      assertTrue(stored < PAGES * (long) TestWriter.PAGE_SIZE / 10, () -> stored + " bytes");
    }
  }

  @Test
  void aPageThatIsStagedAgainReplacesTheEarlierOne() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      PageImage[] other =
          LongStream.rangeClosed(1, MESSAGE)
              .mapToObj(number -> TestPages.page(number, TestWriter.PAGE_SIZE, 9999))
              .toArray(PageImage[]::new);
      stage(writer, store, other);
      stageAll(writer, store);
      stage(writer, store, TestPages.page(3, TestWriter.PAGE_SIZE, 9999));
      stage(writer, store, pages(3, 1));
      assertEquals(1, get(writer.commitLater(0, PAGES, STAGE)));
      assertContent(writer.read(1, PAGES));
      settle(store);
      assertEquals(PAGES, TestStores.images(store));
    }
  }

  @Test
  void isReadBeforeItsCommitByItsSessionAlone() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(3, TestWriter.all(3, 77));
      stageAll(writer, store);
      long[] numbers = LongStream.rangeClosed(1, PAGES).toArray();
      assertContent(get(store.readStaged(writer.database, writer.session, STAGE, 1, numbers)));
      for (PageImage page : writer.read(1, 3)) {
        assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 77).data(), page.data());
      }
      stage(writer, store, pages(PAGES + 1, MESSAGE));
      assertEquals(2, get(writer.commitLater(1, PAGES + MESSAGE, STAGE)));
      assertContent(writer.read(2, PAGES + MESSAGE));
    }
  }

  @Test
  void p6_isMovedBehindACommitThatWentBeforeIt() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageAll(writer, store);
      assertEquals(1, writer.commit(2, TestWriter.all(2, 77)));
      assertEquals(2, get(writer.commitLater(1, PAGES, STAGE)));
      assertContent(writer.read(2, PAGES));
      settle(store);
      assertEquals(PAGES, TestStores.images(store));
    }
  }

  @Test
  void leavesNothingWhenItIsDropped() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageAll(writer, store);
      get(store.readStaged(writer.database, writer.session, STAGE, 0, new long[] {1}));
      stage(writer, store, pages(PAGES + 1, MESSAGE)); // one table more, which is not complete
      get(store.dropStage(writer.database, writer.session, STAGE));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void leavesNothingWhenItsDatabaseIsDropped() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(3, TestWriter.all(3, 1));
      stageAll(writer, store);
      get(store.drop(writer.database));
      get(store.dropStages(writer.session));
      assertNothingIsLeft(store);
    }
  }

  /** Some of its pages were in tables that were not complete. What is staged later is not all. */
  @Test
  void p1_endsWithTheProcessAndItsLeaseWithIt() throws Exception {
    SessionId session;
    long epoch;
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      session = writer.session;
      epoch = writer.epoch;
      writer.commit(PAGES, TestWriter.all(PAGES, 5));
      stageAll(writer, store);
      get(store.readStaged(writer.database, session, STAGE, 1, new long[] {1}));
      stage(writer, store, pages(PAGES + 1, MESSAGE));
    }
    Files.writeString(folder.resolve("staged/99.sst"), "left by a process that was killed");
    try (RocksPageStore store = TestStores.open(folder)) {
      assertEquals(0, tables());
      var database = get(store.find("a")).orElseThrow().id();
      assertEquals(new LeaseState(epoch, null), get(store.lease(database)));
      StoreException refusal =
          assertThrows(
              StoreException.class,
              () ->
                  get(
                      store.stageInBulk(
                          database,
                          session,
                          epoch,
                          STAGE,
                          StageCalls.UNCOUNTED,
                          TestWriter.PAGE_SIZE,
                          List.of(pages(1, 1)))));
      assertEquals(Code.LEASE_LOST, refusal.code());
      TestWriter again = new TestWriter(store, "a", session);
      assertTrue(again.epoch > epoch);
      assertEquals(
          Code.NO_SUCH_STAGE,
          assertThrows(StoreException.class, () -> get(again.commitLater(1, PAGES, STAGE))).code());
      for (PageImage page : again.read(1, PAGES)) {
        assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 5).data(), page.data());
      }
      settle(store);
      assertEquals(PAGES, TestStores.images(store));
      assertEquals(0, TestStores.entries(store, Keys.STAGE));
    }
  }

  @Test
  void aFailureOfTheDiskIsTheStagesAndNobodyElses() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageAll(writer, store);
      try (Stream<Path> files = Files.list(folder.resolve("staged"))) {
        Files.delete(files.sorted().findFirst().orElseThrow());
      }
      for (int i = 0; i < 2; i++) {
        assertEquals(
            Code.STORE_FAILED,
            assertThrows(StoreException.class, () -> get(writer.commitLater(0, PAGES, STAGE)))
                .code());
        assertEquals(
            Code.STORE_FAILED,
            assertThrows(StoreException.class, () -> stage(writer, store, pages(1, 1))).code());
      }
      assertEquals(1, writer.commit(2, pages(1, 2)));
      get(store.dropStage(writer.database, writer.session, STAGE));
      settle(store);
      assertEquals(2, TestStores.images(store));
    }
  }
}
