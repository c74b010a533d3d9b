package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.ReadTransaction;
import dev.grpsqlite.server.fdb.DatabaseRecord.Origin;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads pages as of a version (P6). Pages that are side by side come by one range read, as far as
 * nothing newer lies in between. Thread-safe.
 */
final class PageReader {
  /** More rows at once than this may be some megabytes. */
  private static final int MOST_ROWS = 256;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;

  PageReader(Transactions transactions, Databases databases) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
  }

  CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    return transactions.read(transaction -> read(transaction, database, version, pages));
  }

  CompletableFuture<List<PageImage>> read(
      ReadTransaction transaction, DatabaseId database, long version, long[] pages) {
    CompletableFuture<VersionRecord> readable = databases.readable(transaction, database, version);
    CompletableFuture<DatabaseRecord> record = databases.record(transaction, database);
    return readable
        .thenCombine(
            record,
            (wanted, created) -> {
              for (long page : pages) {
                if (page < 1 || page > wanted.pageCount()) {
                  throw FdbErrors.invalid(
                      database,
                      "page %d does not exist: version %d has %d"
                          .formatted(page, version, wanted.pageCount()));
                }
              }
              return created;
            })
        .thenCompose(created -> find(transaction, created, version, pages))
        .thenApply(
            found -> {
              List<PageImage> images = new ArrayList<>(pages.length);
              for (long page : pages) {
                PageImage image = found.get(page);
                if (image == null) {
                  throw new StoreException(
                      StoreException.Code.STORE_FAILED,
                      "database %s: page %d of version %d is missing"
                          .formatted(database, page, version));
                }
                images.add(image);
              }
              return images;
            });
  }

  /** The pages that there are, by number. */
  CompletableFuture<Map<Long, PageImage>> find(
      ReadTransaction transaction, DatabaseRecord record, long version, long[] pages) {
    Map<Long, PageImage> found = Collections.synchronizedMap(new HashMap<>());
    CompletableFuture<Void> all =
        findIn(transaction, record.id(), record.id(), version, pages, found);
    for (Origin origin : record.origins()) {
      all =
          all.thenCompose(
              done -> {
                long[] missing = missing(pages, found);
                return missing.length == 0
                    ? Futures.done()
                    : findIn(
                        transaction,
                        origin.database(),
                        record.id(),
                        origin.version(),
                        missing,
                        found);
              });
    }
    return all.thenApply(done -> found);
  }

  private static long[] missing(long[] pages, Map<Long, PageImage> found) {
    return java.util.Arrays.stream(pages).filter(page -> !found.containsKey(page)).toArray();
  }

  /** Looks in one database; what it inherited is not of a version of its fork's own. */
  private CompletableFuture<Void> findIn(
      ReadTransaction transaction,
      DatabaseId database,
      DatabaseId asked,
      long version,
      long[] pages,
      Map<Long, PageImage> found) {
    long[] sorted = pages.clone();
    java.util.Arrays.sort(sorted);
    List<CompletableFuture<Void>> runs = new ArrayList<>();
    for (int from = 0; from < sorted.length; ) {
      int to = from + 1;
      while (to < sorted.length && sorted[to] == sorted[to - 1] + 1 && to - from < MOST_ROWS) {
        to++;
      }
      Run run = new Run(transaction, database, !database.equals(asked), version, found);
      runs.add(run.read(sorted[from], sorted[to - 1]));
      from = to;
    }
    return CompletableFuture.allOf(runs.toArray(new CompletableFuture<?>[0]));
  }

  /** A run of pages, in one database. */
  private final class Run {
    private final ReadTransaction transaction;
    private final DatabaseId database;
    private final boolean inherited;
    private final long version;
    private final Map<Long, PageImage> found;
    private final Map<Long, byte[]> attempts = new ConcurrentHashMap<>(); // by version

    Run(
        ReadTransaction transaction,
        DatabaseId database,
        boolean inherited,
        long version,
        Map<Long, PageImage> found) {
      this.transaction = transaction;
      this.database = database;
      this.inherited = inherited;
      this.version = version;
      this.found = found;
    }

    CompletableFuture<Void> read(long first, long last) {
      return readFrom(first, keys.imagesFrom(database, first, version), last);
    }

    /** From a place among the images of a page on. */
    private CompletableFuture<Void> readFrom(long page, byte[] from, long last) {
      int rows = (int) Math.min(MOST_ROWS, last - page + 2);
      return Databases.list(transaction, from, keys.imagesEnd(database, last), rows, false)
          .thenCompose(
              images ->
                  knownAttempts(images)
                      .thenCompose(known -> take(images, page, last, images.size() < rows)));
    }

    /** Looks up what is valid of what was staged. */
    private CompletableFuture<Void> knownAttempts(List<KeyValue> images) {
      List<CompletableFuture<Void>> lookups = new ArrayList<>();
      for (KeyValue image : images) {
        long written = keys.imageVersion(image.getKey());
        if (keys.imageAttempt(image.getKey()) != Keys.INLINE
            && written <= version
            && attempts.putIfAbsent(written, Values.NOTHING) == null) {
          lookups.add(
              transaction
                  .get(keys.attempts(database, written))
                  .thenAccept(
                      value -> {
                        if (value != null) {
                          attempts.put(written, value);
                        }
                      }));
        }
      }
      return CompletableFuture.allOf(lookups.toArray(new CompletableFuture<?>[0]));
    }

    private boolean isValid(byte[] key) {
      long attempt = keys.imageAttempt(key);
      if (attempt == Keys.INLINE) {
        return true;
      }
      byte[] valid = attempts.get(keys.imageVersion(key));
      return valid != null && Values.contains(valid, attempt);
    }

    private CompletableFuture<Void> take(
        List<KeyValue> images, long first, long last, boolean atEnd) {
      long next = first; // the page that is looked for
      for (KeyValue image : images) {
        byte[] key = image.getKey();
        long page = keys.imagePage(key);
        if (page < next) {
          continue; // older images of one that was found
        }
        long written = keys.imageVersion(key);
        if (written > version) {
          // It would be a long way past what is newer, perhaps.
          return readFrom(page, keys.imagesFrom(database, page, version), last);
        }
        if (isValid(key)) {
          found.put(page, Values.image(page, inherited ? 0 : written, image.getValue()));
          next = page + 1;
        } else {
          next = page;
        }
      }
      if (atEnd || next > last) {
        return Futures.done();
      }
      byte[] lastKey = images.get(images.size() - 1).getKey();
      return keys.imagePage(lastKey) >= next
          ? readFrom(
              next, com.apple.foundationdb.tuple.ByteArrayUtil.join(lastKey, new byte[1]), last)
          : readFrom(next, keys.imagesFrom(database, next, version), last);
    }
  }

  CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return transactions.read(
        transaction ->
            transaction
                .get(keys.stage(database, session, stage))
                .thenCompose(
                    value -> {
                      if (value == null) {
                        throw FdbErrors.noSuchStage(database);
                      }
                      return databases
                          .readable(transaction, database, version)
                          .thenCompose(
                              readable ->
                                  readStaged(
                                      transaction,
                                      database,
                                      StageRecord.read(value),
                                      readable,
                                      pages));
                    }));
  }

  private CompletableFuture<List<PageImage>> readStaged(
      ReadTransaction transaction,
      DatabaseId database,
      StageRecord stage,
      VersionRecord readable,
      long[] pages) {
    List<CompletableFuture<@Nullable PageImage>> staged = new ArrayList<>();
    for (long page : pages) {
      staged.add(
          transaction
              .get(keys.image(database, page, stage.version(), stage.attempt()))
              .thenApply(value -> value == null ? null : Values.image(page, 0, value)));
    }
    return Futures.all(staged)
        .thenCompose(
            images -> {
              List<Long> others = new ArrayList<>();
              for (int i = 0; i < pages.length; i++) {
                if (images.get(i) == null && pages[i] <= readable.pageCount()) {
                  others.add(pages[i]);
                }
              }
              long[] wanted = others.stream().mapToLong(Long::longValue).toArray();
              return read(transaction, database, readable.version(), wanted)
                  .thenApply(
                      read -> {
                        List<PageImage> answer = new ArrayList<>();
                        int next = 0;
                        for (int i = 0; i < pages.length; i++) {
                          PageImage image = images.get(i);
                          if (image != null) {
                            answer.add(image);
                          } else if (pages[i] <= readable.pageCount()) {
                            answer.add(read.get(next++));
                          } else {
                            answer.add(new PageImage(pages[i], 0, 0, ByteBuffer.allocate(0)));
                          }
                        }
                        return answer;
                      });
            });
  }
}
