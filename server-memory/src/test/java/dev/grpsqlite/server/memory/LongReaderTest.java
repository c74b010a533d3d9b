package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

/** Readers that are at work while very much is committed. */
class LongReaderTest {
  private static final SessionId SESSION = new SessionId(1, 2);
  private static final int COMMITS = 200_000;

  private final AtomicLong pinned = new AtomicLong(Long.MAX_VALUE);
  private final MemoryPageStore store =
      new MemoryPageStore(database -> pinned.get(), Clock.systemUTC());
  private final DatabaseId id = store.findOrCreate("main").join().id();
  private final long epoch = store.acquireLease(id, SESSION, Optional.empty()).join().epoch();
  private long head;

  @Test
  @Timeout(value = 30, threadMode = ThreadMode.SEPARATE_THREAD) // of work that ignores interrupts
  void theCommitAfterItsEndIsSoonDone() {
    commit(2, 1, 2);
    pinned.set(1);
    for (int i = 0; i < COMMITS; i++) {
      commit(2, 1);
    }
    assertEquals(1, versionOf(1, 1));
    pinned.set(COMMITS / 2);
    commit(2, 1);
    assertEquals(COMMITS / 2, versionOf(COMMITS / 2, 1));
    assertEquals(COMMITS / 2 + 1, versionOf(COMMITS / 2 + 1, 1));
    pinned.set(Long.MAX_VALUE);
    commit(2, 1);
    assertEquals(head, versionOf(head, 1));
    assertEquals(1, versionOf(head, 2));
    assertEquals(head, store.info(id).join().oldestVersion());
  }

  /** Each version has pages of its own, some of which were cut off and came again meanwhile. */
  @Test
  void p6_whatIsKeptIsWholeWhereverTheOldestReaderIs() {
    long[] counts = {9, 3, 7, 2, 9, 1, 8, 8, 5, 9};
    long[][] versions = new long[counts.length + 1][];
    for (int oldest = 1; oldest <= counts.length; oldest++) {
      DatabaseId each = store.findOrCreate("cut " + oldest).join().id();
      long lease = store.acquireLease(each, SESSION, Optional.empty()).join().epoch();
      pinned.set(0);
      long before = 0;
      for (int v = 1; v <= counts.length; v++) {
        long count = counts[v - 1];
        long[] now = new long[(int) count + 1];
        for (int page = 1; page <= count; page++) {
          boolean written = page > before || page % 4 == v % 4;
          now[page] = written ? v : versions[v - 1][page];
        }
        versions[v] = now;
        if (v == counts.length) {
          pinned.set(oldest);
        }
        long version = v;
        commit(each, lease, v - 1, count, pagesOf(now, version));
        before = count;
      }
      for (int v = oldest; v <= counts.length; v++) {
        for (int page = 1; page <= counts[v - 1]; page++) {
          PageImage image = store.read(each, v, new long[] {page}).join().get(0);
          assertEquals(versions[v][page], image.version(), "page " + page + " at " + v);
        }
      }
    }
  }

  private static long[] pagesOf(long[] writtenBy, long version) {
    return LongStream.range(1, writtenBy.length)
        .filter(page -> writtenBy[(int) page] == version)
        .toArray();
  }

  private long versionOf(long version, long page) {
    return store.read(id, version, new long[] {page}).join().get(0).version();
  }

  private void commit(long pageCount, long... pages) {
    commit(id, epoch, head, pageCount, pages);
    head++;
  }

  private void commit(DatabaseId database, long lease, long base, long pageCount, long... pages) {
    List<PageImage> images =
        LongStream.of(pages)
            .mapToObj(page -> new PageImage(page, 0, 0, ByteBuffer.allocate(0)))
            .toList();
    CommitId commitId = new CommitId(1, base);
    store
        .commit(new Commit(database, SESSION, lease, commitId, base, 512, pageCount, null, images))
        .join();
  }
}
