package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.Statistics;

/** Stores as tests want them, and looks into them. */
final class TestStores {
  static final SnapshotPins NO_PINS = database -> Long.MAX_VALUE;

  private static final long DEADLINE_SECONDS = 60;
  private static final long STAGED_SET_BYTES = 64 << 20;

  private TestStores() {}

  /** Keeps nothing longer than it must, in memory too, and collects all the time. */
  static RocksPageStore.Settings settings(Path folder) {
    return settings(folder, Retention.NONE, Duration.ofMillis(2));
  }

  static RocksPageStore.Settings settings(Path folder, Retention retention, Duration collectEvery) {
    return settings(folder, retention, collectEvery, STAGED_SET_BYTES);
  }

  private static RocksPageStore.Settings settings(
      Path folder, Retention retention, Duration collectEvery, long stagedSetBytes) {
    return new RocksPageStore.Settings(
        folder, 8 << 20, retention, 4, 1, collectEvery, collectEvery, stagedSetBytes, null);
  }

  static RocksPageStore.Settings settings(Path folder, Statistics statistics) {
    return new RocksPageStore.Settings(
        folder,
        8 << 20,
        Retention.NONE,
        4,
        100,
        Duration.ofHours(1),
        Duration.ofHours(1),
        STAGED_SET_BYTES,
        statistics);
  }

  /** Collects only when it is told to. */
  static RocksPageStore open(Path folder) throws StoreOpenException {
    return RocksPageStore.open(
        settings(folder, Retention.NONE, Duration.ofHours(1)), NO_PINS, Clock.systemUTC());
  }

  /** Has so much memory for the numbers of staged pages. */
  static RocksPageStore open(Path folder, long stagedSetBytes) throws StoreOpenException {
    return RocksPageStore.open(
        settings(folder, Retention.NONE, Duration.ofHours(1), stagedSetBytes),
        NO_PINS,
        Clock.systemUTC());
  }

  static <T> T get(CompletableFuture<T> future) {
    try {
      return future.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new AssertionError(e);
    } catch (TimeoutException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Waits for what the store does in the background now. */
  static void settle(RocksPageStore store) {
    get(store.collect());
  }

  /** How many page images there are, of whatever database and version. */
  static int images(RocksPageStore store) throws RocksDBException {
    int count = 0;
    try (RocksIterator each = store.engine().pageScan()) {
      for (each.seekToFirst(); each.isValid(); each.next()) {
        count++;
      }
      each.status();
    }
    return count;
  }

  /** How many entries of a kind there are. */
  static int entries(RocksPageStore store, byte kind) throws RocksDBException {
    int count = 0;
    try (RocksIterator each = store.engine().metaScan()) {
      each.seek(new byte[] {kind});
      for (; each.isValid() && each.key()[0] == kind; each.next()) {
        count++;
      }
      each.status();
    }
    return count;
  }
}
