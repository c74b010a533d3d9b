package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.Futures.get;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.fdb.Purge.Superseded;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes what no version still needs: old images, stages that were given up, dropped databases.
 *
 * <p>On one thread, which waits for each transaction. What two processes do at the same time is
 * done twice at worst: a transaction deletes only what is useless for good, and reads what could
 * make it useful again.
 */
final class Collector {
  private static final Logger log = LoggerFactory.getLogger(Collector.class);

  /**
   * How many versions' records and change lists are kept when their images are gone: for commits
   * that are sent again (P5), and for caches that come back.
   */
  static final long HISTORY_VERSIONS = 10_000;

  static final Duration HISTORY = Duration.ofMinutes(10);

  /** Versions of one database that are taken before it is the next one's turn. */
  private static final int TURN = 500;

  /** Pages that one transaction is about; each is some 200 bytes of it. */
  private static final int PAGES_AT_ONCE = 2000;

  /** Pages that are kept in mind at once. */
  private static final long PAGES_IN_MIND = 300_000;

  private static final long NEVER = Long.MAX_VALUE;
  private static final long LOOK_AGAIN_MS = 30_000;
  private static final Duration LONGEST = Duration.ofDays(1_000_000_000);
  private static final int MOST_WAITING = 100_000;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final Versions versions;
  private final Catalog catalog;
  private final Pins pins;
  private final Clock clock;
  private final Retention retention;

  /** Databases that have nothing to collect before a time. The thread's own. */
  private final Map<DatabaseId, Long> waiting = new HashMap<>();

  private volatile boolean closing;

  Collector(
      Transactions transactions,
      Databases databases,
      Versions versions,
      Catalog catalog,
      Pins pins,
      Clock clock,
      Retention retention) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.versions = versions;
    this.catalog = catalog;
    this.pins = pins;
    this.clock = clock;
    this.retention = retention;
  }

  /**
   * What was done.
   *
   * @param upTo the images that this and all earlier versions made useless are deleted
   * @param forgottenTo the versions up to this one are forgotten
   */
  private record Progress(long upTo, long forgottenTo) {
    static Progress read(byte @Nullable [] value) {
      if (value == null) {
        return new Progress(0, -1);
      }
      ByteBuffer from = ByteBuffer.wrap(value);
      return new Progress(from.getLong(), from.getLong());
    }

    byte[] bytes() {
      return ByteBuffer.allocate(16).putLong(upTo).putLong(forgottenTo).array();
    }
  }

  void close() {
    closing = true;
  }

  /** Looks at all databases anew: retention has changed. */
  void reconsider() {
    waiting.clear();
  }

  /** Collects until there is nothing to collect. */
  void run() throws InterruptedException {
    boolean more = true;
    while (more && !closing) {
      more = false;
      for (DatabaseId database : todos()) {
        if (closing) {
          return;
        }
        if (waiting.getOrDefault(database, 0L) <= clock.millis()) {
          more |= collect(database);
        }
      }
    }
  }

  private List<DatabaseId> todos() throws InterruptedException {
    return get(transactions.read(transaction -> Databases.list(transaction, keys.todos()))).stream()
        .map(each -> keys.todoOf(each.getKey()))
        .toList();
  }

  /** Says whether there is more to do now. */
  private boolean collect(DatabaseId database) throws InterruptedException {
    releaseForks(database);
    deleteAbandoned(database);
    byte[] dropped = get(transactions.read(transaction -> transaction.get(keys.dropped(database))));
    if (dropped != null) {
      return collectDropped(DroppedRecord.read(database, dropped));
    }
    Floor floor = write(transaction -> raiseFloor(transaction, database));
    if (floor == null) {
      settle(database); // dropped since
      return false;
    }
    Progress before = progress(database);
    long upTo = purge(database, Math.min(floor.oldest, before.upTo + TURN));
    boolean forgot = forget(database, floor.head);
    if (upTo > before.upTo || forgot) {
      return true;
    }
    if (floor.due == NEVER) {
      settle(database);
    } else {
      if (waiting.size() >= MOST_WAITING) {
        waiting.clear();
      }
      waiting.put(database, Math.min(floor.due, clock.millis() + LOOK_AGAIN_MS));
    }
    return false;
  }

  private Progress progress(DatabaseId database) throws InterruptedException {
    return get(
        transactions.read(
            transaction -> transaction.get(keys.collected(database)).thenApply(Progress::read)));
  }

  // ---- The floor

  /**
   * The oldest version that can be read now, the newest one, and when the floor may rise further if
   * nobody commits.
   */
  private record Floor(long oldest, VersionRecord head, long due) {}

  private CompletableFuture<@Nullable Floor> raiseFloor(
      Transaction transaction, DatabaseId database) {
    CompletableFuture<byte[]> head = transaction.snapshot().get(keys.head(database));
    CompletableFuture<Long> oldest = databases.oldest(transaction, database);
    CompletableFuture<@Nullable Retention> own =
        databases.retention(transaction.snapshot(), database);
    CompletableFuture<Long> pinned = pins.oldestPinned(transaction, database);
    return CompletableFuture.allOf(head, oldest, own, pinned)
        .thenCompose(
            all -> {
              if (head.join() == null) {
                return Futures.nothing();
              }
              VersionRecord newest = VersionRecord.read(head.join());
              Retention ruling = own.join();
              long from = oldest.join();
              long to = Math.min(newest.version(), from + TURN + 1);
              Range next = keys.versions(database, from + 1, to + 1);
              return Databases.list(transaction.snapshot(), next)
                  .thenApply(
                      found -> {
                        Floor floor =
                            floor(
                                ruling == null ? retention : ruling,
                                newest,
                                from,
                                Math.min(newest.version(), pinned.join()),
                                found);
                        if (floor.oldest > from) {
                          transaction.set(keys.oldest(database), Values.number(floor.oldest));
                        }
                        return floor;
                      });
            });
  }

  private Floor floor(
      Retention rule, VersionRecord head, long oldest, long most, List<KeyValue> next) {
    long now = clock.millis();
    long floor = oldest;
    int i = 0;
    while (floor < most
        && i < TURN
        && i < next.size()
        && collectableAt(rule, head, floor, next.get(i)) <= now) {
      floor++;
      i++;
    }
    long due =
        floor == head.version() || i >= next.size()
            ? NEVER
            : collectableAt(rule, head, floor, next.get(i));
    return new Floor(floor, head, due);
  }

  /** When retention stops keeping a version below the head, if that stays the head. */
  private static long collectableAt(
      Retention rule, VersionRecord head, long version, KeyValue next) {
    if (rule.forever() || head.version() - version <= rule.versions()) {
      return NEVER;
    }
    if (rule.duration().isZero()) {
      return 0; // not when it was followed: times run ahead of the clock in a busy millisecond
    }
    if (rule.duration().compareTo(LONGEST) > 0) {
      return NEVER;
    }
    return VersionRecord.read(next.getValue()).committedAtMillis() + rule.duration().toMillis();
  }

  // ---- Images

  /** Deletes what versions made useless, up to one; says how far it came. */
  private long purge(DatabaseId database, long upTo) throws InterruptedException {
    long done = progress(database).upTo;
    while (done < upTo && !closing) {
      long from = done;
      List<VersionRecord> records =
          get(
              transactions.read(
                  transaction ->
                      Databases.list(transaction, keys.versions(database, from, upTo + 1))
                          .thenApply(
                              found ->
                                  found.stream()
                                      .map(each -> VersionRecord.read(each.getValue()))
                                      .toList())));
      if (records.size() < 2 || records.get(0).version() != from) {
        return done; // dropped since
      }
      List<Superseded> pages = new ArrayList<>();
      int i = 1;
      for (; i < records.size() && (i == 1 || pages.size() < PAGES_IN_MIND); i++) {
        VersionRecord record = records.get(i);
        pages.addAll(Purge.by(records.get(i - 1), record, written(database, record)));
      }
      done = records.get(i - 1).version();
      purge(database, pages);
      long reached = done;
      write(
          transaction ->
              transaction
                  .get(keys.collected(database))
                  .thenAccept(
                      value -> {
                        Progress progress = Progress.read(value);
                        if (progress.upTo < reached) {
                          transaction.set(
                              keys.collected(database),
                              new Progress(reached, progress.forgottenTo).bytes());
                        }
                      }));
    }
    return done;
  }

  private PageSet written(DatabaseId database, VersionRecord record) throws InterruptedException {
    PageSet pages = new PageSet();
    boolean unused =
        get(
            versions.visit(
                database,
                record.version(),
                record.version(),
                new Versions.Visitor() {
                  @Override
                  public boolean version(VersionRecord each) {
                    return true;
                  }

                  @Override
                  public boolean pages(long[] changed) {
                    pages.addAll(changed);
                    return true;
                  }
                }));
    return pages;
  }

  private void purge(DatabaseId database, List<Superseded> pages) throws InterruptedException {
    for (int from = 0; from < pages.size(); from += PAGES_AT_ONCE) {
      List<Superseded> some = pages.subList(from, Math.min(from + PAGES_AT_ONCE, pages.size()));
      write(
          transaction ->
              forks(transaction, database)
                  .thenAccept(
                      purge -> {
                        for (Superseded each : some) {
                          Purge.apply(
                              transaction,
                              keys,
                              database,
                              purge.supersededBy(each.version(), each.page()));
                        }
                      }));
    }
  }

  private CompletableFuture<Purge> forks(Transaction transaction, DatabaseId database) {
    return Databases.list(transaction, keys.forks(database))
        .thenApply(
            found -> new Purge(found.stream().map(each -> keys.versionOf(each.getKey())).toList()));
  }

  // ---- Versions that nobody will ask for

  private boolean forget(DatabaseId database, VersionRecord head) throws InterruptedException {
    Progress progress = progress(database);
    long to = Math.min(progress.upTo - 1, head.version() - HISTORY_VERSIONS);
    if (to <= progress.forgottenTo) {
      return false;
    }
    return write(
        transaction -> {
          CompletableFuture<@Nullable VersionRecord> newest =
              databases.version(transaction.snapshot(), database, to);
          CompletableFuture<byte[]> now = transaction.get(keys.collected(database));
          CompletableFuture<List<KeyValue>> restored =
              Databases.list(transaction.snapshot(), keys.restored(database));
          return CompletableFuture.allOf(newest, now, restored)
              .thenApply(
                  all -> {
                    VersionRecord record = newest.join();
                    if (record == null
                        || record.committedAtMillis() > clock.millis() - HISTORY.toMillis()) {
                      return false;
                    }
                    transaction.clear(keys.versions(database, 0, to + 1));
                    transaction.clear(keys.changedIn(database, 0, to + 1));
                    for (KeyValue each : restored.join()) {
                      if (Values.number(each.getValue()) <= to) {
                        transaction.clear(each.getKey());
                      }
                    }
                    transaction.set(
                        keys.collected(database),
                        new Progress(Progress.read(now.join()).upTo, to).bytes());
                    return true;
                  });
        });
  }

  /** There is nothing to do for a database until somebody says so. */
  private void settle(DatabaseId database) throws InterruptedException {
    write(
        transaction -> {
          CompletableFuture<byte[]> head = transaction.get(keys.head(database));
          CompletableFuture<byte[]> own = transaction.get(keys.retention(database));
          CompletableFuture<byte[]> gone = transaction.get(keys.dropped(database));
          CompletableFuture<Floor> floor =
              head.thenCompose(there -> raiseFloor(transaction, database));
          CompletableFuture<byte[]> collected = transaction.get(keys.collected(database));
          CompletableFuture<List<KeyValue>> abandoned =
              Databases.list(transaction, keys.abandoned(database));
          CompletableFuture<List<KeyValue>> forks =
              Databases.list(transaction, keys.forksGone(database));
          return CompletableFuture.allOf(head, own, gone, floor, collected, abandoned, forks)
              .thenAccept(
                  all -> {
                    Floor now = floor.join();
                    boolean nothing =
                        gone.join() == null
                            && abandoned.join().isEmpty()
                            && forks.join().isEmpty()
                            && (now == null
                                || (now.due == NEVER
                                    && Progress.read(collected.join()).upTo == now.oldest));
                    if (nothing) {
                      transaction.clear(keys.todo(database));
                    }
                  });
        });
  }

  // ---- Stages, forks, dropped databases

  private void deleteAbandoned(DatabaseId database) throws InterruptedException {
    List<KeyValue> abandoned =
        get(
            transactions.read(
                transaction -> Databases.list(transaction, keys.abandoned(database))));
    for (KeyValue each : abandoned) {
      long version = keys.versionOf(each.getKey());
      long attempt = keys.abandonedAttempt(each.getKey());
      Range lists = keys.changed(database, version, attempt);
      boolean more = true;
      while (more && !closing) {
        more =
            write(
                transaction ->
                    Databases.list(transaction.snapshot(), lists.begin, lists.end, 1, false)
                        .thenApply(
                            found -> {
                              if (found.isEmpty()) {
                                transaction.clear(each.getKey());
                                return false;
                              }
                              for (long page : Values.pages(found.get(0).getValue())) {
                                transaction.options().setNextWriteNoWriteConflictRange();
                                transaction.clear(keys.image(database, page, version, attempt));
                              }
                              transaction.clear(found.get(0).getKey());
                              return true;
                            }));
      }
    }
  }

  private void releaseForks(DatabaseId database) throws InterruptedException {
    List<KeyValue> gone =
        get(
            transactions.read(
                transaction -> Databases.list(transaction, keys.forksGone(database))));
    for (KeyValue each : gone) {
      long version = keys.versionOf(each.getKey());
      boolean more = true;
      while (more && !closing) {
        more = write(transaction -> release(transaction, database, version));
      }
    }
  }

  /** Says whether there is more of it. */
  private CompletableFuture<Boolean> release(
      Transaction transaction, DatabaseId database, long version) {
    Range same = keys.forks(database, version, version + 1);
    Range kept = keys.keptForFork(database, version);
    CompletableFuture<List<KeyValue>> others =
        Databases.list(transaction, same.begin, same.end, 1, false);
    CompletableFuture<Purge> purge = forks(transaction, database);
    CompletableFuture<List<KeyValue>> pages =
        Databases.list(transaction, kept.begin, kept.end, PAGES_AT_ONCE, false);
    return CompletableFuture.allOf(others, purge, pages)
        .thenApply(
            all -> {
              if (!others.join().isEmpty()) {
                transaction.clear(keys.forkGone(database, version));
                return false; // there is another one, or one again
              }
              for (KeyValue each : pages.join()) {
                Purge.apply(
                    transaction,
                    keys,
                    database,
                    purge.join().released(version, keys.keptPage(each.getKey())));
                transaction.clear(each.getKey());
              }
              if (pages.join().size() == PAGES_AT_ONCE) {
                return true;
              }
              transaction.clear(keys.forkGone(database, version));
              return false;
            });
  }

  private boolean collectDropped(DroppedRecord dropped) throws InterruptedException {
    DatabaseId database = dropped.database().id();
    if (deleteIfUnforked(dropped)) {
      return true; // so what it was forked from may be next
    }
    if (!dropped.purged()) {
      long newest = dropped.head().version();
      if (purge(database, newest) < newest) {
        return true;
      }
      purgeAll(database, dropped.head().pageCount());
      write(
          transaction ->
              transaction
                  .get(keys.dropped(database))
                  .thenAccept(
                      there -> {
                        if (there != null) {
                          transaction.set(keys.dropped(database), dropped.afterPurge().bytes());
                          transaction.clear(keys.versions(database, 0, newest + 1));
                          transaction.clear(keys.changedIn(database, 0, newest + 1));
                        }
                      }));
    }
    return write(
        transaction ->
            Databases.list(transaction, keys.forksGone(database))
                .thenApply(
                    gone -> {
                      if (gone.isEmpty()) {
                        transaction.clear(keys.todo(database));
                      }
                      return !gone.isEmpty();
                    }));
  }

  private boolean deleteIfUnforked(DroppedRecord dropped) throws InterruptedException {
    DatabaseId database = dropped.database().id();
    Range forks = keys.forks(database);
    return write(
        transaction ->
            Databases.list(transaction, forks.begin, forks.end, 1, false)
                .thenApply(
                    found -> {
                      if (!found.isEmpty()) {
                        return false;
                      }
                      transaction.clear(keys.all(database));
                      transaction.clear(keys.todo(database));
                      catalog.forkIsGone(transaction, dropped.database());
                      return true;
                    }));
  }

  private void purgeAll(DatabaseId database, long pageCount) throws InterruptedException {
    for (long from = 1; from <= pageCount && !closing; from += PAGES_AT_ONCE) {
      long first = from;
      long last = Math.min(pageCount, from + PAGES_AT_ONCE - 1);
      write(
          transaction ->
              forks(transaction, database)
                  .thenAccept(
                      purge -> {
                        for (long page = first; page <= last; page++) {
                          Purge.apply(transaction, keys, database, purge.dropped(page));
                        }
                      }));
    }
  }

  // ---- Waiting

  private <T> T write(Function<Transaction, CompletableFuture<T>> work)
      throws InterruptedException {
    return get(
        transactions.write(
            transaction -> {
              transaction.options().setPriorityBatch();
              return work.apply(transaction);
            }));
  }

  /** Runs, and tries again another time if that fails. */
  void runQuietly() {
    try {
      run();
    } catch (StoreException e) {
      if (!closing) {
        log.error("old versions could not be collected; will try again", e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
