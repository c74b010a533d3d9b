package dev.grpsqlite.server.versioned;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** A store with a clock and pins that the test moves, and short ways to commit and read. */
final class Fixture {
  static final int PAGE_SIZE = 512;

  final TestClock clock = new TestClock();
  final Map<DatabaseId, Long> pins = new ConcurrentHashMap<>();
  final SessionId session = new SessionId(1, 2);
  final VersionedPageStore store;
  private long ids;

  Fixture(Retention retention) {
    this.store =
        new VersionedPageStore(
            retention,
            database -> pins.getOrDefault(database, Long.MAX_VALUE),
            clock,
            new SecureRandom());
  }

  Fixture(Retention retention, SnapshotPins pins) {
    this.store = new VersionedPageStore(retention, pins, clock, new SecureRandom());
  }

  Fixture(VersionedPageStore store) {
    this.store = store;
  }

  /** The answer of a future that must be complete. */
  static <T extends @Nullable Object> T answer(CompletableFuture<T> future) {
    assertTrue(future.isDone(), "an answer from memory is there at once");
    return future.join();
  }

  static void assertFails(StoreException.Code code, CompletableFuture<?> future) {
    assertTrue(future.isDone());
    CompletionException e = assertThrows(CompletionException.class, future::join);
    StoreException cause = assertInstanceOf(StoreException.class, e.getCause());
    assertEquals(code, cause.code(), cause.getMessage());
  }

  /** A database whose lease this fixture's session has. */
  DatabaseId create(String name) {
    DatabaseId id = answer(store.findOrCreate(name)).id();
    lease(id);
    return id;
  }

  long lease(DatabaseId id) {
    LeaseState lease = answer(store.acquireLease(id, session, Optional.empty()));
    assertEquals(session, lease.holder());
    return lease.epoch();
  }

  /** The first one's mark is 1, the next one's 2, and so on. */
  CommitId nextCommitId() {
    return new CommitId(++ids, 7);
  }

  /** A commit to the head that writes some pages. */
  Commit commitOf(DatabaseId id, int pageSize, long pageCount, List<PageImage> pages) {
    return commitOf(id, pageSize, pageCount, null, pages);
  }

  Commit commitOf(
      DatabaseId id, int pageSize, long pageCount, @Nullable StageId stage, List<PageImage> pages) {
    long base = answer(store.head(id)).version();
    long epoch = answer(store.lease(id)).epoch();
    return new Commit(id, session, epoch, nextCommitId(), base, pageSize, pageCount, stage, pages);
  }

  /** Writes pages filled with one byte, to a database that keeps its size or grows by them. */
  long write(DatabaseId id, int fill, long... numbers) {
    long count =
        Math.max(answer(store.head(id)).pageCount(), LongStream.of(numbers).max().orElse(0));
    List<PageImage> pages = new ArrayList<>();
    for (long number : numbers) {
      pages.add(page(number, filled(fill)));
    }
    return answer(store.commit(commitOf(id, PAGE_SIZE, count, pages)));
  }

  /** Makes a database of a number of pages by one commit. */
  DatabaseId createOfSize(String name, int pageCount) {
    DatabaseId id = create(name);
    write(id, 1, LongStream.rangeClosed(1, pageCount).toArray());
    return id;
  }

  /** Of the newest commit or restore. */
  long lastMark() {
    return ids;
  }

  long restore(DatabaseId id, long version) {
    long epoch = answer(store.lease(id)).epoch();
    return answer(store.restore(id, session, epoch, nextCommitId(), version));
  }

  int fillOf(DatabaseId id, long version, long number) {
    return bytes(answer(store.read(id, version, new long[] {number})).get(0))[0];
  }

  /** The whole of a version. */
  List<PageImage> readAll(DatabaseId id, long version) {
    Snapshot snapshot = answer(store.snapshot(id, version));
    return answer(
        store.read(id, version, LongStream.rangeClosed(1, snapshot.pageCount()).toArray()));
  }

  static byte[] filled(int fill) {
    byte[] bytes = new byte[PAGE_SIZE];
    Arrays.fill(bytes, (byte) fill);
    return bytes;
  }

  static PageImage page(long number, byte[] bytes) {
    return new PageImage(number, 0, number, ByteBuffer.wrap(bytes));
  }

  static byte[] bytes(PageImage page) {
    byte[] bytes = new byte[page.data().remaining()];
    page.data().duplicate().get(bytes);
    return bytes;
  }
}
