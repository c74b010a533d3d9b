package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SideFiles;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreCapabilities;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.VersionInfo;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A store that says when a head may have moved, before whoever moved it hears of it, and when a
 * lease may have become free. A server has no other, so that no service can forget to say so.
 *
 * <p>Thread-safe once both listeners are set. They are called on the store's threads, and do not
 * block.
 */
public final class AnnouncingStore implements PageStore {
  private final PageStore store;
  private volatile Consumer<DatabaseId> whenHeadMayHaveMoved = database -> {};
  private volatile Consumer<DatabaseId> whenLeaseMayBeFree = database -> {};

  public AnnouncingStore(PageStore store) {
    this.store = store;
  }

  /** Set once, before the first call. */
  void whenHeadMayHaveMoved(Consumer<DatabaseId> listener) {
    whenHeadMayHaveMoved = listener;
  }

  /** Set once, before the first call. */
  void whenLeaseMayBeFree(Consumer<DatabaseId> listener) {
    whenLeaseMayBeFree = listener;
  }

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    return announced(commit.database(), store.commit(commit));
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    CompletableFuture<List<Long>> made = store.commitGroup(commits);
    for (Commit commit : commits) {
      made = announced(commit.database(), made);
    }
    return made;
  }

  @Override
  public CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    return announced(database, store.restore(database, holder, epoch, id, version));
  }

  /** Completes after the listener was called. */
  private <T> CompletableFuture<T> announced(DatabaseId database, CompletableFuture<T> made) {
    return made.whenComplete(
        (version, error) -> {
          if (mayBeApplied(error)) {
            whenHeadMayHaveMoved.accept(database);
          }
        });
  }

  private static boolean mayBeApplied(@Nullable Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    return cause == null
        || !(cause instanceof StoreException e)
        || e.code() == StoreException.Code.STORE_FAILED;
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId database) {
    return store
        .drop(database)
        .whenComplete(
            (dropped, error) -> {
              whenHeadMayHaveMoved.accept(database);
              whenLeaseMayBeFree.accept(database);
            });
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return store
        .releaseLease(database, session, epoch)
        .whenComplete((released, error) -> whenLeaseMayBeFree.accept(database));
  }

  // The rest is the store's own.

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
  public CompletableFuture<Snapshot> head(DatabaseId database) {
    return store.head(database);
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return store.snapshot(database, version);
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
  public CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      int pageSize,
      List<PageImage> pages) {
    return store.stage(database, session, epoch, stage, pageSize, pages);
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
  public CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return store.snapshotAt(database, time);
  }

  @Override
  public CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return store.history(database, below, limit);
  }

  @Override
  public CompletableFuture<DatabaseInfo> fork(DatabaseId parent, long version, String newName) {
    return store.fork(parent, version, newName);
  }

  @Override
  public CompletableFuture<Void> setRetention(DatabaseId database, Optional<Retention> retention) {
    return store.setRetention(database, retention);
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
