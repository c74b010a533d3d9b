package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Database;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.EngineFigure;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Neighbours;
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
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A {@link PageStore} in a FoundationDB cluster. Start with {@link dev.grpsqlite.server.fdb the
 * package}, which has the layout and the argument; here the parts are put together.
 */
final class FdbPageStore implements PageStore {
  /** Of what sessions left that all servers lost sight of. */
  private static final Duration SWEEP_EVERY = Duration.ofMinutes(5);

  private static final Logger log = LoggerFactory.getLogger(FdbPageStore.class);

  /** How often a process says that it is there, and what its sessions read. */
  static final Duration BEAT = Duration.ofSeconds(1);

  /** Its sessions have had the time to come back to another process, and pin what they read. */
  static final Duration DEAD_AFTER = Duration.ofSeconds(60);

  /** How often the collector looks for something to do. */
  static final Duration COLLECT_EVERY = Duration.ofSeconds(2);

  private final Transactions transactions;
  private final Databases databases;
  private final PageReader pageReader;
  private final Versions versions;
  private final Stages stages;
  private final Commits commits;
  private final Leases leases;
  private final Catalog catalog;
  private final Pins pins;
  private final Restores restores;
  private final FdbSideFiles sideFiles;
  private final Presence presence;
  private final FdbNeighbours neighbours;
  private final Collector collector;
  private final ScheduledExecutorService background;
  private boolean closed; // protected by this

  /**
   * How a store is set up.
   *
   * @param prefix of its keys
   * @param deadAfter how long a process is not heard of until what it pinned is forgotten
   */
  record Settings(
      String prefix,
      Retention retention,
      Duration beat,
      Duration collectEvery,
      Duration deadAfter) {}

  private FdbPageStore(Database database, Settings settings, SnapshotPins sessions, Clock clock) {
    long process = new SecureRandom().nextLong();
    transactions = new Transactions(database, System::nanoTime);
    databases = new Databases(new Keys(settings.prefix()));
    pins = new Pins(transactions, databases, sessions, process);
    pageReader = new PageReader(transactions, databases);
    versions = new Versions(transactions, databases);
    stages = new Stages(transactions, databases, process);
    commits = new Commits(transactions, databases, stages, clock);
    leases = new Leases(transactions, databases);
    catalog = new Catalog(transactions, databases, clock);
    restores = new Restores(transactions, databases, versions, pageReader, stages, commits, pins);
    sideFiles = new FdbSideFiles(transactions, databases);
    presence =
        new Presence(
            transactions, databases, pins, process, settings.deadAfter(), System::nanoTime);
    neighbours = new FdbNeighbours(transactions, databases.keys, process);
    collector =
        new Collector(
            transactions, databases, versions, catalog, pins, clock, settings.retention());
    background =
        Executors.newSingleThreadScheduledExecutor(
            work -> {
              Thread thread = new Thread(work, "fdb-background");
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Opens a store; the database is its own from here on, also if this fails.
   *
   * @throws StoreException if the cluster does not answer
   * @throws StoreOpenException if what is there is of another layout
   */
  static FdbPageStore open(Database database, Settings settings, SnapshotPins sessions, Clock clock)
      throws InterruptedException, StoreOpenException {
    FdbPageStore store = new FdbPageStore(database, settings, sessions, clock);
    boolean ready = false;
    try {
      Layout.claim(store.transactions, store.databases.keys, settings.prefix());
      store.presence.beat();
      store.repeat(store::beat, settings.beat());
      store.repeat(store.collector::runQuietly, settings.collectEvery());
      store.repeat(store::sweepQuietly, SWEEP_EVERY);
      ready = true;
      return store;
    } finally {
      if (!ready) {
        store.close();
      }
    }
  }

  private void repeat(Runnable work, Duration every) {
    ScheduledFuture<?> unused =
        background.scheduleWithFixedDelay(
            work, every.toMillis(), every.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void beat() {
    try {
      presence.beat();
      CompletableFuture<Void> unused =
          pins.refresh()
              .exceptionally(
                  error -> {
                    log.warn("what sessions read was not written down; will try again", error);
                    return null;
                  });
      presence.removeDead();
    } catch (StoreException e) {
      log.warn("the cluster was not told that this process lives; will try again", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void sweepQuietly() {
    CompletableFuture<Void> unused =
        sweep()
            .exceptionally(
                error -> {
                  log.warn("what lost sessions had was not given back; will try again", error);
                  return null;
                });
  }

  /** Gives back what sessions had that all servers lost sight of. */
  CompletableFuture<Void> sweep() {
    return neighbours.sweep(stages::drop);
  }

  @Override
  public StoreCapabilities capabilities() {
    return new StoreCapabilities(true, true, true);
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
    return transactions.read(transaction -> databases.info(transaction, database));
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
    return transactions.read(
        transaction -> databases.head(transaction, database).thenApply(VersionRecord::snapshot));
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return pins.publish(database, version).thenApply(VersionRecord::snapshot);
  }

  @Override
  public CompletableFuture<Long> mark(DatabaseId database, long version) {
    return versions.mark(database, version);
  }

  @Override
  public CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    return versions.changes(database, after, upTo, limit);
  }

  @Override
  public CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    return pageReader.read(database, version, pages);
  }

  @Override
  public CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return pageReader.readStaged(database, session, stage, version, pages);
  }

  @Override
  public CompletableFuture<LeaseState> lease(DatabaseId database) {
    return transactions.read(transaction -> databases.lease(transaction, database));
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
    return stages.stage(database, session, epoch, stage, call, pageSize, pages);
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
    return commits.commitGroup(group);
  }

  @Override
  public CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return versions.at(database, time).thenCompose(found -> snapshot(database, found.version()));
  }

  @Override
  public CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return versions.history(database, below, limit);
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
    return catalog
        .setRetention(database, retention)
        .thenRun(() -> background.execute(collector::reconsider));
  }

  @Override
  public List<EngineFigure> figures() {
    return transactions.figures();
  }

  @Override
  public Neighbours neighbours() {
    return neighbours;
  }

  @Override
  public SideFiles sideFiles() {
    return sideFiles;
  }

  /** Collects now, and answers when that is done. */
  CompletableFuture<Void> collect() {
    return CompletableFuture.runAsync(this::beat, background)
        .thenCompose(done -> pins.refresh())
        .thenRunAsync(this::beat, background)
        .thenRunAsync(
            () -> {
              collector.reconsider();
              collector.runQuietly();
            },
            background);
  }

  Transactions transactions() {
    return transactions;
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    collector.close();
    background.shutdownNow();
    try {
      if (!background.awaitTermination(10, TimeUnit.SECONDS)) {
        log.warn("the background is still at work; it ends with the connection");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    transactions.close();
  }
}
