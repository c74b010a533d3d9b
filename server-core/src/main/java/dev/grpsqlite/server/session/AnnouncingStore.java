package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.ForwardingPageStore;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A store that says when a head may have moved, before whoever moved it hears of it, and when a
 * lease may have become free; and in which nobody gets a lease while others were told that the head
 * stays. A server has no other, so that no service can forget any of this.
 *
 * <p>Thread-safe once both listeners are set. They are called on the store's threads, and do not
 * block.
 */
public final class AnnouncingStore extends ForwardingPageStore {
  private volatile Consumer<DatabaseId> whenHeadMayHaveMoved = database -> {};
  private volatile Consumer<DatabaseId> whenLeaseMayBeFree = database -> {};

  private final ReadDelegations delegations;

  public AnnouncingStore(PageStore store, ReadDelegations delegations) {
    super(store);
    this.delegations = delegations;
  }

  ReadDelegations delegations() {
    return delegations;
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
    return delegations
        .afterThem(database, null, () -> store.drop(database))
        .whenComplete(
            (dropped, error) -> {
              whenHeadMayHaveMoved.accept(database);
              whenLeaseMayBeFree.accept(database);
            });
  }

  @Override
  public CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return delegations.afterThem(
        database, session, () -> store.acquireLease(database, session, displaced));
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return store
        .releaseLease(database, session, epoch)
        .whenComplete(
            (released, error) -> {
              delegations.rest(database);
              whenLeaseMayBeFree.accept(database);
            });
  }
}
