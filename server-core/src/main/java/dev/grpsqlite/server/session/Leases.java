package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who gets a lease. The store keeps the leases and judges by epoch; this says which holders are
 * gone. Thread-safe.
 */
public final class Leases {
  private static final Logger log = LoggerFactory.getLogger(Leases.class);

  private final PageStore store;
  private final SessionTable sessions;

  /** From here on, sessions of the table that end give back what they have in the store. */
  public Leases(PageStore store, SessionTable sessions) {
    this.store = store;
    this.sessions = sessions;
    sessions.whenEnded(this::giveBack);
  }

  /**
   * Takes the lease for a session, if it is free or its holder is gone.
   *
   * @return the state afterwards; it was granted if the holder is this session
   */
  public CompletableFuture<LeaseState> acquire(Session session, DatabaseId database) {
    return store
        .acquireLease(database, session.id(), Optional.empty())
        .thenCompose(
            state -> {
              SessionId holder = state.holder();
              if (holder == null || holder.equals(session.id()) || sessions.mayBeAlive(holder)) {
                return CompletableFuture.completedFuture(state);
              }
              log.info("the holder {} of the lease of {} is gone", holder, database);
              return store.acquireLease(database, session.id(), Optional.of(state));
            })
        .thenCompose(
            state -> {
              if (!session.id().equals(state.holder())
                  || session.leaseGranted(database, state.epoch())) {
                return CompletableFuture.completedFuture(state);
              }
              // The session ended in the meantime.
              return store
                  .releaseLease(database, session.id(), state.epoch())
                  .thenApply(
                      released -> {
                        throw SessionException.noSuchSession();
                      });
            });
  }

  /** Gives a lease back; succeeds also if the session does not have it. */
  public CompletableFuture<Void> release(Session session, DatabaseId database, long epoch) {
    session.leaseReleased(database, epoch);
    return store.releaseLease(database, session.id(), epoch);
  }

  /** Whether somebody who may be alive has the lease. */
  public CompletableFuture<Boolean> isHeld(DatabaseId database) {
    return store
        .lease(database)
        .thenApply(state -> state.holder() != null && sessions.mayBeAlive(state.holder()));
  }

  private CompletableFuture<Void> giveBack(Session session) {
    List<CompletableFuture<Void>> steps = new ArrayList<>();
    session
        .leases()
        .forEach((database, epoch) -> steps.add(store.releaseLease(database, session.id(), epoch)));
    CompletableFuture<Void> released =
        CompletableFuture.allOf(steps.toArray(new CompletableFuture<?>[0]));
    // Without its leases it can stage no more, so that nothing is staged behind the dropping.
    return released
        .handle((done, error) -> session.id())
        .thenCompose(store::dropStages)
        .thenCompose(dropped -> released)
        .whenComplete(
            (done, error) -> {
              if (error != null) {
                report(session, error instanceof CompletionException e ? e.getCause() : error);
              }
            });
  }

  private static void report(Session session, @Nullable Throwable error) {
    if (error instanceof StoreException e && e.code() == StoreException.Code.NO_SUCH_DATABASE) {
      return; // It was dropped, and its lease with it.
    }
    log.warn("session {} ended, but not all it had was given back", session.id(), error);
  }
}
