package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.PAGE_SIZE;
import static dev.grpsqlite.server.versioned.Fixture.answer;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Readers, a writer and the collector at once. */
@Timeout(60)
final class ConcurrencyTest {
  private static final int COMMITS = 1500;
  private static final int READERS = 3;

  /** Every page of a version is filled with that version's number, as far as a byte goes. */
  @Test
  void p6_readersSeeOneVersionWhileOthersAreCommittedAndCollected() throws Exception {
    Map<Integer, Long> views = new ConcurrentHashMap<>();
    Fixture fixture =
        new Fixture(
            Retention.NONE,
            database -> views.values().stream().mapToLong(v -> v).min().orElse(Long.MAX_VALUE));
    DatabaseId id = fixture.create("main");
    AtomicBoolean done = new AtomicBoolean();
    ExecutorService threads = Executors.newFixedThreadPool(READERS + 2);
    try {
      List<Future<Integer>> readers = new ArrayList<>();
      for (int i = 0; i < READERS; i++) {
        int reader = i;
        readers.add(threads.submit(() -> readUntil(done, fixture, id, views, reader)));
      }
      Future<Void> collector =
          threads.submit(
              (Callable<Void>)
                  () -> {
                    while (!done.get()) {
                      fixture.clock.advance(Duration.ofSeconds(2));
                      fixture.store.collect();
                      LockSupport.parkNanos(50_000); // leaves a processor to the others
                    }
                    return null;
                  });
      Future<Void> writer =
          threads.submit(
              (Callable<Void>)
                  () -> {
                    for (int version = 1; version <= COMMITS; version++) {
                      int pages = 30 + version % 7;
                      fixture.write(id, version, LongStream.rangeClosed(1, pages).toArray());
                    }
                    return null;
                  });
      try {
        writer.get(50, TimeUnit.SECONDS);
      } finally {
        done.set(true);
      }
      collector.get(50, TimeUnit.SECONDS);
      for (Future<Integer> reader : readers) {
        assertTrue(reader.get(50, TimeUnit.SECONDS) > 0, "a reader that read nothing");
      }
    } finally {
      threads.shutdownNow();
    }
    views.clear();
    fixture.clock.advance(Duration.ofSeconds(2));
    fixture.store.collect();
    assertEquals(COMMITS, answer(fixture.store.info(id)).oldestVersion());
  }

  private static int readUntil(
      AtomicBoolean done, Fixture fixture, DatabaseId id, Map<Integer, Long> views, int reader) {
    int read = 0;
    boolean last;
    do {
      last = done.get();
      views.put(reader, 0L); // entered before the version is looked up
      long head = answer(fixture.store.head(id)).version();
      long wanted = Math.max(0, head - reader); // not all read the newest
      Snapshot snapshot;
      try {
        snapshot = answer(fixture.store.snapshot(id, wanted));
      } catch (CompletionException e) {
        assertTrue(
            e.getCause() instanceof StoreException s
                && s.code() == StoreException.Code.SNAPSHOT_TOO_OLD);
        continue;
      }
      views.put(reader, wanted);
      long[] numbers = LongStream.rangeClosed(1, snapshot.pageCount()).toArray();
      for (int i = 0; i < 3; i++) {
        for (PageImage page : answer(fixture.store.read(id, wanted, numbers))) {
          assertEquals(PAGE_SIZE, page.data().remaining());
          if (page.version() == wanted) {
            assertEquals((byte) wanted, Fixture.bytes(page)[PAGE_SIZE - 1]);
          } else {
            assertTrue(page.version() < wanted);
          }
        }
      }
      views.remove(reader);
      read += wanted > 0 ? 1 : 0;
    } while (!last);
    return read;
  }
}
