package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Deletes images that no version still needs, on the background thread.
 *
 * <p>Once nobody reads below version <i>y</i>, the image that each page of <i>y</i>'s change list
 * had before is of no use, and neither is any image of a page that <i>y</i> cut off. As each
 * version is taken in turn, a page has one older image at most, so the cost is in proportion to
 * what changed.
 *
 * <p>What a fork needs of it is entered for that fork instead of being deleted.
 *
 * <p>The floor rises first, then images go. The order that keeps a pinned version safe: look at the
 * head, then at the pins (a session that pins in between looks at the head later still); raise the
 * floor; look at the pins again (a session whose version was found under the old floor had pinned
 * it before, so it is seen now), and take the floor back if need be. Only then delete.
 */
final class Collector {
  private static final Logger log = LoggerFactory.getLogger(Collector.class);

  /**
   * How many versions' records and change lists are kept when their images are gone: for commits
   * that are sent again (P5), and for caches that come back.
   */
  static final long HISTORY_VERSIONS = 10_000;

  static final Duration HISTORY = Duration.ofMinutes(10);

  /** The versions of one database that are taken before it is the next one's turn. */
  private static final int TURN = 1000;

  private static final long NEVER = Long.MAX_VALUE;

  /** Longer than that is for ever, and its milliseconds are not looked at. */
  private static final Duration LONGEST = Duration.ofDays(1_000_000_000);

  /** Some megabytes. If there are more, they are looked at again. */
  private static final int MOST_WAITING = 100_000;

  private final Engine engine;
  private final Databases databases;
  private final Versions versions;
  private final Committer committer;
  private final Background background;
  private final ForkPoints forkPoints;
  private final SnapshotPins pins;
  private final Clock clock;
  private final Retention retention;

  /** Images deleted since what is in memory was last written out. The thread's own. */
  private long deleted;

  /** Databases that have nothing to collect before a time, by number. The thread's own. */
  private final Map<Long, Long> waiting = new HashMap<>();

  Collector(
      Engine engine,
      Databases databases,
      Versions versions,
      Committer committer,
      Background background,
      ForkPoints forkPoints,
      SnapshotPins pins,
      Clock clock,
      Retention retention) {
    this.engine = engine;
    this.databases = databases;
    this.versions = versions;
    this.committer = committer;
    this.background = background;
    this.forkPoints = forkPoints;
    this.pins = pins;
    this.clock = clock;
    this.retention = retention;
  }

  /**
   * What was done, durably.
   *
   * @param upTo the images that this and all earlier versions made useless are deleted
   * @param forgottenTo the versions up to this one are forgotten
   */
  private record Progress(long upTo, long forgottenTo) {
    static Progress read(byte[] value) {
      ByteBuffer from = ByteBuffer.wrap(value);
      return new Progress(from.getLong(), from.getLong());
    }

    byte[] bytes() {
      return ByteBuffer.allocate(16).putLong(upTo).putLong(forgottenTo).array();
    }
  }

  /** Looks at all databases anew: retention has changed. */
  void reconsider() {
    waiting.clear();
  }

  /** Collects until there is nothing to collect. */
  void run() {
    try {
      boolean more = true;
      while (more && !background.isClosing()) {
        more = false;
        for (long number : background.databasesWith(Keys.TO_COLLECT)) {
          if (background.isClosing()) {
            return;
          }
          if (waiting.getOrDefault(number, 0L) > clock.millis()) {
            continue;
          }
          try {
            more |= collect(number);
          } catch (StoreException e) {
            if (e.code() != StoreException.Code.NO_SUCH_DATABASE) {
              throw e;
            } // else it was dropped, just now
          }
        }
      }
    } catch (StoreException | RocksDBException e) {
      if (!background.isClosing()) {
        log.error("old versions could not be collected; will try again", e);
      }
    }
  }

  /** Takes one turn. Says whether there is more to do now. */
  private boolean collect(long number) throws RocksDBException {
    DatabaseState loaded = databases.load(number, Tier.DISK);
    if (loaded == null) {
      return false; // dropped
    }
    DatabaseState state = databases.get(loaded.id, Tier.DISK);
    forkPoints.release(number);
    Retention own = state.retention;
    long head = state.head.version(); // before the pins
    long due = raiseFloor(state, own == null ? retention : own, head);
    byte[] stored = engine.get(Keys.of(Keys.COLLECTED, number), Tier.DISK);
    Progress progress = stored == null ? new Progress(0, 0) : Progress.read(stored);
    long upTo = Math.min(state.oldest, progress.upTo() + TURN);
    long forget = forgettable(state, progress, upTo);
    if (upTo == progress.upTo() && forget == progress.forgottenTo()) {
      if (forget >= Math.min(upTo - 1, head - HISTORY_VERSIONS)) {
        if (due == NEVER) {
          settle(state, head, own);
        } else {
          waitFor(number, due);
        }
      }
      return false;
    }
    try (Deleting deleting = new Deleting(state)) {
      for (long version = progress.upTo() + 1; version <= upTo; version++) {
        deleting.uselessSince(version);
        if (background.isClosing()) {
          return false;
        }
      }
      for (long version = progress.forgottenTo() + 1; version <= forget; version++) {
        deleting.forget(version);
      }
      deleting.finish(new Progress(upTo, forget));
    }
    if (deleted >= Background.MANY_PAGES) {
      engine.flush();
      deleted = 0;
    }
    return true;
  }

  private void waitFor(long number, long due) {
    if (waiting.size() >= MOST_WAITING) {
      waiting.clear();
    }
    waiting.put(number, due);
  }

  /** Says from when on it may rise further, if nobody commits. */
  private long raiseFloor(DatabaseState state, Retention rule, long head) throws RocksDBException {
    long before = state.oldest;
    long most = Math.min(head, pins.oldestPinned(state.id));
    long now = clock.millis();
    long floor = before;
    while (floor < most
        && floor < before + TURN
        && collectableAt(state, rule, head, floor) <= now) {
      floor++;
    }
    if (floor > before) {
      setFloor(state, floor);
      long pinned = pins.oldestPinned(state.id);
      if (pinned < floor) {
        floor = Math.max(before, pinned);
        setFloor(state, floor);
      }
    }
    return floor < head ? collectableAt(state, rule, head, floor) : NEVER;
  }

  /** When retention stops keeping a version below the head, if that stays the head. */
  private long collectableAt(DatabaseState state, Retention rule, long head, long version)
      throws RocksDBException {
    if (rule.forever() || head - version <= rule.versions()) {
      return NEVER;
    }
    if (rule.duration().isZero()) {
      return 0; // not when it was followed: times run ahead of the clock in a busy millisecond
    }
    VersionRecord next = versions.find(state, version + 1, Tier.DISK);
    if (next == null || rule.duration().compareTo(LONGEST) > 0) {
      return NEVER;
    }
    return next.committedAtMillis() + rule.duration().toMillis();
  }

  private long forgettable(DatabaseState state, Progress progress, long collected)
      throws RocksDBException {
    long until = clock.millis() - HISTORY.toMillis();
    // The oldest readable version is still looked up, and so is the one before what comes next.
    long most = Math.min(collected - 1, state.head.version() - HISTORY_VERSIONS);
    long to = progress.forgottenTo();
    while (to < most && to < progress.forgottenTo() + TURN) {
      VersionRecord next = versions.find(state, to + 1, Tier.DISK);
      if (next != null && next.committedAtMillis() > until) {
        break;
      }
      to++;
    }
    return to;
  }

  private void setFloor(DatabaseState state, long floor) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    committer.submit(
        new InTurn(state, done) {
          @Override
          public Runnable apply(Group group) throws RocksDBException {
            DatabaseState now = group.touch(state);
            group.put(Keys.of(Keys.OLDEST, now.number), Values.number(floor));
            return () -> {
              now.oldest = floor;
              done.complete(null);
            };
          }
        });
    join(done);
  }

  /** Takes a database out of the collector's list, unless it has changed. */
  private void settle(DatabaseState state, long head, @Nullable Retention seen) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    committer.submit(
        new InTurn(state, done) {
          @Override
          public Runnable apply(Group group) throws RocksDBException {
            DatabaseState now = group.touch(state);
            if (now.nextHead.version() == head && Objects.equals(now.nextRetention, seen)) {
              group.delete(Keys.of(Keys.TO_COLLECT, now.number));
              now.toCollect = false;
            }
            return () -> done.complete(null);
          }
        });
    join(done);
  }

  /** Waits, as this thread may. Fails with what the future failed with. */
  private static void join(CompletableFuture<Void> done) {
    try {
      done.join();
    } catch (CompletionException e) {
      Throwable cause = e.getCause();
      throw RocksErrors.of(cause == null ? e : cause);
    }
  }

  /** A change to what the commit thread keeps of a database. */
  private abstract static class InTurn implements Change {
    final DatabaseState state;
    private final CompletableFuture<Void> done;

    InTurn(DatabaseState state, CompletableFuture<Void> done) {
      this.state = state;
      this.done = done;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public void fail(StoreException why) {
      done.completeExceptionally(why);
    }
  }

  /** Deletions, in batches. */
  private final class Deleting implements AutoCloseable {
    private final DatabaseState state;
    private final List<Stage> stages;
    private final WriteBatch batch = new WriteBatch();
    private final RocksIterator pages;
    private final RocksIterator lists;
    private final RocksIterator forks;

    /** The newest fork point below the version that is looked at. */
    private long forked = ForkPoints.NONE;

    Deleting(DatabaseState state) {
      this.state = state;
      this.stages = state.stages(); // before the iterators, as for readers
      this.pages = engine.pageScan();
      this.lists = engine.metaScan();
      this.forks = engine.metaScan(); // behind the floor: no fork begins below it any more
    }

    void uselessSince(long version) throws RocksDBException {
      VersionRecord record = versions.find(state, version, Tier.DISK);
      VersionRecord before = versions.find(state, version - 1, Tier.DISK);
      if (record == null || before == null) {
        throw new StoreException(
            StoreException.Code.STORE_FAILED,
            "database %s: version %d is missing".formatted(state.name, version));
      }
      forked = ForkPoints.below(forks, state.number, version);
      olderImages(record, Keys.INLINE);
      if (record.attempt() != Keys.INLINE) {
        olderImages(record, record.attempt());
      }
      cutOff(record, before.pageCount());
    }

    private void olderImages(VersionRecord version, int attempt) throws RocksDBException {
      byte[] prefix = Keys.changed(state.number, version.version(), attempt);
      lists.seek(prefix);
      for (; lists.isValid(); lists.next()) {
        if (!Keys.startsWith(lists.key(), prefix)) {
          return;
        }
        for (long page : Values.pages(lists.value())) {
          olderImages(version, page);
        }
      }
      lists.status();
    }

    /** Of one page: the one that is older, and what the version has twice. */
    private void olderImages(VersionRecord version, long page) throws RocksDBException {
      byte[] first = Keys.page(state.number, page, version.version(), Keys.INLINE);
      boolean needed = page <= version.pageCount();
      pages.seek(first);
      for (; pages.isValid(); pages.next()) {
        byte[] key = pages.key();
        if (!samePage(first, key)) {
          return;
        }
        long at = Keys.pageVersionOf(key);
        if (PageReader.isStaged(stages, at, Keys.pageAttemptOf(key))) {
          continue;
        }
        if (needed) {
          needed = false;
          continue;
        }
        if (at < version.version()) {
          deleteUnlessForked(key);
          return; // what was older still went when its successor was the version here
        }
        delete(key);
      }
      pages.status();
    }

    private static boolean samePage(byte[] a, byte[] b) {
      for (int i = 0; i < Keys.PAGE_PREFIX_BYTES; i++) {
        if (a[i] != b[i]) {
          return false;
        }
      }
      return true;
    }

    /** All images, up to a version, of pages that it no longer has. */
    private void cutOff(VersionRecord version, long pageCountBefore) throws RocksDBException {
      if (version.pageCount() >= pageCountBefore) {
        return;
      }
      long page = 0;
      boolean newest = true;
      pages.seek(Keys.page(state.number, version.pageCount() + 1, -1, Keys.INLINE));
      for (; pages.isValid(); pages.next()) {
        byte[] key = pages.key();
        if (Keys.pageDatabaseOf(key) != state.number || Keys.pageOf(key) > pageCountBefore) {
          return;
        }
        if (Keys.pageOf(key) != page) {
          page = Keys.pageOf(key);
          newest = true;
        }
        long at = Keys.pageVersionOf(key);
        if (at > version.version() || PageReader.isStaged(stages, at, Keys.pageAttemptOf(key))) {
          continue;
        }
        if (at == version.version()) {
          delete(key);
        } else if (newest) {
          newest = false;
          deleteUnlessForked(key);
        }
      }
      pages.status();
    }

    /** Of an image that was the page until the version that is looked at. */
    private void deleteUnlessForked(byte[] key) throws RocksDBException {
      long at = Keys.pageVersionOf(key);
      if (at > forked) {
        delete(key);
        return;
      }
      engine.put(
          batch,
          Keys.held(state.number, forked, at, Keys.pageOf(key), Keys.pageAttemptOf(key)),
          new byte[0]);
      flushIfFull();
    }

    private void delete(byte[] key) throws RocksDBException {
      engine.deletePage(batch, key);
      deleted++;
      flushIfFull();
    }

    private void flushIfFull() throws RocksDBException {
      if (batch.count() >= Background.BATCH) {
        engine.writeInBackground(batch);
        batch.clear();
      }
    }

    /** Forgets that there was this version. */
    void forget(long version) throws RocksDBException {
      VersionRecord record = versions.find(state, version, Tier.DISK);
      if (record != null && record.restored()) {
        engine.delete(batch, Keys.restored(state.number, record.commit()));
      }
      byte[] prefix = Keys.of(Keys.CHANGED, state.number);
      lists.seek(Keys.changed(state.number, version, Keys.INLINE));
      for (; lists.isValid(); lists.next()) {
        byte[] key = lists.key();
        if (!Keys.startsWith(key, prefix) || Keys.versionOf(key) != version) {
          break;
        }
        // An abandoned stage's list is needed to delete its pages, and goes with it.
        if (!PageReader.isStaged(stages, version, Keys.attemptOf(key))) {
          engine.delete(batch, key);
        }
      }
      lists.status();
      engine.delete(batch, Keys.version(state.number, version));
      flushIfFull();
    }

    void finish(Progress progress) throws RocksDBException {
      engine.put(batch, Keys.of(Keys.COLLECTED, state.number), progress.bytes());
      engine.writeInBackground(batch);
    }

    @Override
    public void close() {
      batch.close();
      pages.close();
      lists.close();
      forks.close();
    }
  }
}
