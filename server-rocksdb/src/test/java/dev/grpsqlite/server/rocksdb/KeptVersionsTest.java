package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static dev.grpsqlite.server.rocksdb.TestStores.settle;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.grpsqlite.server.contract.SettablePins;
import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.VersionInfo;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which versions retention keeps, and how they are found. */
class KeptVersionsTest {
  private static final Instant START = Instant.parse("2026-01-31T10:00:00Z");

  @TempDir Path folder = Path.of("");

  private final SettablePins pins = new SettablePins();
  private Instant now = START;

  private RocksPageStore open(String retention) throws Exception {
    Clock clock =
        new Clock() {
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
            return now;
          }
        };
    return RocksPageStore.open(
        TestStores.settings(folder, Retention.parse(retention), Duration.ofHours(1)), pins, clock);
  }

  /** One in a minute. */
  private void commit(TestWriter writer, int count) {
    for (int i = 0; i < count; i++) {
      now = now.plus(Duration.ofMinutes(1));
      writer.commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, writer.head() + 1));
    }
  }

  private static long oldest(RocksPageStore store, DatabaseId database) {
    settle(store);
    return get(store.info(database)).oldestVersion();
  }

  @Test
  void aTimeANumberBothOrForeverAndADatabasesOwn() throws Exception {
    DatabaseId id;
    try (RocksPageStore store = open("forever")) {
      TestWriter writer = new TestWriter(store, "a");
      id = writer.database;
      commit(writer, 100);
      assertEquals(0, oldest(store, id));
      assertEquals(0, TestStores.entries(store, Keys.TO_COLLECT), "nothing can come of waiting");
      get(store.setRetention(id, Optional.of(Retention.parse("90versions"))));
      assertEquals(10, oldest(store, id));
      // The head has been it for no time yet, version 80 until 19 minutes ago.
      get(store.setRetention(id, Optional.of(Retention.parse("20m"))));
      assertEquals(80, oldest(store, id));
      get(store.setRetention(id, Optional.of(Retention.parse("20m,5versions"))));
      now = now.plus(Duration.ofMinutes(10));
      assertEquals(90, oldest(store, id));
      now = now.plus(Duration.ofMinutes(30));
      assertEquals(95, oldest(store, id));
      assertEquals(0, TestStores.entries(store, Keys.TO_COLLECT));
      commit(writer, 1);
      assertEquals(96, oldest(store, id), "the 100th ended just now, the 95th long ago");
      assertEquals(
          Retention.parse("20m,5versions"), get(store.info(id)).retention(), "and it is told");
    }
    try (RocksPageStore store = open("0")) {
      assertEquals(96, oldest(store, id));
      assertEquals(Retention.parse("20m,5versions"), get(store.info(id)).retention());
      pins.pin(id, 98);
      get(store.setRetention(id, Optional.empty()));
      assertEquals(98, oldest(store, id));
      pins.unpin(id);
      assertEquals(101, oldest(store, id));
      assertEquals(1, TestStores.images(store));
      get(
          store.setRetention(
              id, Optional.of(new Retention(false, Duration.ofSeconds(Long.MAX_VALUE), 0))));
      commit(new TestWriter(store, "a"), 3);
      assertEquals(101, oldest(store, id));
    }
  }

  @Test
  void aTimeNamesTheNewestVersionNotAfterIt() throws Exception {
    try (RocksPageStore store = open("forever")) {
      TestWriter writer = new TestWriter(store, "a");
      commit(writer, 50);
      for (int minute = 0; minute <= 50; minute++) {
        Instant time = START.plus(Duration.ofMinutes(minute));
        assertEquals(minute, get(store.snapshotAt(writer.database, time)).version());
        assertEquals(minute, get(store.snapshotAt(writer.database, time.plusNanos(1))).version());
        assertEquals(
            minute, get(store.snapshotAt(writer.database, time.plusSeconds(59))).version());
      }
      assertEquals(50, get(store.snapshotAt(writer.database, Instant.MAX)).version());
      get(store.setRetention(writer.database, Optional.of(Retention.parse("10versions"))));
      settle(store);
      Instant oldest = START.plus(Duration.ofMinutes(40));
      assertEquals(40, get(store.snapshotAt(writer.database, oldest)).version());
      for (Instant old : List.of(oldest.minusMillis(1), START)) {
        assertEquals(
            StoreException.Code.SNAPSHOT_TOO_OLD,
            assertThrows(StoreException.class, () -> get(store.snapshotAt(writer.database, old)))
                .code());
      }
      for (Instant before : List.of(START.minusMillis(1), Instant.MIN)) {
        assertEquals(
            StoreException.Code.NO_SUCH_VERSION,
            assertThrows(StoreException.class, () -> get(store.snapshotAt(writer.database, before)))
                .code());
      }
    }
  }

  @Test
  void historyTellsRetainedVersionsNewestFirstAndEachHasItsMillisecond() throws Exception {
    try (RocksPageStore store = open("forever")) {
      TestWriter writer = new TestWriter(store, "a");
      new TestWriter(store, "b").commit(1, TestWriter.all(1, 1));
      writer.commit(3, TestWriter.all(3, 1));
      now = now.minusSeconds(3600);
      writer.commit(5, TestWriter.all(5, 2));
      now = now.plusSeconds(7200);
      writer.commit(2);
      List<VersionInfo> all = get(store.history(writer.database, Long.MAX_VALUE, 100));
      assertEquals(List.of(0L, 5L, 3L, 0L), all.stream().map(VersionInfo::pagesChanged).toList());
      assertEquals(
          List.of(now, START.plusMillis(2), START.plusMillis(1), START),
          all.stream().map(VersionInfo::committedAt).toList());
      for (VersionInfo each : all) {
        assertEquals(
            each.snapshot(), get(store.snapshot(writer.database, each.snapshot().version())));
      }
      assertEquals(all.subList(0, 2), get(store.history(writer.database, 4, 2)));
      assertEquals(all.subList(2, 4), get(store.history(writer.database, 2, 100)));
      assertEquals(List.of(), get(store.history(writer.database, 0, 100)));
      assertEquals(List.of(), get(store.history(writer.database, Long.MIN_VALUE, 100)));
      get(store.setRetention(writer.database, Optional.of(Retention.parse("1version"))));
      settle(store);
      assertEquals(all.subList(0, 2), get(store.history(writer.database, Long.MAX_VALUE, 100)));
    }
  }
}
