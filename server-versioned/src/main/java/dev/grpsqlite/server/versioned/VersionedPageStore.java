package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SideFiles;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreCapabilities;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.spi.VersionInfo;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A {@link PageStore} in the heap in which every commit is a version, copy-on-write. Keeps P1 and
 * P3 to P6; nothing survives the process (P2).
 *
 * <p>Each database is a {@link VersionedDatabase}. Every future is complete on return. One thread
 * of its own drops versions that nothing keeps any more; the garbage collector takes it from there.
 */
final class VersionedPageStore implements PageStore {
  private static final Logger log = LoggerFactory.getLogger(VersionedPageStore.class);

  /** How soon the collector asks again where only an open snapshot held it up. */
  private static final long PINS_ASKED_EVERY_MILLIS = 1000;

  private final Retention retention;
  private final SnapshotPins pins;
  private final Clock clock;
  private final SecureRandom random;

  /** Changed under its own monitor, so that both maps tell the same. */
  private final ConcurrentSkipListMap<String, VersionedDatabase> byName =
      new ConcurrentSkipListMap<>(VersionedPageStore::compareUtf8);

  private final Map<DatabaseId, VersionedDatabase> byId = new ConcurrentHashMap<>();

  /** Where sessions may have staged something, so that their end need not look everywhere. */
  private final Map<SessionId, Set<VersionedDatabase>> staging = new ConcurrentHashMap<>();

  private final CollectionQueue collectable = new CollectionQueue();
  private final SideFiles sideFiles = new HeapSideFiles();
  private volatile boolean closed;

  /** Guarded by this. */
  private @Nullable ScheduledExecutorService collector;

  VersionedPageStore(Retention retention, SnapshotPins pins, Clock clock, SecureRandom random) {
    this.retention = retention;
    this.pins = pins;
    this.clock = clock;
    this.random = random;
  }

  /** Starts the thread that calls {@link #collect}; {@link #close} ends it. */
  synchronized void collectEvery(Duration interval) {
    ScheduledExecutorService started =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "version-collector");
              thread.setDaemon(true);
              return thread;
            });
    collector = started;
    long millis = interval.toMillis();
    var unused =
        started.scheduleWithFixedDelay(
            () -> {
              try {
                collect();
              } catch (RuntimeException e) {
                log.error("versions could not be collected; trying again", e);
              }
            },
            millis,
            millis,
            TimeUnit.MILLISECONDS);
  }

  /** Drops every version that nothing keeps. */
  void collect() {
    long now = clock.millis();
    for (VersionedDatabase database = collectable.poll(now);
        database != null;
        database = collectable.poll(now)) {
      DatabaseId id = database.id();
      boolean pinned = !database.collect(retention, now, () -> pins.oldestPinned(id));
      long next = database.collectableAtMillis(retention);
      collectable.add(database, pinned ? now + PINS_ASKED_EVERY_MILLIS : next);
    }
  }

  @Override
  public StoreCapabilities capabilities() {
    return new StoreCapabilities(true, true, true);
  }

  @Override
  public CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return answer(
        () -> Optional.ofNullable(byName.get(name)).flatMap(VersionedDatabase::infoIfThere));
  }

  @Override
  public CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    return answer(
        () -> {
          synchronized (byName) {
            VersionedDatabase database = byName.get(name);
            if (database == null) {
              database = new VersionedDatabase(DatabaseId.random(random), name, clock.millis());
              put(database);
            }
            return database.info();
          }
        });
  }

  @Override
  public CompletableFuture<DatabaseInfo> info(DatabaseId database) {
    return answer(() -> get(database).info());
  }

  @Override
  public CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    return answer(
        () -> {
          // Names with a prefix follow one another, the prefix itself first.
          boolean fromPrefix = compareUtf8(after, prefix) < 0;
          return byName.tailMap(fromPrefix ? prefix : after, fromPrefix).values().stream()
              .takeWhile(database -> database.name().startsWith(prefix))
              .flatMap(database -> database.infoIfThere().stream())
              .limit(limit)
              .toList();
        });
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId id) {
    return act(
        () -> {
          synchronized (byName) {
            VersionedDatabase database = get(id);
            byId.remove(id);
            byName.remove(database.name());
            database.drop();
            collectable.remove(database);
            staging.values().forEach(databases -> databases.remove(database));
          }
        });
  }

  @Override
  public CompletableFuture<Snapshot> head(DatabaseId database) {
    return answer(() -> get(database).head());
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return answer(() -> get(database).snapshot(version));
  }

  @Override
  public CompletableFuture<Long> mark(DatabaseId database, long version) {
    return answer(() -> get(database).mark(version));
  }

  @Override
  public CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    return answer(() -> get(database).changes(after, upTo, limit));
  }

  @Override
  public CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    return answer(() -> get(database).read(version, pages));
  }

  @Override
  public CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return answer(() -> get(database).readStaged(session, stage, version, pages));
  }

  @Override
  public CompletableFuture<LeaseState> lease(DatabaseId database) {
    return answer(() -> get(database).lease());
  }

  @Override
  public CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return answer(() -> get(database).acquireLease(session, displaced));
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return act(() -> get(database).releaseLease(session, epoch));
  }

  @Override
  public CompletableFuture<Void> stage(
      DatabaseId id,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    List<PageImage> own = pages.stream().map(PageImage::copy).toList();
    return act(
        () -> {
          VersionedDatabase database = get(id);
          staging.computeIfAbsent(session, absent -> ConcurrentHashMap.newKeySet()).add(database);
          database.stage(session, epoch, stage, call, pageSize, own);
        });
  }

  @Override
  public CompletableFuture<Void> dropStage(DatabaseId id, SessionId session, StageId stage) {
    return act(
        () -> {
          VersionedDatabase database = byId.get(id);
          if (database != null) {
            database.dropStage(session, stage);
          }
        });
  }

  @Override
  public CompletableFuture<Void> dropStages(SessionId session) {
    return act(
        () -> {
          Set<VersionedDatabase> databases = staging.remove(session);
          if (databases != null) {
            databases.forEach(database -> database.dropStages(session));
          }
        });
  }

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    return answer(
        () -> {
          VersionedDatabase database = get(commit.database());
          long version = database.commit(commit, clock.millis());
          collectLater(database);
          return version;
        });
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    return answer(
        () -> {
          CommitGroups.check(commits);
          List<@Nullable VersionedDatabase> databases = new ArrayList<>();
          commits.forEach(commit -> databases.add(byId.get(commit.database())));
          List<Long> versions =
              VersionedDatabase.commitTogether(databases, commits, clock.millis());
          databases.stream().flatMap(Stream::ofNullable).forEach(this::collectLater);
          return versions;
        });
  }

  @Override
  public CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return answer(() -> get(database).snapshotAt(time));
  }

  @Override
  public CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return answer(() -> get(database).history(below, limit));
  }

  @Override
  public CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String newName, CommitId id) {
    return answer(
        () -> {
          synchronized (byName) {
            VersionedDatabase from = get(parent);
            VersionedDatabase fork =
                from.fork(DatabaseId.random(random), newName, clock.millis(), version, id);
            if (byName.containsKey(newName)) {
              throw new StoreException(Code.ALREADY_EXISTS, newName + " exists already");
            }
            put(fork);
            return fork.info();
          }
        });
  }

  @Override
  public CompletableFuture<Long> restore(
      DatabaseId id, SessionId holder, long epoch, CommitId commitId, long version) {
    return answer(
        () -> {
          VersionedDatabase database = get(id);
          long next = database.restore(holder, epoch, commitId, version, clock.millis());
          collectLater(database);
          return next;
        });
  }

  @Override
  public CompletableFuture<Void> setRetention(DatabaseId id, Optional<Retention> changed) {
    return act(
        () -> {
          VersionedDatabase database = get(id);
          database.setRetention(changed.orElse(null));
          collectable.remove(database);
          collectLater(database);
        });
  }

  @Override
  public SideFiles sideFiles() {
    return sideFiles;
  }

  @Override
  public void close() {
    closed = true;
    ScheduledExecutorService running;
    synchronized (this) {
      running = collector;
      collector = null;
    }
    if (running == null) {
      return;
    }
    running.shutdown();
    try {
      if (!running.awaitTermination(10, TimeUnit.SECONDS)) {
        log.warn("the collector of versions is still at work; leaving it");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** For tests that look inside. */
  VersionedDatabase get(DatabaseId id) {
    VersionedDatabase database = byId.get(id);
    if (database == null) {
      throw new StoreException(Code.NO_SUCH_DATABASE, "no database has the id " + id);
    }
    return database;
  }

  Retention retention() {
    return retention;
  }

  private void put(VersionedDatabase database) {
    byId.put(database.id(), database);
    byName.put(database.name(), database);
  }

  private void collectLater(VersionedDatabase database) {
    collectable.add(database, database.collectableAtMillis(retention));
  }

  private CompletableFuture<Void> act(Runnable action) {
    return this.<@Nullable Void>answer(
        () -> {
          action.run();
          return null;
        });
  }

  /** The one place where failures become failed futures. */
  private <T extends @Nullable Object> CompletableFuture<T> answer(Supplier<T> operation) {
    if (closed) {
      return CompletableFuture.failedFuture(
          new StoreException(Code.STORE_FAILED, "the store is closed"));
    }
    try {
      return CompletableFuture.completedFuture(operation.get());
    } catch (StoreException e) {
      return CompletableFuture.failedFuture(e);
    } catch (RuntimeException e) {
      log.error("an operation of the store failed", e);
      return CompletableFuture.failedFuture(
          new StoreException(Code.STORE_FAILED, "the operation failed inside the store", e));
    }
  }

  /**
   * Compares as the UTF-8 bytes do, which is by code point. Java's strings compare by UTF-16 unit,
   * in which surrogates come before U+E000 to U+FFFF.
   */
  static int compareUtf8(String a, String b) {
    int length = Math.min(a.length(), b.length());
    for (int i = 0; i < length; i++) {
      char x = a.charAt(i);
      char y = b.charAt(i);
      if (x != y) {
        boolean sameKind = Character.isSurrogate(x) == Character.isSurrogate(y);
        return sameKind ? x - y : Character.isSurrogate(x) ? 1 : -1;
      }
    }
    return a.length() - b.length();
  }

  private final class HeapSideFiles implements SideFiles {
    @Override
    public CompletableFuture<ByteBuffer> read(
        DatabaseId database, String file, long offset, int length) {
      return answer(
          () -> {
            check(offset, length);
            return get(database).readSideFile(file, offset, length);
          });
    }

    @Override
    public CompletableFuture<Void> write(
        DatabaseId database, long epoch, String file, long offset, ByteBuffer data) {
      return act(
          () -> {
            check(offset, data.remaining());
            get(database).writeSideFile(epoch, file, offset, data);
          });
    }

    @Override
    public CompletableFuture<Void> truncate(
        DatabaseId database, long epoch, String file, long size) {
      return act(
          () -> {
            check(size, 0);
            get(database).truncateSideFile(epoch, file, size);
          });
    }

    @Override
    public CompletableFuture<Long> size(DatabaseId database, String file) {
      return answer(() -> get(database).sideFileSize(file));
    }

    @Override
    public CompletableFuture<Void> delete(DatabaseId database, long epoch, String file) {
      return act(() -> get(database).deleteSideFile(epoch, file));
    }

    private static void check(long offset, int length) {
      if (offset < 0 || length < 0 || offset > Long.MAX_VALUE - length) {
        throw new StoreException(
            Code.INVALID_REQUEST, "%d bytes at %d are no part of a file".formatted(length, offset));
      }
    }
  }
}
