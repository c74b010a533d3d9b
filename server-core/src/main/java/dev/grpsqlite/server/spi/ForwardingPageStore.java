package dev.grpsqlite.server.spi;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * A store that is another one: for those that change a few of its operations and leave it the rest.
 * It passes on every method of {@link PageStore}, those with a default too, so that what a store
 * can do is not lost behind it. As thread-safe as the store is; closes it.
 */
public abstract class ForwardingPageStore implements PageStore {
  /** To which everything goes that is not overridden. */
  protected final PageStore store;

  protected ForwardingPageStore(PageStore store) {
    this.store = store;
  }

  @Override
  public StoreCapabilities capabilities() {
    return store.capabilities();
  }

  @Override
  public CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return store.find(name);
  }

  @Override
  public CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    return store.findOrCreate(name);
  }

  @Override
  public CompletableFuture<DatabaseInfo> info(DatabaseId database) {
    return store.info(database);
  }

  @Override
  public CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    return store.list(prefix, after, limit);
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId database) {
    return store.drop(database);
  }

  @Override
  public CompletableFuture<Snapshot> head(DatabaseId database) {
    return store.head(database);
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return store.snapshot(database, version);
  }

  @Override
  public CompletableFuture<Long> mark(DatabaseId database, long version) {
    return store.mark(database, version);
  }

  @Override
  public CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    return store.changes(database, after, upTo, limit);
  }

  @Override
  public CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    return store.read(database, version, pages);
  }

  @Override
  public CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return store.readStaged(database, session, stage, version, pages);
  }

  @Override
  public CompletableFuture<LeaseState> lease(DatabaseId database) {
    return store.lease(database);
  }

  @Override
  public CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return store.acquireLease(database, session, displaced);
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return store.releaseLease(database, session, epoch);
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
    return store.stage(database, session, epoch, stage, call, pageSize, pages);
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
    return store.stageInBulk(database, session, epoch, stage, call, pageSize, pages);
  }

  @Override
  public CompletableFuture<Void> dropStage(DatabaseId database, SessionId session, StageId stage) {
    return store.dropStage(database, session, stage);
  }

  @Override
  public CompletableFuture<Void> dropStages(SessionId session) {
    return store.dropStages(session);
  }

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    return store.commit(commit);
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    return store.commitGroup(commits);
  }

  @Override
  public CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return store.snapshotAt(database, time);
  }

  @Override
  public CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return store.history(database, below, limit);
  }

  @Override
  public CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String newName, CommitId id) {
    return store.fork(parent, version, newName, id);
  }

  @Override
  public CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    return store.restore(database, holder, epoch, id, version);
  }

  @Override
  public CompletableFuture<Void> setRetention(DatabaseId database, Optional<Retention> retention) {
    return store.setRetention(database, retention);
  }

  @Override
  public Optional<String> refusesWrites() {
    return store.refusesWrites();
  }

  @Override
  public List<EngineFigure> figures() {
    return store.figures();
  }

  @Override
  public Neighbours neighbours() {
    return store.neighbours();
  }

  @Override
  public SideFiles sideFiles() {
    return store.sideFiles();
  }

  @Override
  public void close() {
    store.close();
  }
}
