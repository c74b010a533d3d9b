package dev.grpsqlite.server.session;

import dev.grpsqlite.server.session.SessionException.Code;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * All sessions of a server process.
 *
 * <p>A session lasts until one TTL after its last OpenSession or KeepAlive was received. No other
 * request renews it, for a client trusts its leases by the KeepAlives it has sent, and by nothing
 * else. Who finds a session to be over ends it; {@link #expire} does that for those that nobody
 * asks for.
 *
 * <p>Thread-safe.
 */
public final class SessionTable implements SnapshotPins {
  private final LongSupplier nanoTime;
  private final long ttlNanos;
  private final SessionLimits limits;
  private final long startNanos;
  private final Floors floors = new Floors();
  private final KnownRelations relations = new KnownRelations();
  private final Holdings all = new Holdings();

  /** Begins anywhere, so that a session has another one after a restart too. */
  private final AtomicLong incarnations = new AtomicLong(new SecureRandom().nextLong());

  /** What the sessions of each identity have; who has none is not in it. */
  private final ConcurrentHashMap<String, Holdings> owners = new ConcurrentHashMap<>();

  private final ConcurrentHashMap<SessionId, Session> sessions = new ConcurrentHashMap<>();

  /** Sessions that have ended, while what they had is given back. */
  private final ConcurrentHashMap<SessionId, CompletableFuture<Void>> ending =
      new ConcurrentHashMap<>();

  private volatile Ended whenEnded = (session, isOver) -> CompletableFuture.completedFuture(null);
  private volatile Neighbours neighbours = Neighbours.NONE;

  /** Gives back what an ended session had, if it turns out to be over at all servers. */
  @FunctionalInterface
  interface Ended {
    CompletableFuture<Void> giveBack(Session session, CompletableFuture<Boolean> isOver);
  }

  /**
   * @param nanoTime a clock as {@link System#nanoTime}
   */
  public SessionTable(LongSupplier nanoTime, Duration ttl, SessionLimits limits) {
    this.nanoTime = nanoTime;
    this.ttlNanos = ttl.toNanos();
    this.limits = limits;
    this.startNanos = nanoTime.getAsLong();
  }

  /** What gives back what an ended session had. Set once, before the first session. */
  void whenEnded(Ended action) {
    whenEnded = action;
  }

  /** Sets the other servers of the engine. To be called once, before the first session. */
  public void meet(Neighbours others) {
    neighbours = others;
  }

  public Duration ttl() {
    return Duration.ofNanos(ttlNanos);
  }

  @Override
  public long oldestPinned(DatabaseId database) {
    return floors.oldestPinned(database);
  }

  @Override
  public Set<DatabaseId> pinnedDatabases() {
    return floors.pinnedDatabases();
  }

  /** Opens the session of an owner who is known as long as the server runs. */
  public Session open(SessionId id, String clientName, String owner) {
    return open(id, clientName, owner, () -> true);
  }

  /**
   * Opens a session, or renews the one of that id. Fails with LIMIT and NOT_OWNER, and with
   * NO_SUCH_SESSION if the owner is not known any more.
   *
   * @param owner the identity that alone may use it; empty where nobody is asked who it is
   * @param ownerIsKnown whether the server would let in again who opens it
   */
  public Session open(SessionId id, String clientName, String owner, BooleanSupplier ownerIsKnown) {
    return open(id, clientName, owner, ownerIsKnown, owner);
  }

  /**
   * As the other one.
   *
   * @param countedAs with whose sessions it shares limits: the owner, or where the client comes
   *     from
   */
  public Session open(
      SessionId id,
      String clientName,
      String owner,
      BooleanSupplier ownerIsKnown,
      String countedAs) {
    Session session = renewedOrNew(id, clientName, owner, ownerIsKnown, countedAs);
    if (!ownerIsKnown.getAsBoolean()) {
      // Perhaps it was not in the table yet when the others of this owner were ended.
      endUnattended(session);
      throw SessionException.noSuchSession();
    }
    return session;
  }

  /**
   * As {@link #open}; complete when the other servers can know, and begun when an earlier session
   * of that id is over, with all that it had.
   */
  public CompletableFuture<Session> openForAll(
      SessionId id,
      String clientName,
      String owner,
      BooleanSupplier ownerIsKnown,
      String countedAs) {
    return whenGivenBack(id)
        .thenCompose(gone -> heard(open(id, clientName, owner, ownerIsKnown, countedAs), true));
  }

  /**
   * Complete when what an earlier session of that id had, which is over, is given back, or could
   * not be: else the next one would lose what it has staged meanwhile, for a store drops all that
   * was staged under the id.
   */
  private CompletableFuture<Void> whenGivenBack(SessionId id) {
    Session session = sessions.get(id);
    if (session != null && session.isOver(nanoTime.getAsLong())) {
      endUnattended(session);
    }
    CompletableFuture<Void> given = ending.get(id);
    return given == null
        ? CompletableFuture.completedFuture(null)
        : given.handle((done, error) -> null);
  }

  /** As {@link #keepAlive}; complete when the other servers can know. */
  public CompletableFuture<Session> keepAliveForAll(SessionId id, String owner) {
    return heard(keepAlive(id, owner), false);
  }

  private CompletableFuture<Session> heard(Session session, boolean opened) {
    return neighbours
        .heard(session.id(), opened, session.incarnation())
        .thenApply(
            incarnation -> {
              if (incarnation.isEmpty()) {
                // Another server gave away what it had.
                endUnattended(session);
                throw SessionException.noSuchSession();
              }
              session.isKnownAs(incarnation.getAsLong());
              return session;
            });
  }

  private Session renewedOrNew(
      SessionId id,
      String clientName,
      String owner,
      BooleanSupplier ownerIsKnown,
      String countedAs) {
    long now = nanoTime.getAsLong();
    while (true) {
      Session session = sessions.get(id);
      if (session != null) {
        checkOwner(session, owner);
        if (session.renew(now, now + ttlNanos)) {
          session.openedBy(ownerIsKnown);
          return session;
        }
        endUnattended(session);
      }
      if (sessions.size() >= limits.sessions()) {
        throw new SessionException(
            Code.LIMIT, "the server has " + limits.sessions() + " sessions, which is its limit");
      }
      Holdings counted = countIn(countedAs);
      Session opened =
          new Session(
              id,
              nextIncarnation(),
              clientName,
              owner,
              ownerIsKnown,
              floors,
              relations,
              limits,
              all,
              counted,
              countedAs,
              now + ttlNanos);
      if (sessions.putIfAbsent(id, opened) == null) {
        return opened;
      }
      countOut(countedAs);
    }
  }

  private long nextIncarnation() {
    long next = incarnations.getAndIncrement();
    return next == 0 ? incarnations.getAndIncrement() : next;
  }

  private Holdings countIn(String countedAs) {
    return owners.compute(
        countedAs,
        (name, there) -> {
          Holdings holdings = there == null ? new Holdings() : there;
          int before = holdings.sessions.get();
          if (before >= limits.sessionsPerIdentity()) {
            throw new SessionException(
                Code.LIMIT,
                "there are "
                    + before
                    + " sessions of "
                    + (name.isEmpty() ? "clients that nobody asks who they are" : name)
                    + ", which is the limit");
          }
          holdings.sessions.incrementAndGet();
          return holdings;
        });
  }

  private void countOut(String countedAs) {
    owners.computeIfPresent(
        countedAs, (name, holdings) -> holdings.sessions.decrementAndGet() == 0 ? null : holdings);
  }

  private static void checkOwner(Session session, String owner) {
    if (!session.owner().equals(owner)) {
      throw SessionException.notOwner();
    }
  }

  /** Renews a session. Fails with NO_SUCH_SESSION and NOT_OWNER. */
  public Session keepAlive(SessionId id, String owner) {
    Session session = get(id, owner);
    long now = nanoTime.getAsLong();
    if (!session.renew(now, now + ttlNanos)) {
      endUnattended(session);
      throw SessionException.noSuchSession();
    }
    return session;
  }

  /** A session that is there. Fails with NO_SUCH_SESSION and NOT_OWNER. */
  public Session get(SessionId id, String owner) {
    Session session = sessions.get(id);
    if (session == null) {
      throw SessionException.noSuchSession();
    }
    if (session.isOver(nanoTime.getAsLong())) {
      endUnattended(session);
      throw SessionException.noSuchSession();
    }
    checkOwner(session, owner);
    return session;
  }

  /** A session that has not been ended yet, if only because nobody looked. */
  @Nullable Session find(SessionId id) {
    return sessions.get(id);
  }

  /** For how long {@link #mayBeAlive} says yes, if the session is not heard of. */
  long nanosToLive(SessionId id) {
    long now = nanoTime.getAsLong();
    Session session = sessions.get(id);
    return session == null ? startNanos + ttlNanos - now : session.nanosToLive(now);
  }

  /**
   * Whether the holder of a lease must be thought alive: it has a session, or may have had one at
   * the server before the last restart. Once this said no, the session is over for good.
   */
  public boolean mayBeAlive(SessionId id) {
    long now = nanoTime.getAsLong();
    Session session = sessions.get(id);
    if (session == null) {
      return now - startNanos < ttlNanos;
    }
    if (!session.isOver(now)) {
      return true;
    }
    endUnattended(session);
    return false;
  }

  /**
   * Whether the holder of a lease is over for good, for all servers. Once this said yes, it stays
   * so.
   */
  CompletableFuture<Boolean> isGone(SessionId id) {
    if (!neighbours.canBe()) {
      return CompletableFuture.completedFuture(!mayBeAlive(id));
    }
    Session session = sessions.get(id);
    if (session != null && !session.isOver(nanoTime.getAsLong())) {
      return CompletableFuture.completedFuture(false);
    }
    if (session != null) {
      endUnattended(session);
    }
    CompletableFuture<Void> given =
        ending.getOrDefault(id, CompletableFuture.completedFuture(null));
    return given.handle((done, error) -> id).thenCompose(neighbours::isDead);
  }

  /** Ends a session; complete when all it had is given back. Fails with NOT_OWNER. */
  public CompletableFuture<Void> close(SessionId id, String owner) {
    Session session = sessions.get(id);
    if (session == null) {
      return CompletableFuture.completedFuture(null);
    }
    checkOwner(session, owner);
    return end(session, true);
  }

  /** Ends the sessions whose time has come. To be called now and then. */
  public void expire() {
    long now = nanoTime.getAsLong();
    for (Session session : sessions.values()) {
      if (session.isOver(now)) {
        endUnattended(session);
      }
    }
  }

  /** Ends the sessions whose owners are not known any more, and so what they watch. */
  public void endOfUnknown() {
    for (Session session : sessions.values()) {
      if (!session.ownerIsKnown()) {
        endUnattended(session);
      }
    }
  }

  public int size() {
    return sessions.size();
  }

  /** Of all sessions together. */
  public long stagedBytes() {
    return all.stagedBytes.get();
  }

  /** Of all sessions together. */
  public int views() {
    return all.views.get();
  }

  /** Leases that live sessions were given. */
  public int leases() {
    return sessions.values().stream().mapToInt(session -> session.leases().size()).sum();
  }

  /** Whoever gives back what the session had reports what goes wrong. */
  private void endUnattended(Session session) {
    CompletableFuture<Void> unused = end(session, false);
  }

  private CompletableFuture<Void> end(Session session, boolean closed) {
    if (!session.end()) {
      return CompletableFuture.completedFuture(null);
    }
    CompletableFuture<Void> givenBack = new CompletableFuture<>();
    ending.put(session.id(), givenBack);
    sessions.remove(session.id(), session);
    countOut(session.countedAs());
    Watch watch = session.watch();
    if (watch != null) {
      watch.end(SessionException.noSuchSession());
    }
    // If it is not known, nothing is given back: it may live on at another server.
    CompletableFuture<Boolean> isOver =
        neighbours.ended(session.id(), closed).exceptionally(error -> false);
    CompletableFuture<Void> unused =
        whenEnded
            .giveBack(session, isOver)
            .whenComplete(
                (done, error) -> {
                  ending.remove(session.id(), givenBack);
                  if (error == null) {
                    givenBack.complete(null);
                  } else {
                    givenBack.completeExceptionally(error);
                  }
                });
    return givenBack;
  }
}
