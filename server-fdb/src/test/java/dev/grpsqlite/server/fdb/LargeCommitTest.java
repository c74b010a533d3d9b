package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** However large a commit is, no transaction is. */
class LargeCommitTest {
  private static final SessionId SESSION = new SessionId(1, 2);
  private static final int PAGE_SIZE = 65536;

  private final FakeCluster cluster = new FakeCluster();

  @AfterEach
  void stop() {
    cluster.close();
  }

  private FdbPageStore open() throws Exception {
    return FdbPageStore.open(
        cluster.connect(),
        new FdbPageStore.Settings(
            "large", Retention.NONE, Duration.ofHours(1), Duration.ofHours(1), Duration.ZERO),
        database -> Long.MAX_VALUE,
        Clock.systemUTC());
  }

  private static List<PageImage> pages(int from, int count, long seed) {
    List<PageImage> pages = new ArrayList<>();
    for (int i = from; i < from + count; i++) {
      pages.add(TestPages.page(i, PAGE_SIZE, seed + i));
    }
    return pages;
  }

  private static void assertPages(
      FdbPageStore store, DatabaseId database, long version, int from, int count, long seed) {
    long[] numbers = new long[count];
    for (int i = 0; i < count; i++) {
      numbers[i] = (long) from + i;
    }
    List<PageImage> read = get(store.read(database, version, numbers));
    for (int i = 0; i < count; i++) {
      assertEquals(
          TestPages.page(from + i, PAGE_SIZE, seed + numbers[i]).checksum(),
          read.get(i).checksum());
    }
  }

  private static long commit(
      FdbPageStore store,
      DatabaseId database,
      long base,
      int pageCount,
      @Nullable StageId stage,
      List<PageImage> inline) {
    long epoch = get(store.acquireLease(database, SESSION, Optional.empty())).epoch();
    return get(
        store.commit(
            new Commit(
                database,
                SESSION,
                epoch,
                new CommitId(base, 9),
                base,
                PAGE_SIZE,
                pageCount,
                stage,
                inline)));
  }

  @Test
  void stagedCommitsLargeMessagesRestoresAndDropsAreManySmallTransactions() throws Exception {
    try (FdbPageStore store = open()) {
      DatabaseId database = get(store.findOrCreate("large.db")).id();
      long epoch = get(store.acquireLease(database, SESSION, Optional.empty())).epoch();
      StageId stage = new StageId(1, 1);
      for (int from = 1; from <= 640; from += 64) {
        get(
            store.stage(
                database,
                SESSION,
                epoch,
                stage,
                StageCalls.UNCOUNTED,
                PAGE_SIZE,
                pages(from, 64, 0)));
      }
      assertEquals(1, commit(store, database, 0, 640, stage, List.of()));
      assertPages(store, database, 1, 577, 64, 0);

      // More in one message than a transaction has; the stage's page of the same number is older.
      StageId beside = new StageId(1, 2);
      get(
          store.stage(
              database,
              SESSION,
              epoch,
              beside,
              StageCalls.UNCOUNTED,
              PAGE_SIZE,
              pages(250, 10, 7_000_000)));
      assertEquals(2, commit(store, database, 1, 640, beside, pages(1, 255, 1_000_000)));
      assertPages(store, database, 2, 1, 255, 1_000_000);
      assertPages(store, database, 2, 256, 4, 7_000_000);
      assertPages(store, database, 2, 260, 100, 0);

      // Other databases' parts of a group, too.
      DatabaseId other = get(store.findOrCreate("other.db")).id();
      long otherEpoch = get(store.acquireLease(other, SESSION, Optional.empty())).epoch();
      assertEquals(
          List.of(3L, 1L),
          get(
              store.commitGroup(
                  List.of(
                      part(database, epoch, 2, 640, pages(1, 70, 2_000_000)),
                      part(other, otherEpoch, 0, 80, pages(1, 80, 3_000_000))))));
      assertPages(store, database, 3, 1, 70, 2_000_000);
      assertPages(store, other, 1, 1, 80, 3_000_000);

      assertEquals(4, get(store.restore(database, SESSION, epoch, new CommitId(5, 5), 1)));
      assertPages(store, database, 4, 1, 255, 0);

      get(store.collect());
      assertEquals(640, cluster.count(new Keys("large").images(database)));
      assertPages(store, database, 4, 1, 640, 0);
      long largest = store.transactions().largestBytes();
      assertTrue(largest > 1_000_000 && largest <= 9_000_000, largest + " bytes");
      assertTrue(cluster.largest() <= 9_000_000, cluster.largest() + " bytes");
      assertTrue(store.transactions().longestMillis() <= 4000);
    }
  }

  private static Commit part(
      DatabaseId database, long epoch, long base, int pageCount, List<PageImage> pages) {
    return new Commit(
        database, SESSION, epoch, new CommitId(base, 8), base, PAGE_SIZE, pageCount, null, pages);
  }
}
