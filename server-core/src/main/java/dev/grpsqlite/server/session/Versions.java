package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/**
 * What the server itself does with versions: it forks and restores, for whoever asks, and drops
 * what has none, under a session of its own. So the version is kept while it is at work, and a
 * restore has a lease like any other commit. Such a session is renewed until the work is done.
 *
 * <p>Thread-safe.
 */
public final class Versions {
  /** Says which version of a database is meant. */
  @FunctionalInterface
  public interface Choice {
    CompletableFuture<Long> of(PageStore store, DatabaseId database);

    static Choice number(long version) {
      return (store, database) -> CompletableFuture.completedFuture(version);
    }

    /** The newest one committed at or before a time. */
    static Choice at(Instant time) {
      return (store, database) -> store.snapshotAt(database, time).thenApply(Snapshot::version);
    }

    static Choice head() {
      return (store, database) -> store.head(database).thenApply(Snapshot::version);
    }
  }

  private static final String CLIENT_NAME = "the server";

  /** Its sessions are nobody else's: no identity has no name. */
  private static final String OWNER = "";

  /** The only view of such a session; it moves with nothing, so it is not the live one. */
  private static final int VIEW = 1;

  /** How long a holder has to end its transaction and yield. */
  private static final Duration LEASE_WAIT = Duration.ofSeconds(5);

  /** Of no lease: epochs are not negative. */
  private static final long NO_EPOCH = -1;

  private final PageStore store;
  private final SessionTable sessions;
  private final Leases leases;
  private final ScheduledExecutorService timer;
  private final SecureRandom random = new SecureRandom();

  /**
   * @param timer whose thread renews sessions
   */
  public Versions(
      PageStore store, SessionTable sessions, Leases leases, ScheduledExecutorService timer) {
    this.timer = timer;
    this.store = store;
    this.sessions = sessions;
    this.leases = leases;
    leases.whenNeverCommitted(this::dropUnlessCommitted);
  }

  /**
   * Drops a database if nothing was ever committed to it, under its lease, so that nothing is
   * meanwhile, and nobody has it open. Leaves it if another has the lease.
   */
  private CompletableFuture<Void> dropUnlessCommitted(DatabaseId database) {
    return isUnwanted(database)
        .thenCompose(
            unwanted ->
                unwanted
                    ? inSession(session -> dropUnlessCommitted(session, database))
                    : CompletableFuture.completedFuture(null))
        .exceptionallyCompose(
            error ->
                StoreException.codeOf(error) == Code.NO_SUCH_DATABASE
                    ? CompletableFuture.completedFuture(null)
                    : CompletableFuture.failedFuture(error));
  }

  private CompletableFuture<Void> dropUnlessCommitted(Session session, DatabaseId database) {
    return leases
        .acquire(session, database, LeaseWish.ANY)
        .thenCompose(
            answer ->
                answer.isGranted()
                    ? leases.dropping(database, () -> dropIfUnwanted(database))
                    : CompletableFuture.completedFuture(null));
  }

  private CompletableFuture<Void> dropIfUnwanted(DatabaseId database) {
    return isUnwanted(database)
        .thenCompose(
            unwanted -> unwanted ? store.drop(database) : CompletableFuture.completedFuture(null));
  }

  private CompletableFuture<Boolean> isUnwanted(DatabaseId database) {
    return store
        .info(database)
        .thenApply(
            info ->
                info.head().version() == 0
                    && info.head().pageCount() == 0
                    && info.retention() == null
                    && info.forkedFrom() == null
                    && sessions.oldestPinned(database) == Long.MAX_VALUE);
  }

  /**
   * Forks a version. What was forked by that name with that id already, and is there, is the answer
   * again, whatever became of the parent. Fails as {@link PageStore#fork}, with NO_SUCH_DATABASE,
   * and with LIMIT of sessions.
   */
  public CompletableFuture<DatabaseInfo> fork(
      String parent, Choice choice, String newName, CommitId id) {
    return forked(newName, id)
        .thenCompose(
            before ->
                before.isPresent()
                    ? CompletableFuture.completedFuture(before.get())
                    : forkOnce(parent, choice, newName, id));
  }

  private CompletableFuture<DatabaseInfo> forkOnce(
      String parent, Choice choice, String newName, CommitId id) {
    return store
        .find(parent)
        .thenApply(found -> found.orElseThrow(() -> StoreException.noSuchDatabase(parent)))
        .thenCompose(
            info ->
                inSession(
                    session -> {
                      session.enterView(info.id(), VIEW);
                      return choice
                          .of(store, info.id())
                          .thenCompose(version -> store.fork(info.id(), version, newName, id));
                    }))
        .exceptionallyCompose(
            error ->
                StoreException.codeOf(error) == Code.ALREADY_EXISTS
                    // An earlier sending may have come in between.
                    ? forked(newName, id)
                        .thenCompose(
                            there ->
                                there
                                    .map(CompletableFuture::completedFuture)
                                    .orElseGet(() -> CompletableFuture.failedFuture(error)))
                    : CompletableFuture.failedFuture(error));
  }

  private CompletableFuture<Optional<DatabaseInfo>> forked(String name, CommitId id) {
    return store
        .find(name)
        .thenApply(
            found ->
                found.filter(
                    info -> info.forkedFrom() != null && info.forkedFrom().id().equals(id)));
  }

  /**
   * Restores a version under a lease that is taken for it and given back. A commit id that was
   * applied already is answered as then, whoever has the lease.
   *
   * @return the new version, or empty if another has the lease, and nothing was done. Fails as
   *     {@link PageStore#restore}, and with LIMIT of sessions
   */
  public CompletableFuture<OptionalLong> restore(DatabaseId database, Choice choice, CommitId id) {
    return applied(database, id)
        .thenCompose(
            version ->
                version.isPresent()
                    ? CompletableFuture.completedFuture(version)
                    : inSession(session -> restoreOnce(session, database, choice, id)));
  }

  /** Restores a version under a lease that the caller has. */
  public CompletableFuture<Long> restore(
      DatabaseId database, Choice choice, CommitId id, SessionId holder, long epoch) {
    return choice
        .of(store, database)
        .thenCompose(version -> store.restore(database, holder, epoch, id, version));
  }

  /**
   * As {@link #restore(DatabaseId, Choice, CommitId, SessionId, long)} for a client that says that
   * it has the lease. Of a session that is not known here, for this server restarted, the store
   * knows whether it has. Fails with NOT_OWNER and NO_SUCH_SESSION, too.
   *
   * @param owner the identity of who asks
   */
  public CompletableFuture<Long> restore(
      DatabaseId database, Choice choice, CommitId id, SessionId holder, long epoch, String owner) {
    if (sessions.find(holder) != null) {
      Session unused = sessions.get(holder, owner);
    }
    return restore(database, choice, id, holder, epoch);
  }

  private CompletableFuture<OptionalLong> restoreOnce(
      Session session, DatabaseId database, Choice choice, CommitId id) {
    session.enterView(database, VIEW);
    return acquire(session, database)
        .thenCompose(
            answer ->
                answer.isGranted()
                    ? restore(database, choice, id, session.id(), answer.state().epoch())
                        .thenApply(OptionalLong::of)
                    : CompletableFuture.completedFuture(OptionalLong.empty()));
  }

  /** Waits only for a holder that can be asked, or for its turn. */
  private CompletableFuture<LeaseAnswer> acquire(Session session, DatabaseId database) {
    return leases
        .acquire(session, database, LeaseWish.ANY)
        .thenCompose(
            answer -> {
              SessionId holder = answer.state().holder();
              return answer.isGranted() || (holder != null && !leases.canBeAsked(holder))
                  ? CompletableFuture.completedFuture(answer)
                  : leases.acquire(
                      session, database, LeaseWish.ANY, LEASE_WAIT, new CompletableFuture<>());
            });
  }

  /** The version that a commit id made. The store looks for the id before it asks for a lease. */
  private CompletableFuture<OptionalLong> applied(DatabaseId database, CommitId id) {
    return store
        .restore(database, newId(), NO_EPOCH, id, 0)
        .handle(
            (version, error) -> {
              if (error == null) {
                return OptionalLong.of(version);
              }
              if (StoreException.codeOf(error) == Code.LEASE_LOST) {
                return OptionalLong.empty();
              }
              throw error instanceof RuntimeException e ? e : new CompletionException(error);
            });
  }

  /** Ends the session before it answers, so that what it had is free for whoever asks next. */
  private <T> CompletableFuture<T> inSession(Function<Session, CompletableFuture<T>> work) {
    return sessions
        .openForAll(newId(), CLIENT_NAME, OWNER, () -> true, OWNER)
        .thenCompose(session -> inSession(session, work));
  }

  private <T> CompletableFuture<T> inSession(
      Session session, Function<Session, CompletableFuture<T>> work) {
    CompletableFuture<T> result;
    try {
      result = work.apply(session);
    } catch (RuntimeException e) {
      result = CompletableFuture.failedFuture(e);
    }
    CompletableFuture<T> worked = result;
    long period = sessions.ttl().dividedBy(3).toNanos();
    ScheduledFuture<?> renewing =
        timer.scheduleWithFixedDelay(
            () -> {
              CompletableFuture<Session> unused = sessions.keepAliveForAll(session.id(), OWNER);
            },
            period,
            period,
            TimeUnit.NANOSECONDS);
    return worked
        .whenComplete((value, error) -> renewing.cancel(false))
        .handle((value, error) -> session.id())
        .thenCompose(id -> sessions.close(id, OWNER))
        // Who gives back reports what goes wrong; it is not the caller's.
        .handle((closed, error) -> session.id())
        .thenCompose(ended -> worked);
  }

  private SessionId newId() {
    return new SessionId(random.nextLong(), random.nextLong());
  }
}
