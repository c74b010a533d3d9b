package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Pages of zeros far apart from each other, whose numbers are what they cost. */
class ScatteredStageTest {
  private static final StageId STAGE = new StageId(1, 1);
  private static final StageId OTHER = new StageId(2, 2);
  private static final long SET_BYTES = 300_000;
  private static final int MESSAGE = 500;

  @TempDir Path folder = Path.of("");

  private static PageImage[] scattered(long first, int count, int step) {
    return LongStream.range(0, count)
        .mapToObj(i -> new PageImage(first + i * step, 0, 0, ByteBuffer.allocate(0)))
        .toArray(PageImage[]::new);
  }

  /** Stages pages, each alone in its block of a set, until that is refused; says how many. */
  private static long fill(TestWriter writer, StageId stage) {
    long staged = 0;
    for (int message = MESSAGE; message > 0; ) {
      try {
        writer.stage(stage, scattered(1 + (staged << 16), message, 1 << 16));
        staged += message;
      } catch (StoreException e) {
        assertEquals(Code.LIMIT, e.code());
        message /= 2;
      }
      assertTrue(staged < 50_000, "nothing was refused");
    }
    return staged;
  }

  @Test
  void p9_isRefusedBeyondItsShareAndOthersGoOn() throws Exception {
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter a = new TestWriter(store, "a");
      TestWriter b = new TestWriter(store, "b");
      long first = fill(a, STAGE);
      assertTrue(first > 1000, () -> first + " pages");
      for (int i = 2; i < 30; i++) { // as many stages as it likes
        fill(a, new StageId(i, i));
      }
      for (int i = 0; i < 20; i++) {
        b.stage(STAGE, TestWriter.all(100, i));
      }
      assertEquals(1, get(b.commitLater(0, 100, STAGE)));
      get(store.dropStages(a.session));
      assertEquals(first, fill(a, STAGE), "what was dropped is there again");
    }
  }

  @Test
  void aRefusedCallCanBeMadeAgain() throws Exception {
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter a = new TestWriter(store, "a");
      TestWriter b = new TestWriter(store, "b");
      b.stage(STAGE, 1, TestWriter.all(3, 1));
      fill(a, STAGE);
      PageImage[] much = scattered(1, 3 * MESSAGE, 1 << 16);
      assertEquals(
          Code.LIMIT, assertThrows(StoreException.class, () -> b.stage(STAGE, 2, much)).code());
      get(a.dropStage(STAGE));
      b.stage(STAGE, 2, much);
      assertEquals(1, get(b.commitLater(0, 3, STAGE)));
    }
  }

  @Test
  void whatEndsIsNotCountedAnyMore() throws Exception {
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter a = new TestWriter(store, "a");
      long most = fill(a, STAGE);
      get(a.commitLater(0, 0, STAGE));
      assertEquals(most, fill(a, STAGE), "after a commit");
      get(store.releaseLease(a.database, a.session, a.epoch));
      a = new TestWriter(store, "a");
      assertEquals(most, fill(a, STAGE), "after the lease was given back");
      get(store.drop(a.database));
      a = new TestWriter(store, "b");
      assertEquals(most, fill(a, STAGE), "after the database was dropped");
    }
  }

  /** Its set goes with it, and is neither lost nor counted twice. */
  @Test
  void aStageThatIsMovedBehindACommitIsCountedOnce() throws Exception {
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter writer = new TestWriter(store, "a");
      writer.stage(STAGE, TestWriter.all(100, 1));
      long most = fill(writer, STAGE);
      assertEquals(1, writer.commit(2, TestWriter.all(2, 2)));
      assertEquals(2, get(writer.commitLater(1, 100, STAGE)));
      assertEquals(100, get(store.history(writer.database, 3, 1)).get(0).pagesChanged());
      long again = fill(writer, OTHER);
      assertTrue(again >= most, () -> "%d pages, not %d".formatted(again, most));
      settle(store);
    }
  }

  @Test
  void goesOnAfterARestart() throws Exception {
    int count = 100_000;
    SessionId session;
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      session = writer.session;
      writer.stage(STAGE, TestWriter.all(3, 1));
      for (int staged = 0; staged < count; staged += 10_000) {
        writer.stage(STAGE, scattered(4L + staged * 4096L, 10_000, 4096));
      }
    }
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a", session);
      writer.stage(STAGE, TestWriter.all(5, 2));
      assertEquals(1, get(writer.commitLater(0, 5, STAGE)));
      assertEquals(5, get(store.history(writer.database, 2, 1)).get(0).pagesChanged());
      settle(store);
    }
  }

  /** The largest last, for which there would be too little left by then if it were a new one. */
  @Test
  void whatHadRoomBeforeARestartHasItAfterwards() throws Exception {
    long first;
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter a = new TestWriter(store, "a");
      first = fill(a, STAGE);
      fill(new TestWriter(store, "b"), STAGE);
    }
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter a = new TestWriter(store, "a");
      TestWriter b = new TestWriter(store, "b");
      b.stage(STAGE, TestWriter.all(1, 1));
      assertEquals(1, get(a.commitLater(0, 0, STAGE)));
      assertEquals(1, get(b.commitLater(0, 1, STAGE)));
      assertEquals(first, fill(a, STAGE));
    }
  }

  /** The heap may be smaller after a restart, or others have it: nothing is lost by that. */
  @Test
  void aRestartWithoutRoomForItDoesNotEndIt() throws Exception {
    SessionId session;
    long most;
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter writer = new TestWriter(store, "a");
      session = writer.session;
      writer.stage(STAGE, TestWriter.all(3, 1));
      most = fill(writer, STAGE);
      fill(writer, OTHER);
    }
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES / 10)) {
      TestWriter writer = new TestWriter(store, "a", session);
      for (int i = 0; i < 2; i++) {
        assertEquals(
            Code.LIMIT,
            assertThrows(StoreException.class, () -> get(writer.commitLater(0, 3, STAGE))).code());
        assertEquals(
            Code.LIMIT,
            assertThrows(StoreException.class, () -> writer.stage(STAGE, TestWriter.all(3, 2)))
                .code());
      }
      TestWriter other = new TestWriter(store, "b");
      other.stage(STAGE, TestWriter.all(100, 1));
      assertEquals(1, get(other.commitLater(0, 100, STAGE)));
    }
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter writer = new TestWriter(store, "a", session);
      assertEquals(1, get(writer.commitLater(0, 3, STAGE)));
      get(writer.dropStage(OTHER));
      long again = fill(writer, STAGE);
      assertTrue(again >= most, () -> "%d pages, not %d".formatted(again, most));
    }
  }

  /** One bit each: as much as a heap of the server's default size has room for, 1 TiB and more. */
  @Test
  void neighboursInAnyNumberAreNotRefused() throws Exception {
    try (RocksPageStore store = TestStores.open(folder, SET_BYTES)) {
      TestWriter writer = new TestWriter(store, "a");
      int count = 1_000_000;
      for (int staged = 0; staged < count; staged += 10_000) {
        writer.stage(STAGE, scattered(1L + staged, 10_000, 1));
      }
      assertEquals(1, get(writer.commitLater(0, count, STAGE)));
    }
  }
}
