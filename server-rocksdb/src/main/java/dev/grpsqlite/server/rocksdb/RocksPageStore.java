package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
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
import dev.grpsqlite.server.spi.StoreOpenException;
import dev.grpsqlite.server.spi.VersionInfo;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.Statistics;
import org.rocksdb.Status;
import org.rocksdb.WriteBatch;

/**
 * A {@link PageStore} in one RocksDB. Start with {@link dev.grpsqlite.server.rocksdb the package},
 * which has the layout and the argument; here the parts are put together.
 */
final class RocksPageStore implements PageStore {
  /** A few hundred bytes each. */
  static final int DATABASES_IN_MEMORY = 20_000;

  /** How often the collector looks for something to do. */
  static final Duration COLLECT_EVERY = Duration.ofSeconds(2);

  /** Sessions that read old versions need some time to come back after a restart and pin them. */
  static final Duration COLLECT_FIRST = Duration.ofSeconds(30);

  /** So many take longer than the caller's thread should be held up, in memory or not. */
  private static final int MANY_PAGES = 16;

  /** So many pages are worth a thread of their own. */
  private static final int PAGES_PER_THREAD = 128;

  /** A stage that an earlier run left, and that nobody has asked for since, goes then. */
  private static final Duration INHERITED_STAGE = Duration.ofHours(1);

  /** A span of versions whose changes are not looked for on the caller's thread. */
  private static final long MANY_VERSIONS = 64;

  private static final Path BOOT_ID = Path.of("/proc/sys/kernel/random/boot_id");

  /**
   * How a store is set up.
   *
   * @param databasesInMemory of how many databases head and lease are kept in memory, about
   * @param collectFirst when the collector begins
   * @param collectEvery how often it then looks for something to do
   * @param stagedSetBytes what the numbers of all staged pages may take of the heap
   * @param statistics counts, if given; stays the caller's
   */
  record Settings(
      Path data,
      long cacheBytes,
      Retention retention,
      int readThreads,
      int databasesInMemory,
      Duration collectFirst,
      Duration collectEvery,
      long stagedSetBytes,
      @Nullable Statistics statistics) {}

  private final DataFolder folder;
  private final SyncMark mark;
  private final Engine engine;
  private final Databases databases;
  private final Readers readers;
  private final Versions versions;
  private final PageReader pageReader;
  private final Background background;
  private final WriteGuard guard;
  private final Stages stages;
  private final Committer committer;
  private final Commits commits;
  private final CommitsTogether commitsTogether;
  private final Leases leases;
  private final Catalog catalog;
  private final Collector collector;
  private final Dropped dropped;
  private final Restores restores;
  private final RocksSideFiles sideFiles;
  private boolean closed; // protected by this

  private RocksPageStore(
      DataFolder folder,
      SyncMark mark,
      Engine engine,
      StagedTables tables,
      DiskRoom room,
      Settings settings,
      SnapshotPins pins,
      Clock clock) {
    this.folder = folder;
    this.mark = mark;
    this.engine = engine;
    databases = new Databases(engine, settings.databasesInMemory());
    readers = new Readers(engine, settings.readThreads());
    versions = new Versions(engine);
    pageReader = new PageReader(engine, databases, versions);
    background = new Background(engine);
    guard = new WriteGuard(engine, room);
    stages =
        new Stages(
            engine, databases, readers, background, tables, guard, settings.stagedSetBytes());
    committer = new Committer(engine, databases, mark, guard);
    commits = new Commits(databases, readers, versions, stages, committer, clock);
    commitsTogether = new CommitsTogether(databases, readers, versions, stages, committer, clock);
    leases = new Leases(databases, readers, committer, stages);
    Holds holds = new Holds(pins);
    restores =
        new Restores(databases, readers, versions, pageReader, stages, committer, commits, holds);
    ForkPoints forkPoints = new ForkPoints(engine, background);
    dropped = new Dropped(engine, background, forkPoints);
    catalog = new Catalog(engine, databases, readers, committer, stages, versions, dropped, clock);
    collector =
        new Collector(
            engine,
            databases,
            versions,
            committer,
            background,
            forkPoints,
            holds,
            clock,
            settings.retention());
    sideFiles = new RocksSideFiles(engine, databases, readers, committer);
  }

  static RocksPageStore open(Settings settings, SnapshotPins pins, Clock clock)
      throws StoreOpenException {
    DataFolder folder = DataFolder.open(settings.data());
    SyncMark mark = null;
    Engine engine = null;
    boolean ready = false;
    try {
      folder.checkDatabase();
      mark = new SyncMark(folder.path());
      long synced = folder.isEmpty() ? 0 : mark.read();
      engine =
          new Engine(
              folder.database(), settings.cacheBytes(), folder.isEmpty(), settings.statistics());
      if (engine.sequence() < synced) {
        throw folder.damaged(
            "its log ends at write %d, but write %d was synced, so acknowledged commits are missing"
                .formatted(engine.sequence(), synced),
            null);
      }
      folder.finish();
      StagedTables tables = new StagedTables(engine, folder.staged());
      RocksPageStore store =
          new RocksPageStore(
              folder, mark, engine, tables, new DiskRoom(folder.path()), settings, pins, clock);
      store.start(settings);
      ready = true;
      return store;
    } catch (RocksDBException e) {
      Status.Code code = e.getStatus() == null ? Status.Code.Undefined : e.getStatus().getCode();
      if (code == Status.Code.Corruption || code == Status.Code.InvalidArgument) {
        throw folder.damaged(code + ", " + e.getMessage(), e);
      }
      throw folder.unusable(
          "RocksDB can't open it (%s, %s); give it space and this user access, or restore it from a backup"
              .formatted(code, e.getMessage()),
          e);
    } catch (IOException e) {
      throw folder.unusable(
          "%s on %s; give this user access to it"
              .formatted(e.getClass().getSimpleName(), e.getMessage()),
          e);
    } finally {
      if (!ready) {
        close(engine, mark, folder);
      }
    }
  }

  /** Starts the threads and takes up what an earlier run left undone. */
  private void start(Settings settings) throws RocksDBException {
    List<Long> withStages = background.databasesWith(Keys.STAGE);
    boolean sameBoot = noteBoot(withStages);
    List<Long> leftToDelete = background.databasesWith(Keys.DROPPED);
    committer.start();
    stages.takeOver(withStages, sameBoot);
    leftToDelete.forEach(dropped::delete);
    background.repeat(collector::run, settings.collectFirst(), settings.collectEvery());
    background.later(stages::dropInherited, INHERITED_STAGE);
  }

  /**
   * Says whether the machine has not been started anew since the last time. Then what was written
   * and not synced is there too; else a stage may lack some of its pages.
   *
   * @param withStages the databases for which something was staged
   */
  private boolean noteBoot(List<Long> withStages) throws RocksDBException {
    byte[] now;
    try {
      now = Files.readString(BOOT_ID).strip().getBytes(StandardCharsets.US_ASCII);
    } catch (IOException e) {
      now = new byte[0]; // no Linux; stages then end with the process
    }
    boolean same = now.length > 0 && Arrays.equals(engine.get(Keys.BOOT, Tier.DISK), now);
    try (WriteBatch batch = new WriteBatch()) {
      engine.put(batch, Keys.BOOT, now);
      stages.endLost(batch, withStages, same);
      engine.writeUnsynced(batch);
    }
    return same;
  }

  @Override
  public StoreCapabilities capabilities() {
    return new StoreCapabilities(true, true, true);
  }

  @Override
  public Optional<String> refusesWrites() {
    return guard.refusal().map(StoreException::getMessage);
  }

  @Override
  public CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return catalog.find(name);
  }

  @Override
  public CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    return catalog.findOrCreate(name);
  }

  @Override
  public CompletableFuture<DatabaseInfo> info(DatabaseId database) {
    return readers.answer(tier -> databases.get(database, tier).info());
  }

  @Override
  public CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    return catalog.list(prefix, after, limit);
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId database) {
    return catalog.drop(database);
  }

  @Override
  public CompletableFuture<Snapshot> head(DatabaseId database) {
    return readers.answer(tier -> databases.get(database, tier).head.snapshot());
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return readers.answer(
        tier -> {
          DatabaseState state = databases.get(database, tier);
          Snapshot found = versions.readable(state, version, tier).snapshot();
          if (version < state.oldest) {
            throw RocksErrors.tooOld(state, version, state.oldest);
          }
          return found;
        });
  }

  @Override
  public CompletableFuture<Long> mark(DatabaseId database, long version) {
    return readers.answer(
        tier -> {
          DatabaseState state = databases.get(database, tier);
          VersionRecord found =
              version > state.head.version() ? null : versions.find(state, version, tier);
          return found == null ? 0 : found.commit().mark();
        });
  }

  @Override
  public CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    Readers.Reading<Changes> reading =
        tier -> {
          DatabaseState state = databases.get(database, tier);
          long head = state.head.version();
          if (upTo > head || after < 0) {
            throw RocksErrors.noSuchVersion(state, after < 0 ? after : upTo, head);
          }
          if (after > upTo) {
            throw RocksErrors.invalid(state, "changes from %d back to %d".formatted(after, upTo));
          }
          return after == upTo ? Changes.NONE : versions.changes(state, after, upTo, limit, tier);
        };
    return upTo - after > MANY_VERSIONS ? readers.answerFromDisk(reading) : readers.answer(reading);
  }

  @Override
  public CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    if (pages.length < MANY_PAGES) {
      return readers.answer(tier -> pageReader.read(database, version, pages, tier));
    }
    return readMany(database, version, pages);
  }

  /** By several threads, for RocksDB takes a processor 10 us for each page. */
  private CompletableFuture<List<PageImage>> readMany(
      DatabaseId database, long version, long[] pages) {
    if (pages.length < 2 * PAGES_PER_THREAD) {
      return readers.answerFromDisk(tier -> pageReader.read(database, version, pages, tier));
    }
    int middle = pages.length / 2;
    CompletableFuture<List<PageImage>> first =
        readMany(database, version, Arrays.copyOf(pages, middle));
    CompletableFuture<List<PageImage>> rest =
        readMany(database, version, Arrays.copyOfRange(pages, middle, pages.length));
    return Futures.then(
        first,
        found ->
            Futures.then(
                rest,
                more -> {
                  List<PageImage> all = new ArrayList<>(pages.length);
                  all.addAll(found);
                  all.addAll(more);
                  return CompletableFuture.completedFuture(all);
                }));
  }

  @Override
  public CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return Futures.then(
        readers.answer(tier -> databases.get(database, tier)),
        state ->
            Futures.then(
                stages.settle(state, session, stage),
                settled ->
                    readers.answer(
                        tier ->
                            pageReader.readStaged(
                                database, session, stage, version, pages, tier))));
  }

  @Override
  public CompletableFuture<LeaseState> lease(DatabaseId database) {
    return readers.answer(tier -> databases.get(database, tier).lease);
  }

  @Override
  public CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return leases.acquire(database, session, displaced);
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return leases.release(database, session, epoch);
  }

  @Override
  public CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    return stages.stage(database, session, epoch, stage, call, pageSize, false, pages);
  }

  @Override
  public CompletableFuture<Void> stageInBulk(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    return stages.stage(database, session, epoch, stage, call, pageSize, true, pages);
  }

  @Override
  public CompletableFuture<Void> dropStage(DatabaseId database, SessionId session, StageId stage) {
    return stages.drop(database, session, stage);
  }

  @Override
  public CompletableFuture<Void> dropStages(SessionId session) {
    return stages.drop(session);
  }

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    return commits.commit(commit);
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> group) {
    return commitsTogether.commit(group);
  }

  @Override
  public CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return readers.answer(
        tier -> versions.at(databases.get(database, tier), time, tier).snapshot());
  }

  @Override
  public CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    Readers.Reading<List<VersionInfo>> reading =
        tier -> versions.history(databases.get(database, tier), below, limit, tier);
    return limit > MANY_VERSIONS ? readers.answerFromDisk(reading) : readers.answer(reading);
  }

  @Override
  public CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String newName, CommitId id) {
    return catalog.fork(parent, version, newName, id);
  }

  @Override
  public CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    return restores.restore(database, holder, epoch, id, version);
  }

  @Override
  public CompletableFuture<Void> setRetention(DatabaseId database, Optional<Retention> retention) {
    return Futures.then(
        catalog.setRetention(database, retention),
        done -> {
          Future<?> unused =
              background.call(
                  () -> {
                    collector.reconsider();
                    return null;
                  });
          return CompletableFuture.completedFuture(null);
        });
  }

  @Override
  public SideFiles sideFiles() {
    return sideFiles;
  }

  /** Collects now, and answers when that is done. */
  CompletableFuture<Void> collect() {
    return background.call(
        () -> {
          collector.run();
          return null;
        });
  }

  /** The one RocksDB. */
  Engine engine() {
    return engine;
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    readers.close();
    background.close();
    stages.close();
    committer.close();
    close(engine, mark, folder);
  }

  private static void close(@Nullable Engine engine, @Nullable SyncMark mark, DataFolder folder) {
    try {
      if (engine != null) {
        engine.close();
      }
      if (mark != null) {
        mark.close();
      }
    } catch (IOException e) {
      throw new IllegalStateException(e); // what it says is only a check
    } finally {
      folder.close();
    }
  }
}
