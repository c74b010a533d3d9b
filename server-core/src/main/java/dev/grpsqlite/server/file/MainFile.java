package dev.grpsqlite.server.file;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * A database as the bytes of its file.
 *
 * <p>Each write is a commit: the pages that it touches in part are read, changed, and committed on
 * the version that they were read at; if the head moved in between, all of it is done again. The
 * page size is what the file's header says, as soon as a write shows it; until then, pages are as
 * large as the first write. When the header says another size than the pages have, the whole file
 * is cut anew. A file's size is always a number of pages: what is shorter ends in zeros.
 *
 * <p>Thread-safe; waits for nothing.
 */
final class MainFile {
  private static final int DEFAULT_PAGE_SIZE = 4096;

  /** The header of a database: its magic, and where in it the page size is. */
  private static final ByteString MAGIC = ByteString.copyFromUtf8("SQLite format 3\0");

  private static final int PAGE_SIZE_OFFSET = 16;

  /** Read from, or staged to, the store at once. */
  private static final int PART_BYTES = 1 << 20;

  /** Pages of zeros that are staged at once, and above which they are. */
  private static final int PART_PAGES = 65_536;

  /** A file grows by less than this behind its end at once, so that no request makes it huge. */
  private static final long MAX_GAP_BYTES = 1L << 30;

  /** A batch of whole pages is a message at most; one of single bytes may touch many pages. */
  private static final int MAX_TOUCHED_BYTES = 64 << 20;

  /** Other writes under the same lease, or other commits below a read, are as rare as retries. */
  private static final int ATTEMPTS = 100;

  private final PageStore store;
  private final SecureRandom random;

  MainFile(PageStore store, SecureRandom random) {
    this.store = store;
    this.random = random;
  }

  record Write(long offset, ByteString data) {
    long end() {
      return offset + data.size();
    }
  }

  static long size(Snapshot snapshot) {
    return snapshot.pageSize() * snapshot.pageCount();
  }

  // ---- Reading

  /**
   * Bytes of a snapshot.
   *
   * @param timeMillis names the snapshot
   */
  record Part(ByteString data, long timeMillis) {}

  /**
   * Reads what there is of a range.
   *
   * @param timeMillis the snapshot to read; 0 for the newest, as the database then is
   */
  CompletableFuture<Part> read(DatabaseInfo info, long timeMillis, long offset, int length) {
    return read(info, timeMillis, offset, length, ATTEMPTS);
  }

  private CompletableFuture<Part> read(
      DatabaseInfo info, long timeMillis, long offset, int length, int attempts) {
    long headMillis = info.committedAt().toEpochMilli();
    if (timeMillis != 0 && timeMillis < headMillis) {
      return store
          .snapshotAt(info.id(), Instant.ofEpochMilli(timeMillis))
          .thenCompose(snapshot -> read(info.id(), snapshot, offset, length))
          .thenApply(data -> new Part(data, timeMillis));
    }
    return read(info.id(), info.head(), offset, length)
        .thenApply(data -> new Part(data, headMillis))
        .exceptionallyCompose(
            error -> {
              if (attempts <= 1 || !isTooOld(error)) {
                return CompletableFuture.failedFuture(error);
              }
              return store
                  .info(info.id())
                  .thenCompose(now -> read(now, timeMillis, offset, length, attempts - 1));
            });
  }

  private static boolean isTooOld(Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    return cause instanceof StoreException e && e.code() == Code.SNAPSHOT_TOO_OLD;
  }

  private CompletableFuture<ByteString> read(
      DatabaseId database, Snapshot snapshot, long offset, int length) {
    int count = (int) Math.max(0, Math.min(length, size(snapshot) - offset));
    if (count == 0) {
      return CompletableFuture.completedFuture(ByteString.EMPTY);
    }
    long first = offset / snapshot.pageSize() + 1;
    long last = (offset + count - 1) / snapshot.pageSize() + 1;
    return store
        .read(database, snapshot.version(), LongStream.rangeClosed(first, last).toArray())
        .thenApply(
            pages -> {
              int skip = (int) (offset % snapshot.pageSize());
              return join(pages, snapshot.pageSize()).substring(skip, skip + count);
            });
  }

  private static ByteString join(List<PageImage> pages, int pageSize) {
    if (pages.size() == 1 && pages.get(0).data().hasRemaining()) {
      return UnsafeByteOperations.unsafeWrap(pages.get(0).data());
    }
    byte[] bytes = new byte[pages.size() * pageSize];
    int at = 0;
    for (PageImage page : pages) {
      ByteBuffer data = page.data().duplicate();
      data.get(bytes, at, data.remaining());
      at += pageSize;
    }
    return UnsafeByteOperations.unsafeWrap(bytes);
  }

  // ---- Writing

  /** Applies all the writes, in their order, as one commit. */
  CompletableFuture<Void> write(FileLease lease, List<Write> writes) {
    return again(
        Code.HEAD_MOVED,
        () ->
            store
                .head(lease.database())
                .thenCompose(head -> new Change(lease, head, writes, -1).commit()));
  }

  /** Sets the size. */
  CompletableFuture<Void> truncate(FileLease lease, long size) {
    return again(
        Code.HEAD_MOVED,
        () ->
            store
                .head(lease.database())
                .thenCompose(
                    head -> new Change(lease, head, zerosBehind(head, size), size).commit()));
  }

  /** What is cut off a page that stays reads as zeros. */
  private static List<Write> zerosBehind(Snapshot head, long size) {
    int within = head.pageSize() == 0 ? 0 : (int) (size % head.pageSize());
    return within == 0 || size >= size(head)
        ? List.of()
        : List.of(
            new Write(size, UnsafeByteOperations.unsafeWrap(new byte[head.pageSize() - within])));
  }

  private static <T> CompletableFuture<T> again(Code code, Supplier<CompletableFuture<T>> attempt) {
    Attempts<T> attempts = new Attempts<>(code, attempt);
    return Loop.whileTrue(attempts::next).thenApply(done -> attempts.result());
  }

  private static final class Attempts<T> {
    private final Code code;
    private final Supplier<CompletableFuture<T>> attempt;
    private int left = ATTEMPTS;
    private @Nullable CompletableFuture<T> last;

    Attempts(Code code, Supplier<CompletableFuture<T>> attempt) {
      this.code = code;
      this.attempt = attempt;
    }

    CompletableFuture<Boolean> next() {
      CompletableFuture<T> current = attempt.get();
      last = current;
      left--;
      return current.handle(
          (value, error) -> {
            Throwable cause = error instanceof CompletionException ? error.getCause() : error;
            return left > 0 && cause instanceof StoreException e && e.code() == code;
          });
    }

    /** Of the last attempt, which is complete. */
    T result() {
      CompletableFuture<T> current = last;
      if (current == null) {
        throw new IllegalStateException("not tried");
      }
      return current.join();
    }
  }

  /** From one version to the next. */
  private final class Change {
    private final FileLease lease;
    private final Snapshot base;
    private final List<Write> writes;
    private final int pageSize;
    private final long pageCount;

    /** What the writes make of the pages that they touch. */
    private final TreeMap<Long, byte[]> touched = new TreeMap<>();

    /** Those of them that one write covers. */
    private final Set<Long> covered = new HashSet<>();

    private @Nullable StageId stage;

    /** The next page to stage. */
    private long next;

    /** A size of -1 is that of the base, or where the writes end. */
    Change(FileLease lease, Snapshot base, List<Write> writes, long size) {
      this.lease = lease;
      this.base = base;
      this.writes = writes;
      this.pageSize = pageSizeAfter(base, writes);
      long end = writes.stream().mapToLong(Write::end).max().orElse(0);
      long newSize = size >= 0 ? size : Math.max(size(base), end);
      long touchedBytes = writes.stream().mapToLong(write -> write.data().size()).sum();
      if (newSize - size(base) - touchedBytes > MAX_GAP_BYTES) {
        throw new RequestException(
            Reason.LIMIT,
            "the file would grow from "
                + size(base)
                + " to "
                + newSize
                + " bytes at once; write what is between first");
      }
      this.pageCount = (newSize + pageSize - 1) / pageSize;
      if (pageCount > Pages.MAX_PAGE_NUMBER) {
        throw new RequestException(Reason.LIMIT, "the file would have more pages than SQLite's");
      }
    }

    CompletableFuture<Void> commit() {
      if (writes.isEmpty() && pageCount == base.pageCount()) {
        return CompletableFuture.completedFuture(null);
      }
      return (pageSize == base.pageSize() || base.pageCount() == 0 ? patch() : cutAnew())
          .thenCompose(this::apply);
    }

    private CompletableFuture<Void> apply(List<PageImage> pages) {
      return store
          .commit(
              new Commit(
                  lease.database(),
                  lease.session(),
                  lease.epoch(),
                  new CommitId(random.nextLong(), random.nextLong()),
                  base.version(),
                  pageSize,
                  pageCount,
                  stage,
                  pages))
          .whenComplete(
              (version, error) -> {
                if (error != null && stage != null) {
                  CompletableFuture<Void> unused =
                      store.dropStage(lease.database(), lease.session(), stage);
                }
              })
          .thenAccept(version -> {});
    }

    /** The pages are as large as before: those touched, and zeros where the file grows. */
    private CompletableFuture<List<PageImage>> patch() {
      for (Write write : writes) {
        touch(write);
      }
      long[] old =
          touched.keySet().stream()
              .filter(page -> !covered.contains(page))
              .mapToLong(Long::longValue)
              .filter(page -> page <= base.pageCount())
              .toArray();
      CompletableFuture<List<PageImage>> before =
          old.length == 0
              ? CompletableFuture.completedFuture(List.of())
              : store.read(lease.database(), base.version(), old);
      return before.thenCompose(
          pages -> {
            for (PageImage page : pages) {
              byte[] bytes = touched.get(page.number());
              ByteBuffer data = page.data().duplicate();
              if (bytes != null) {
                data.get(bytes, 0, data.remaining());
              }
            }
            writes.forEach(this::copy);
            return grow().thenApply(grown -> images(grown));
          });
    }

    private void touch(Write write) {
      if (write.data().isEmpty()) {
        return;
      }
      long last = (write.end() - 1) / pageSize + 1;
      for (long page = write.offset() / pageSize + 1; page <= last; page++) {
        touched.computeIfAbsent(page, number -> new byte[pageSize]);
        if (touched.size() > MAX_TOUCHED_BYTES / pageSize) {
          throw new RequestException(
              Reason.LIMIT,
              "the writes touch pages of more than " + MAX_TOUCHED_BYTES + " bytes together");
        }
        long from = (page - 1) * pageSize;
        if (write.offset() <= from && from + pageSize <= write.end()) {
          covered.add(page);
        }
      }
    }

    private void copy(Write write) {
      int done = 0;
      while (done < write.data().size()) {
        long at = write.offset() + done;
        int within = (int) (at % pageSize);
        int part = Math.min(write.data().size() - done, pageSize - within);
        byte[] bytes = touched.get(at / pageSize + 1);
        if (bytes == null) {
          throw new IllegalStateException("page of " + at + " was not touched");
        }
        write.data().substring(done, done + part).copyTo(bytes, within);
        done += part;
      }
    }

    /** The pages of zeros between the old end and the new; staged if they are many. */
    private CompletableFuture<List<PageImage>> grow() {
      long first = base.pageCount() + 1;
      if (pageCount - base.pageCount() <= PART_PAGES) {
        return CompletableFuture.completedFuture(zeros(first, pageCount));
      }
      next = first;
      return inParts(
          () -> {
            long last = Math.min(pageCount, next + PART_PAGES - 1);
            List<PageImage> part = zeros(next, last);
            next = last + 1;
            return CompletableFuture.completedFuture(part);
          });
    }

    private List<PageImage> zeros(long first, long last) {
      List<PageImage> result = new ArrayList<>();
      for (long page = first; page <= last; page++) {
        if (!touched.containsKey(page)) {
          result.add(new PageImage(page, 0, 0, ByteBuffer.allocate(0)));
        }
      }
      return result;
    }

    private List<PageImage> images(List<PageImage> zeros) {
      List<PageImage> result = new ArrayList<>(zeros);
      touched.forEach((number, bytes) -> result.add(image(number, bytes)));
      return result;
    }

    /** The pages have another size than before: all of them, staged a part after the other. */
    private CompletableFuture<List<PageImage>> cutAnew() {
      next = 1;
      return inParts(
          () -> {
            long first = next;
            long count = Math.min(pageCount - first + 1, Math.max(1, PART_BYTES / pageSize));
            next = first + count;
            long from = (first - 1) * pageSize;
            int bytes = (int) count * pageSize;
            return oldBytes(from, bytes).thenApply(old -> cut(first, count, old));
          });
    }

    private CompletableFuture<byte[]> oldBytes(long from, int length) {
      byte[] result = new byte[length];
      int there = (int) Math.max(0, Math.min(length, size(base) - from));
      if (there == 0) {
        return CompletableFuture.completedFuture(result);
      }
      int oldSize = base.pageSize();
      long first = from / oldSize + 1;
      long last = (from + there - 1) / oldSize + 1;
      return store
          .read(lease.database(), base.version(), LongStream.rangeClosed(first, last).toArray())
          .thenApply(
              pages -> {
                int skip = (int) (from % oldSize);
                join(pages, oldSize).substring(skip, skip + there).copyTo(result, 0);
                return result;
              });
    }

    private List<PageImage> cut(long first, long count, byte[] bytes) {
      long from = (first - 1) * pageSize;
      for (Write write : writes) {
        long begin = Math.max(from, write.offset());
        long end = Math.min(from + bytes.length, write.end());
        if (begin < end) {
          write
              .data()
              .substring((int) (begin - write.offset()), (int) (end - write.offset()))
              .copyTo(bytes, (int) (begin - from));
        }
      }
      List<PageImage> result = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        byte[] page = new byte[pageSize];
        System.arraycopy(bytes, i * pageSize, page, 0, pageSize);
        result.add(image(first + i, page));
      }
      return result;
    }

    /** Stages parts until there is no next page; what is left to commit inline is nothing. */
    private CompletableFuture<List<PageImage>> inParts(
        Supplier<CompletableFuture<List<PageImage>>> part) {
      StageId id = new StageId(random.nextLong(), random.nextLong());
      stage = id;
      return Loop.whileTrue(
              () ->
                  part.get()
                      .thenCompose(
                          pages ->
                              store.stage(
                                  lease.database(),
                                  lease.session(),
                                  lease.epoch(),
                                  id,
                                  StageCalls.UNCOUNTED,
                                  pageSize,
                                  pages))
                      .thenApply(staged -> next <= pageCount))
          .thenApply(done -> List.of());
    }

    private PageImage image(long number, byte[] bytes) {
      return new PageImage(
          number, 0, Pages.checksum(bytes, 0, bytes.length), ByteBuffer.wrap(bytes));
    }
  }

  /** The page size of what the writes make of the file. */
  private static int pageSizeAfter(Snapshot base, List<Write> writes) {
    int size = base.pageSize();
    for (Write write : writes) {
      int inHeader = pageSizeIn(write);
      if (inHeader != 0) {
        size = inHeader;
      }
    }
    if (size != 0) {
      return size;
    }
    int first = writes.isEmpty() ? 0 : writes.get(0).data().size();
    return Pages.isPageSize(first) ? first : DEFAULT_PAGE_SIZE;
  }

  /** What a write of a database's header says, or 0. */
  private static int pageSizeIn(Write write) {
    ByteString data = write.data();
    if (write.offset() != 0 || data.size() < PAGE_SIZE_OFFSET + 2 || !data.startsWith(MAGIC)) {
      return 0;
    }
    int high = data.byteAt(PAGE_SIZE_OFFSET) & 0xff;
    int low = data.byteAt(PAGE_SIZE_OFFSET + 1) & 0xff;
    int size = high << 8 | low;
    // 65536 does not fit into two bytes.
    size = size == 1 ? Pages.MAX_PAGE_SIZE : size;
    return Pages.isPageSize(size) ? size : 0;
  }
}
