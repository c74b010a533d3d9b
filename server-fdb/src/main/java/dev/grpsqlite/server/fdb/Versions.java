package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.ReadTransaction;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.VersionInfo;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/** A database's versions, and what changed between them. Thread-safe. */
final class Versions {
  static final long LAST_PAGE = 4_294_967_294L;

  /** Versions that are looked at by one transaction. */
  private static final int WINDOW = 500;

  /** Lists that are read at once; each is some KiB at most. */
  private static final int LISTS = 200;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;

  Versions(Transactions transactions, Databases databases) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
  }

  /** The newest version at or before a time. */
  CompletableFuture<Snapshot> at(DatabaseId database, Instant time) {
    return transactions.read(
        transaction -> {
          CompletableFuture<DatabaseRecord> record = databases.record(transaction, database);
          CompletableFuture<VersionRecord> head = databases.head(transaction, database);
          CompletableFuture<Long> oldest = databases.oldest(transaction, database);
          return CompletableFuture.allOf(record, head, oldest)
              .thenCompose(
                  all -> {
                    Instant created = Instant.ofEpochMilli(record.join().createdAtMillis());
                    if (time.isBefore(created)) {
                      throw new StoreException(
                          StoreException.Code.NO_SUCH_VERSION,
                          "database %s was created at %s, after %s"
                              .formatted(record.join().name(), created, time));
                    }
                    return isAfter(head.join(), time)
                        ? search(
                            transaction, database, time, oldest.join(), head.join().version() - 1)
                        : Futures.done(head.join().snapshot());
                  });
        });
  }

  /** By halves: a version's time is later than that of the one before. */
  private CompletableFuture<Snapshot> search(
      ReadTransaction transaction, DatabaseId database, Instant time, long oldest, long newest) {
    AtomicLong low = new AtomicLong(oldest);
    AtomicLong high = new AtomicLong(newest);
    return Futures.whileTrue(
            () -> {
              if (low.get() >= high.get()) {
                return Futures.done(false);
              }
              long middle = (low.get() + high.get() + 1) >>> 1;
              return databases
                  .version(transaction, database, middle)
                  .thenApply(
                      found -> {
                        if (found != null && isAfter(found, time)) {
                          high.set(middle - 1);
                        } else {
                          low.set(middle);
                        }
                        return true;
                      });
            })
        .thenCompose(done -> databases.readable(transaction, database, low.get()))
        .thenApply(
            found -> {
              if (isAfter(found, time)) {
                throw new StoreException(
                    StoreException.Code.SNAPSHOT_TOO_OLD,
                    "the version of database %s at %s is no longer kept; the oldest is %d"
                        .formatted(database, time, oldest));
              }
              return found.snapshot();
            });
  }

  private static boolean isAfter(VersionRecord record, Instant time) {
    return record.committedAt().isAfter(time);
  }

  /** Retained versions below one, newest first. */
  CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return transactions.read(
        transaction ->
            databases
                .head(transaction, database)
                .thenCombine(databases.oldest(transaction, database), Bounds::new)
                .thenCompose(
                    bounds -> {
                      long to = Math.min(below, bounds.head.version() + 1);
                      if (to <= bounds.oldest) {
                        return Futures.done(List.of());
                      }
                      Range range = keys.versions(database, bounds.oldest, to);
                      return Databases.list(transaction, range.begin, range.end, limit, true)
                          .thenApply(
                              found ->
                                  found.stream()
                                      .map(each -> VersionRecord.read(each.getValue()).info())
                                      .toList());
                    }));
  }

  private record Bounds(VersionRecord head, long oldest) {}

  /** The mark of a version that is remembered, whether or not its pages are; else 0. */
  CompletableFuture<Long> mark(DatabaseId database, long version) {
    return transactions.read(
        transaction ->
            databases
                .head(transaction, database)
                .thenCombine(
                    databases.version(transaction, database, version),
                    (head, found) -> found == null ? 0 : found.commit().mark()));
  }

  /** What changed in (after, upTo]. */
  CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    return transactions
        .read(
            transaction ->
                databases
                    .head(transaction, database)
                    .thenCombine(
                        databases.version(transaction, database, Math.max(0, after)),
                        (head, from) -> {
                          if (upTo > head.version() || after < 0) {
                            throw FdbErrors.noSuchVersion(
                                database, after < 0 ? after : upTo, head.version());
                          }
                          if (after > upTo) {
                            throw FdbErrors.invalid(
                                database, "changes from %d back to %d".formatted(after, upTo));
                          }
                          return java.util.Optional.ofNullable(from);
                        }))
        .thenCompose(
            from -> {
              if (after == upTo) {
                return Futures.done(Changes.NONE);
              }
              return from.isEmpty()
                  ? Futures.done(Changes.ALL)
                  : changes(database, from.get(), upTo, limit);
            });
  }

  private CompletableFuture<Changes> changes(
      DatabaseId database, VersionRecord from, long upTo, int limit) {
    PageSet pages = new PageSet();
    AtomicLong pageSize = new AtomicLong(from.pageSize());
    return visit(
            database,
            from.version() + 1,
            upTo,
            new Visitor() {
              @Override
              public boolean version(VersionRecord record) {
                long before = pageSize.getAndSet(record.pageSize());
                return before == record.pageSize() || before == 0;
              }

              @Override
              public boolean pages(long[] changed) {
                pages.addAll(changed);
                return true;
              }
            })
        .thenApply(
            told -> {
              long[] all = told ? pages.above(0, limit + 1) : new long[0];
              return !told || all.length > limit ? Changes.ALL : new Changes(false, all);
            });
  }

  /**
   * The pages of a version that a later one may have otherwise; those that the later one does not
   * have are among them. Fails with SNAPSHOT_TOO_OLD if that is not known any more.
   */
  CompletableFuture<PageSet> differing(
      DatabaseId database, VersionRecord wanted, VersionRecord later) {
    PageSet pages = new PageSet();
    for (long page = later.kept(wanted.pageSize()) + 1; page <= wanted.pageCount(); page++) {
      pages.add(page);
    }
    // A page that was cut off on the way, and is there again, is in a list: it grew.
    return visit(
            database,
            wanted.version() + 1,
            later.version(),
            new Visitor() {
              @Override
              public boolean version(VersionRecord record) {
                return true;
              }

              @Override
              public boolean pages(long[] changed) {
                for (long page : changed) {
                  if (page <= wanted.pageCount()) {
                    pages.add(page);
                  }
                }
                return true;
              }
            })
        .thenApply(
            known -> {
              if (!known) {
                throw FdbErrors.tooOld(database, wanted.version(), wanted.version() + 1);
              }
              return pages;
            });
  }

  /**
   * Takes versions in their order, each before the pages that it changed; says whether to go on.
   */
  interface Visitor {
    boolean version(VersionRecord record);

    boolean pages(long[] changed);
  }

  /** Says whether all were there, and the visitor wanted all. */
  CompletableFuture<Boolean> visit(DatabaseId database, long first, long last, Visitor visitor) {
    AtomicLong next = new AtomicLong(first);
    AtomicBoolean goOn = new AtomicBoolean(true);
    return Futures.whileTrue(
            () -> {
              long from = next.get();
              if (from > last) {
                return Futures.done(false);
              }
              long to = Math.min(last, from + WINDOW - 1);
              next.set(to + 1);
              return window(database, from, to, visitor)
                  .thenApply(
                      wanted -> {
                        goOn.set(wanted);
                        return wanted;
                      });
            })
        .thenApply(done -> goOn.get());
  }

  private CompletableFuture<Boolean> window(
      DatabaseId database, long from, long to, Visitor visitor) {
    Range lists = keys.changedIn(database, from, to + 1);
    return transactions
        .read(
            transaction -> {
              Range range = keys.versions(database, from, to + 1);
              return Databases.list(transaction, range)
                  .thenCombine(
                      Databases.list(transaction, lists.begin, lists.end, LISTS, false),
                      Window::new);
            })
        .thenCompose(
            found -> {
              if (found.versions.size() != to - from + 1) {
                return Futures.done(false); // some are forgotten
              }
              Map<Long, VersionRecord> records = new HashMap<>();
              for (KeyValue each : found.versions) {
                VersionRecord record = VersionRecord.read(each.getValue());
                records.put(record.version(), record);
                if (!visitor.version(record)) {
                  return Futures.done(false);
                }
              }
              return lists(database, records, found.lists, lists.end, visitor);
            });
  }

  private record Window(List<KeyValue> versions, List<KeyValue> lists) {}

  /** Those of stages that were not committed are among them. */
  private CompletableFuture<Boolean> lists(
      DatabaseId database,
      Map<Long, VersionRecord> versions,
      List<KeyValue> lists,
      byte[] end,
      Visitor visitor) {
    for (KeyValue list : lists) {
      VersionRecord record = versions.get(keys.versionOf(list.getKey()));
      long attempt = keys.changedAttempt(list.getKey());
      if (record != null
          && (attempt == Keys.INLINE || record.attempts().contains(attempt))
          && !visitor.pages(Values.pages(list.getValue()))) {
        return Futures.done(false);
      }
    }
    if (lists.size() < LISTS) {
      return Futures.done(true);
    }
    byte[] from = ByteArrayUtil.join(lists.get(lists.size() - 1).getKey(), new byte[1]);
    return transactions
        .read(transaction -> Databases.list(transaction, from, end, LISTS, false))
        .thenCompose(more -> lists(database, versions, more, end, visitor));
  }
}
