package dev.grpsqlite.server.file;

import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.SessionException;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.security.SecureRandom;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * The leases of the file service: each has a session of its own, which every request under it
 * renews. Thread-safe.
 */
final class FileLeases {
  private static final String CLIENT_NAME = "file service";

  private final PageStore store;
  private final SessionTable sessions;
  private final Leases leases;
  private final SecureRandom random = new SecureRandom();

  FileLeases(PageStore store, SessionTable sessions, Leases leases) {
    this.store = store;
    this.sessions = sessions;
    this.leases = leases;
  }

  /**
   * Takes the lease, or answers empty if another has it. Its time begins when it is granted: no
   * client can renew one that it was not told of.
   *
   * @param owner who alone may use it
   * @param countedAs with whose sessions it is counted
   */
  CompletableFuture<Optional<FileLease>> acquire(
      DatabaseId database, Caller owner, String countedAs) {
    SessionId id = new SessionId(random.nextLong(), random.nextLong());
    return sessions
        .openForAll(id, CLIENT_NAME, owner.identity(), owner::isKnown, countedAs)
        .thenCompose(session -> leases.acquire(session, database, LeaseWish.ANY))
        .thenCompose(
            answer ->
                answer.isGranted()
                    ? sessions
                        .keepAliveForAll(id, owner.identity())
                        .thenApply(
                            session ->
                                Optional.of(new FileLease(id, answer.state().epoch(), database)))
                    : sessions
                        .close(id, owner.identity())
                        .thenApply(closed -> Optional.<FileLease>empty()))
        .whenComplete(
            (lease, error) -> {
              if (error != null) {
                CompletableFuture<Void> unused = sessions.close(id, owner.identity());
              }
            });
  }

  /**
   * Renews a lease. After a restart of the server its session is made again, if nobody was given
   * the lease since.
   *
   * @return false if it is gone for good
   */
  CompletableFuture<Boolean> renew(FileLease lease, Caller owner) {
    try {
      return sessions
          .keepAliveForAll(lease.session(), owner.identity())
          .thenApply(session -> true)
          .exceptionallyCompose(error -> renewAgain(lease, owner, error));
    } catch (SessionException e) {
      return renewAgain(lease, owner, e);
    }
  }

  private CompletableFuture<Boolean> renewAgain(FileLease lease, Caller owner, Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
    if (!(cause instanceof SessionException e)
        || e.code() != SessionException.Code.NO_SUCH_SESSION) {
      return CompletableFuture.failedFuture(failure);
    }
    return store
        .lease(lease.database())
        .handle(
            (state, error) ->
                error == null
                    && state.epoch() == lease.epoch()
                    && lease.session().equals(state.holder()))
        .thenCompose(
            has ->
                has
                    ? sessions
                        .openForAll(
                            lease.session(),
                            CLIENT_NAME,
                            owner.identity(),
                            owner::isKnown,
                            owner.identity())
                        .thenApply(session -> session.leaseGranted(lease.database(), lease.epoch()))
                    : CompletableFuture.completedFuture(false));
  }

  /** The lease of a request that writes; fails with LEASE_LOST. */
  CompletableFuture<FileLease> require(String leaseId, DatabaseId database, Caller owner) {
    Optional<FileLease> lease =
        FileLease.decode(leaseId).filter(decoded -> decoded.database().equals(database));
    if (lease.isEmpty()) {
      return CompletableFuture.failedFuture(
          new StoreException(Code.LEASE_LOST, "lease_id is not a lease of this database"));
    }
    return renew(lease.get(), owner)
        .thenApply(
            renewed -> {
              if (!renewed) {
                throw new StoreException(Code.LEASE_LOST, "the lease expired or was released");
              }
              return lease.get();
            });
  }

  /** Renews the lease of a request that does not need one, if there is one. */
  void touch(String leaseId, Caller owner) {
    FileLease.decode(leaseId)
        .ifPresent(
            lease -> {
              CompletableFuture<Boolean> unused = renew(lease, owner);
            });
  }

  /** Fails with NOT_OWNER before anything is released. */
  CompletableFuture<Void> release(FileLease lease, Caller owner) {
    return sessions
        .close(lease.session(), owner.identity())
        // If the server restarted since, the session is not there and the lease is given back here.
        .thenCompose(
            closed ->
                store
                    .releaseLease(lease.database(), lease.session(), lease.epoch())
                    .exceptionally(error -> null));
  }
}
