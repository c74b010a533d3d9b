package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AbandonedStageTest {
  private static final StageId STAGE = new StageId(1, 1);
  private static final int PAGES = 2500; // more than a batch of deletions

  @TempDir Path folder = Path.of("");

  @Test
  void leavesNothingWhenItIsDropped() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageMuch(writer, STAGE);
      assertEquals(PAGES, TestStores.images(store));
      get(store.dropStage(writer.database, writer.session, STAGE));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void leavesNothingWhenItsSessionEnds() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter a = new TestWriter(store, "a");
      TestWriter b = new TestWriter(store, "b", a.session);
      stageMuch(a, STAGE);
      stageMuch(b, STAGE);
      stageMuch(b, new StageId(2, 2));
      get(store.dropStages(a.session));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void leavesNothingWhenTheLeaseIsReleased() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageMuch(writer, STAGE);
      get(store.releaseLease(writer.database, writer.session, writer.epoch));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void leavesNothingWhenTheLeaseIsTaken() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      stageMuch(new TestWriter(store, "a", new SessionId(1, 1)), STAGE);
      new TestWriter(store, "a", new SessionId(2, 2));
      get(store.dropStages(new SessionId(3, 3))); // behind what the lease's change has set off
      assertNothingIsLeft(store);
    }
  }

  @Test
  void leavesNothingWhenItsDatabaseIsDropped() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(3, TestWriter.all(3, 1));
      stageMuch(writer, STAGE);
      get(store.drop(writer.database));
      get(store.dropStages(new SessionId(3, 3)));
      assertNothingIsLeft(store);
      for (byte kind : Keys.OF_A_DATABASE) {
        assertEquals(0, TestStores.entries(store, kind), "entries of kind " + (char) kind);
      }
      assertEquals(0, TestStores.entries(store, Keys.DROPPED));
    }
  }

  /** Once some of its pages may be gone, it can't come back. */
  @Test
  void p1_isGoneAfterARestartToo() throws Exception {
    TestWriter before;
    try (RocksPageStore store = TestStores.open(folder)) {
      before = new TestWriter(store, "a");
      stageMuch(before, STAGE);
      get(store.dropStage(before.database, before.session, STAGE));
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a", before.session);
      StoreException refusal =
          assertThrows(StoreException.class, () -> get(writer.commitLater(0, PAGES, STAGE)));
      assertEquals(StoreException.Code.NO_SUCH_STAGE, refusal.code());
      get(store.dropStages(new SessionId(3, 3)));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void goesWithTheRestartIfItsLeaseHasEnded() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      stageMuch(new TestWriter(store, "a", new SessionId(1, 1)), STAGE);
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      new TestWriter(store, "a", new SessionId(2, 2));
      get(store.dropStages(new SessionId(3, 3)));
      assertNothingIsLeft(store);
    }
  }

  @Test
  void canBeCommittedAfterARestartByTheHolderOfTheLease() throws Exception {
    SessionId session;
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      session = writer.session;
      stageMuch(writer, STAGE);
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a", session);
      writer.stage(STAGE, TestPages.page(PAGES + 1, TestWriter.PAGE_SIZE, 9));
      assertEquals(1, get(writer.commitLater(0, PAGES + 1, STAGE)));
      assertContent(writer.read(1, PAGES));
    }
  }

  /** The count is forgotten, but nothing of the run before can come late. */
  @Test
  void goesOnAfterARestartWithWhateverCallIsNext() throws Exception {
    SessionId session;
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      session = writer.session;
      writer.stage(STAGE, 1, TestPages.page(1, TestWriter.PAGE_SIZE, 1));
      writer.stage(STAGE, 2, TestPages.page(2, TestWriter.PAGE_SIZE, 2));
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a", session);
      writer.stage(STAGE, 2, TestPages.page(2, TestWriter.PAGE_SIZE, 2));
      writer.stage(STAGE, 3, TestPages.page(2, TestWriter.PAGE_SIZE, 3));
      writer.stage(STAGE, 2, TestPages.page(2, TestWriter.PAGE_SIZE, 2));
      assertEquals(1, get(writer.commitLater(0, 2, STAGE)));
      List<PageImage> read = writer.read(1, 2);
      assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 1).data(), read.get(0).data());
      assertEquals(TestPages.page(2, TestWriter.PAGE_SIZE, 3).data(), read.get(1).data());
    }
  }

  /** Another commit made the version that the stage's pages are stored under. */
  @Test
  void p6_isMovedBehindACommitThatWentBeforeIt() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      stageMuch(writer, STAGE);
      assertEquals(1, writer.commit(2, TestWriter.all(2, 77)));
      for (PageImage page : writer.read(1, 2)) {
        assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 77).data(), page.data());
      }
      assertEquals(2, get(writer.commitLater(1, PAGES, STAGE)));
      assertContent(writer.read(2, PAGES));
      settle(store);
      assertEquals(PAGES, TestStores.images(store));
      assertEquals(0, TestStores.entries(store, Keys.STAGE));
    }
  }

  /** Its pages are stored under a version that another commit has made since. */
  @Test
  void p6_isInvisibleInTheVersionThatItWouldHaveMade() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(3, TestWriter.all(3, 1));
      writer.stage(STAGE, TestWriter.all(3, 2));
      writer.commit(3, TestPages.page(1, TestWriter.PAGE_SIZE, 3));
      List<PageImage> read = writer.read(2, 3);
      assertEquals(List.of(2L, 1L, 1L), read.stream().map(PageImage::version).toList());
      assertEquals(TestPages.page(3, TestWriter.PAGE_SIZE, 1).data(), read.get(2).data());
      settle(store); // must not take the stage's for the newest, either
      assertEquals(
          List.of(2L, 1L, 1L), writer.read(2, 3).stream().map(PageImage::version).toList());
    }
  }

  /** Of two stages for the same version, the second is committed. */
  @Test
  void p6_isNotTakenForTheVersionThatAnotherStageHasBecome() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.commit(3, TestWriter.all(3, 1));
      writer.stage(STAGE, TestWriter.all(3, 2));
      writer.stage(new StageId(2, 2), TestWriter.all(3, 3));
      assertEquals(2, get(writer.commitLater(1, 3, new StageId(2, 2))));
      for (int i = 0; i < 2; i++) {
        for (PageImage page : writer.read(2, 3)) {
          assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 3).data(), page.data());
        }
        settle(store);
      }
      get(writer.dropStage(STAGE));
      settle(store);
      assertEquals(3, TestStores.images(store));
    }
  }

  private static void stageMuch(TestWriter writer, StageId stage) {
    PageImage[] pages = TestWriter.all(PAGES, 5);
    List<PageImage> all = List.of(pages);
    for (int from = 0; from < PAGES; from += 500) {
      writer.stage(stage, all.subList(from, from + 500).toArray(new PageImage[0]));
    }
  }

  private static void assertContent(List<PageImage> pages) {
    for (PageImage page : pages) {
      assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, 5).data(), page.data());
    }
  }

  private static void assertNothingIsLeft(RocksPageStore store) throws Exception {
    settle(store);
    assertEquals(0, TestStores.images(store));
    assertEquals(0, TestStores.entries(store, Keys.STAGE));
    assertEquals(0, TestStores.entries(store, Keys.CHANGED));
  }
}
