package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.SettablePins;
import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CollectorTest {
  private static final int PAGE_SIZE = TestWriter.PAGE_SIZE;

  @TempDir Path folder = Path.of("");

  private final SettablePins pins = new SettablePins();

  private RocksPageStore open(Retention retention, Clock clock) throws Exception {
    return RocksPageStore.open(
        TestStores.settings(folder, retention, Duration.ofHours(1)), pins, clock);
  }

  /**
   * What is left is exactly what the kept versions need, whatever was committed, shrunk, staged for
   * nothing, and however the store was stopped in between.
   */
  @Test
  void p6_leavesTheImagesThatPinnedVersionsNeedAndNoOthers() throws Exception {
    long seed = Long.getLong("collector.seed", new Random().nextLong());
    System.out.println("random workload with -Dcollector.seed=" + seed);
    Random random = new Random(seed);
    List<long[]> model = new ArrayList<>(); // by version: the version that wrote each page
    model.add(new long[0]);
    long head = 0;
    long pinned = 0;
    for (int round = 0; round < 8; round++) {
      try (RocksPageStore store = open(Retention.NONE, Clock.systemUTC())) {
        TestWriter writer = new TestWriter(store, "a");
        pins.pin(writer.database, pinned);
        for (int i = 0; i < 20; i++) {
          commitAtRandom(random, writer, model, head);
          head++;
          if (random.nextInt(4) == 0) {
            pinned = Math.max(pinned, head - random.nextInt(5));
            pins.pin(writer.database, pinned);
            settle(store);
            assertEquals(pinned, get(store.info(writer.database)).oldestVersion());
            assertExactly(store, writer, model, pinned, head);
          }
        }
      }
    }
  }

  private static void commitAtRandom(
      Random random, TestWriter writer, List<long[]> model, long head) {
    long[] before = model.get((int) head);
    int count =
        switch (random.nextInt(5)) {
          case 0 -> random.nextInt(before.length + 1);
          case 1, 2 -> before.length + random.nextInt(15);
          default -> Math.max(1, before.length);
        };
    long[] after = new long[count];
    List<PageImage> pages = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean changed = i >= before.length || random.nextInt(5) == 0;
      after[i] = changed ? head + 1 : before[i];
      if (changed) {
        pages.add(TestPages.page(i + 1, PAGE_SIZE, 1000 * (head + 1) + i));
      }
    }
    StageId stage = null;
    if (random.nextInt(3) == 0) {
      stage = new StageId(head, 0);
      int inline = random.nextInt(pages.size() + 1);
      List<PageImage> staged = new ArrayList<>(pages.subList(inline, pages.size()));
      pages.subList(inline, pages.size()).clear();
      pages.stream()
          .limit(2)
          .forEach(page -> staged.add(TestPages.page(page.number(), PAGE_SIZE, 1)));
      staged.add(TestPages.page(count + 1 + random.nextInt(3), PAGE_SIZE, 1));
      writer.stage(stage, staged.toArray(new PageImage[0]));
    }
    if (random.nextInt(6) == 0) {
      writer.stage(new StageId(head, 1), TestWriter.all(5, 2)); // given up
    }
    assertEquals(
        head + 1, get(writer.commitLater(head, count, stage, pages.toArray(new PageImage[0]))));
    get(writer.dropStage(new StageId(head, 1)));
    model.add(after);
  }

  private static void assertExactly(
      RocksPageStore store, TestWriter writer, List<long[]> model, long from, long to)
      throws Exception {
    Set<String> needed = new HashSet<>();
    Set<String> extra = new HashSet<>();
    for (long version = from; version <= to; version++) {
      long[] written = model.get((int) version);
      List<PageImage> read = writer.read(version, written.length);
      for (int i = 0; i < written.length; i++) {
        needed.add(i + " of " + written[i]);
        assertEquals(written[i], read.get(i).version(), "page " + (i + 1) + " at " + version);
        assertEquals(
            TestPages.page(i + 1, PAGE_SIZE, 1000 * written[i] + i).data(), read.get(i).data());
      }
    }
    // What was staged for nothing with a version stays until that version is the oldest.
    for (long version = from + 1; version <= to; version++) {
      for (int i = 0; i < 3; i++) {
        extra.add(version + "." + i);
      }
    }
    int images = TestStores.images(store);
    assertTrue(images >= needed.size(), images + " images, needed " + needed.size());
    assertTrue(images <= needed.size() + extra.size(), images + " images, needed " + needed.size());
    if (from == to) {
      assertEquals(needed.size(), images);
    }
  }

  @Test
  void p6_versionsBelowTheFloorAreTooOldAndTheirCommitIdsStillKnown() throws Exception {
    try (RocksPageStore store = open(Retention.NONE, Clock.systemUTC())) {
      TestWriter writer = new TestWriter(store, "a");
      for (int i = 1; i <= 5; i++) {
        writer.commit(1, TestPages.page(1, PAGE_SIZE, i));
      }
      pins.pin(writer.database, 3);
      settle(store);
      for (long version : new long[] {0, 2}) {
        assertEquals(
            StoreException.Code.SNAPSHOT_TOO_OLD,
            assertThrows(StoreException.class, () -> writer.read(version, 1)).code());
      }
      assertEquals(TestPages.page(1, PAGE_SIZE, 3).data(), writer.read(3, 1).get(0).data());
      assertEquals(
          2, get(writer.commitLater(1, 1, null, TestPages.page(1, PAGE_SIZE, 2))), "sent again");
      Changes changes = get(store.changes(writer.database, 1, 5, 10));
      assertEquals(1, changes.pages().length);
    }
  }

  /** A session comes between the collector's first look at the pins and the rise of the floor. */
  @Test
  void p6_aVersionThatIsPinnedWhileTheFloorRisesIsKept() throws Exception {
    AtomicLong looks = new AtomicLong();
    try (RocksPageStore store =
        RocksPageStore.open(
            TestStores.settings(folder, Retention.NONE, Duration.ofHours(1)),
            database -> looks.getAndIncrement() == 0 ? Long.MAX_VALUE : 2,
            Clock.systemUTC())) {
      TestWriter writer = new TestWriter(store, "a");
      for (int i = 1; i <= 5; i++) {
        writer.commit(1, TestPages.page(1, PAGE_SIZE, i));
      }
      settle(store);
      assertTrue(looks.get() >= 2);
      assertEquals(2, get(store.info(writer.database)).oldestVersion());
      assertEquals(TestPages.page(1, PAGE_SIZE, 2).data(), writer.read(2, 1).get(0).data());
    }
  }

  @Test
  void versionsAreKeptForTheRetentionAndNoLonger() throws Exception {
    AtomicLong millis = new AtomicLong(1_000_000_000);
    Clock clock = clock(() -> Instant.ofEpochMilli(millis.get()));
    try (RocksPageStore store = open(Retention.lasting(Duration.ofMinutes(10)), clock)) {
      TestWriter writer = new TestWriter(store, "a");
      for (int i = 1; i <= 5; i++) {
        writer.commit(1, TestPages.page(1, PAGE_SIZE, i));
        millis.addAndGet(Duration.ofMinutes(3).toMillis());
      }
      // Version n was the head from 3(n-1) minutes on; now it is minute 15. So version 2, the head
      // until minute 6, is kept, and version 1, the head until minute 3, is not.
      settle(store);
      assertEquals(2, get(store.info(writer.database)).oldestVersion());
      assertEquals(4, TestStores.images(store));
      millis.addAndGet(Duration.ofMinutes(20).toMillis());
      settle(store);
      assertEquals(5, get(store.info(writer.database)).oldestVersion());
      assertEquals(1, TestStores.images(store));
      assertEquals(0, TestStores.entries(store, Keys.TO_COLLECT));
    }
  }

  @Test
  void p5_commitIdsAreForgottenAfterManyVersionsAndSomeTime() throws Exception {
    AtomicLong millis = new AtomicLong(1_000_000_000);
    Clock clock = clock(() -> Instant.ofEpochMilli(millis.get()));
    try (RocksPageStore store = open(Retention.NONE, clock)) {
      TestWriter writer = new TestWriter(store, "a");
      long versions = Collector.HISTORY_VERSIONS + 50;
      List<java.util.concurrent.CompletableFuture<Long>> answers = new ArrayList<>();
      for (long base = 0; base < versions; base++) {
        answers.add(writer.commitLater(base, 1, null, TestPages.page(1, PAGE_SIZE, base + 1)));
        if (answers.size() == 200) {
          answers.forEach(TestStores::get);
          answers.clear();
        }
      }
      answers.forEach(TestStores::get);
      settle(store);
      assertEquals(1, TestStores.images(store));
      assertEquals(versions, TestStores.entries(store, Keys.VERSION), "young ones are kept");
      millis.addAndGet(Collector.HISTORY.toMillis() + versions + 1);
      settle(store);
      assertEquals(Collector.HISTORY_VERSIONS, TestStores.entries(store, Keys.VERSION));
      assertEquals(Collector.HISTORY_VERSIONS, TestStores.entries(store, Keys.CHANGED));
      assertEquals(
          StoreException.Code.OUTCOME_UNKNOWN,
          assertThrows(
                  StoreException.class,
                  () -> get(writer.commitLater(10, 1, null, TestPages.page(1, PAGE_SIZE, 11))))
              .code());
      assertEquals(52, get(writer.commitLater(51, 1, null, TestPages.page(1, PAGE_SIZE, 52))));
      assertTrue(get(store.changes(writer.database, 10, versions, 10)).all());
    }
  }

  private static Clock clock(InstantSource source) {
    return new Clock() {
      @Override
      public ZoneId getZone() {
        return ZoneOffset.UTC;
      }

      @Override
      public Clock withZone(ZoneId zone) {
        return this;
      }

      @Override
      public Instant instant() {
        return source.instant();
      }
    };
  }
}
