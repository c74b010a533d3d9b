package dev.grpsqlite.server.session;

import dev.grpsqlite.server.session.LeaseAnswer.Outcome;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Function;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who gets a lease. The store keeps the leases and judges by epoch; this says which holders are
 * gone, and who is next. Thread-safe.
 */
public final class Leases {
  private static final Logger log = LoggerFactory.getLogger(Leases.class);

  /** How often a lease is looked at whose holder may be at another server. */
  private static final long LOOK_NANOS = TimeUnit.SECONDS.toNanos(1);

  private final PageStore store;
  private final Neighbours neighbours;
  private final ReadDelegations delegations;
  private final SessionTable sessions;
  private final Heads heads;
  private final LongSupplier nanoTime;
  private final ScheduledExecutorService timer;
  private final ConcurrentHashMap<DatabaseId, LeaseQueue> queues = new ConcurrentHashMap<>();
  private final LeaseQueue.Keeper keeper = new Keeper();

  /** Databases of which it is being found out whether they are dropped. */
  private final Map<DatabaseId, CompletableFuture<Void>> beingDropped = new ConcurrentHashMap<>();

  private final LeaseTurns turns = new LeaseTurns();
  private final LongAdder yieldsAsked = new LongAdder();
  private final LongAdder delegated = new LongAdder();
  private volatile boolean closed;
  private volatile Function<DatabaseId, CompletableFuture<Void>> dropUnlessCommitted =
      database -> CompletableFuture.completedFuture(null);

  /**
   * From here on, sessions of the table that end give back what they have in the store.
   *
   * @param nanoTime the clock of the sessions
   * @param timer whose thread also does what follows when a time is over
   */
  public Leases(
      AnnouncingStore store,
      SessionTable sessions,
      Heads heads,
      LongSupplier nanoTime,
      ScheduledExecutorService timer) {
    this.store = store;
    this.neighbours = store.neighbours();
    this.delegations = store.delegations();
    this.sessions = sessions;
    this.heads = heads;
    this.nanoTime = nanoTime;
    this.timer = timer;
    sessions.whenEnded(this::ended);
    store.whenLeaseMayBeFree(this::mayBeFree);
  }

  /**
   * What drops a database to which nothing was ever committed. Set once, before the first session.
   */
  void whenNeverCommitted(Function<DatabaseId, CompletableFuture<Void>> action) {
    dropUnlessCommitted = action;
  }

  /**
   * The lease of this database may be free. To be called after it was given back; where several
   * servers share an engine, also for what another one did.
   */
  public void mayBeFree(DatabaseId database) {
    LeaseQueue queue = queues.get(database);
    if (queue != null) {
      queue.poke();
    }
  }

  /** Takes the lease at once, if it is free or its holder is gone and nobody waits for it. */
  public CompletableFuture<LeaseAnswer> acquire(
      Session session, DatabaseId database, LeaseWish wish) {
    LeaseQueue queue = queues.get(database);
    if (queue == null || !queue.othersWait(session.id())) {
      return takeAndTell(session, database, wish);
    }
    // The holder itself may ask again; nobody else comes before those who wait.
    return store
        .lease(database)
        .thenCompose(
            state ->
                session.id().equals(state.holder())
                    ? takeAndTell(session, database, wish)
                    : CompletableFuture.completedFuture(LeaseAnswer.held(state)));
  }

  /**
   * Takes the lease when it is free and it is this session's turn, and asks whoever has it to
   * yield.
   *
   * @param cancelled completed when nobody wants the answer any more
   */
  public CompletableFuture<LeaseAnswer> acquire(
      Session session,
      DatabaseId database,
      LeaseWish wish,
      Duration wait,
      CompletableFuture<Void> cancelled) {
    if (wait.isZero() || wait.isNegative() || closed) {
      return acquire(session, database, wish);
    }
    AtomicReference<LeaseQueue.@Nullable Added> added = new AtomicReference<>();
    LeaseQueue queue =
        queues.compute(
            database,
            (id, present) -> {
              LeaseQueue found =
                  present == null ? new LeaseQueue(id, keeper, nanoTime, timer) : present;
              added.set(found.add(session, wish));
              return found;
            });
    LeaseQueue.Added place = Objects.requireNonNull(added.get());
    if (place.replaced() != null) {
      place.replaced().complete(place.held());
    }
    CompletableFuture<LeaseAnswer> answer = place.answer();
    if (answer == null) {
      return acquire(session, database, wish);
    }
    queue.poke();
    if (session.hasEnded()) {
      queue.end(session, SessionException.noSuchSession());
    } else if (closed) {
      queue.close(SessionException.shuttingDown());
    } else if (!answer.isDone()) {
      ScheduledFuture<?> timeout =
          timer.schedule(() -> queue.giveUp(session, answer), wait.toNanos(), TimeUnit.NANOSECONDS);
      CompletableFuture<Void> unused = cancelled.thenRun(() -> queue.leave(session, answer));
      return answer.whenComplete((told, error) -> timeout.cancel(false));
    }
    return answer;
  }

  private CompletableFuture<LeaseAnswer> takeAndTell(
      Session session, DatabaseId database, LeaseWish wish) {
    return take(session, database, wish)
        .thenCompose(
            answer ->
                !answer.isGranted() || session.leaseTold(database, answer.state().epoch())
                    ? CompletableFuture.completedFuture(answer)
                    : takeAndTell(session, database, wish));
  }

  private CompletableFuture<LeaseAnswer> take(
      Session session, DatabaseId database, LeaseWish wish) {
    return turns
        .inTurn(session.id(), database, () -> take(session, database))
        .thenCompose(
            state -> {
              if (!session.id().equals(state.holder())) {
                return CompletableFuture.completedFuture(LeaseAnswer.held(state));
              }
              if (wish.have().isEmpty()) {
                return CompletableFuture.completedFuture(
                    new LeaseAnswer(Outcome.GRANTED, state, null));
              }
              return atHead(session, database, wish, state);
            });
  }

  /** The lease is taken; only now does the head stand still. */
  private CompletableFuture<LeaseAnswer> atHead(
      Session session, DatabaseId database, LeaseWish wish, LeaseState state) {
    KnownVersion have = wish.have().orElseThrow();
    return heads
        .since(database, have)
        .exceptionallyCompose(
            error ->
                takeBack(session, database, state)
                    .thenCompose(now -> CompletableFuture.failedFuture(cause(error))))
        .thenCompose(
            move ->
                wish.atAnyVersion() || have.is(move.head())
                    ? CompletableFuture.completedFuture(
                        new LeaseAnswer(Outcome.GRANTED, state, move))
                    : takeBack(session, database, state)
                        .thenApply(now -> new LeaseAnswer(Outcome.HEAD_MOVED, now, move)));
  }

  /** Gives a lease back, unless a request of the session was told of it. */
  private CompletableFuture<LeaseState> takeBack(
      Session session, DatabaseId database, LeaseState state) {
    return session.leaseTakenBack(database, state.epoch())
        ? store
            .releaseLease(database, session.id(), state.epoch())
            .thenApply(released -> new LeaseState(state.epoch(), null))
        : CompletableFuture.completedFuture(state);
  }

  /**
   * Tries it at the store, once. In turn, also with earlier sessions of the same id: so what is
   * found in this id's hands is this session's, or was left by one that has ended.
   */
  private CompletableFuture<LeaseState> take(Session session, DatabaseId database) {
    return store
        .lease(database)
        .thenCompose(
            found ->
                displaced(session, database, found)
                    .thenCompose(
                        displaced -> {
                          if (session.hasEnded()) {
                            throw SessionException.noSuchSession();
                          }
                          return store
                              .acquireLease(database, session.id(), displaced)
                              .thenCompose(state -> noted(session, database, found, state));
                        }));
  }

  private CompletableFuture<Optional<LeaseState>> displaced(
      Session session, DatabaseId database, LeaseState found) {
    SessionId holder = found.holder();
    if (holder == null) {
      return CompletableFuture.completedFuture(Optional.empty());
    }
    if (holder.equals(session.id())) {
      // What was given to an earlier session of this id may still be given back, or taken away.
      return CompletableFuture.completedFuture(
          session.wasGranted(database, found.epoch()) ? Optional.empty() : Optional.of(found));
    }
    return sessions
        .isGone(holder)
        .thenApply(
            gone -> {
              if (!gone) {
                return Optional.empty();
              }
              log.info("the holder {} of the lease of {} is gone", holder, database);
              return Optional.of(found);
            });
  }

  private CompletableFuture<LeaseState> noted(
      Session session, DatabaseId database, LeaseState found, LeaseState state) {
    boolean isMine = session.id().equals(state.holder());
    if (!isMine || state.epoch() != found.epoch()) {
      // What this session may have had is over.
      session
          .leaseEpoch(database)
          .ifPresent(
              epoch -> {
                if (isMine) {
                  session.leaseReleased(database, epoch);
                } else {
                  session.leaseLost(database, epoch);
                }
              });
    }
    if (!isMine || state.equals(found) || session.leaseGranted(database, state.epoch())) {
      return CompletableFuture.completedFuture(state);
    }
    // The session ended in the meantime.
    return store
        .releaseLease(database, session.id(), state.epoch())
        .thenApply(
            released -> {
              throw SessionException.noSuchSession();
            });
  }

  /** Gives a lease back; succeeds also if the session does not have it. */
  public CompletableFuture<Void> release(Session session, DatabaseId database, long epoch) {
    session.leaseReleased(database, epoch);
    return store.releaseLease(database, session.id(), epoch);
  }

  /**
   * Has the head stay as it is for a moment from now on, but for what this session does; so the
   * head is to be read after this. Not where other servers could move it, nor while somebody has
   * the lease.
   *
   * @return for how many milliseconds; at most as many as wished, and 0 if not at all
   */
  public CompletableFuture<Integer> delegateReads(
      Session session, DatabaseId database, int wishedMs) {
    int lengthMs = (int) Math.min(wishedMs, ReadDelegations.LONGEST.toMillis());
    if (lengthMs <= 0 || closed || neighbours.canBe()) {
      return CompletableFuture.completedFuture(0);
    }
    ReadDelegations.Delegation given =
        delegations.give(session.id(), database, Duration.ofMillis(lengthMs));
    if (given == null) {
      return CompletableFuture.completedFuture(0);
    }
    return store
        .lease(database)
        .handle(
            (state, error) -> {
              if (error == null && state.holder() == null) {
                delegated.increment();
                return lengthMs;
              }
              delegations.withdraw(database, given);
              return 0;
            });
  }

  /** For how long heads were delegated to readers yet. */
  public Duration delegatedYet() {
    return delegations.left();
  }

  /** How often reads were delegated. */
  public long delegated() {
    return delegated.sum();
  }

  /** How often a lease was granted, or a database dropped, later for that. */
  public long waitedForReaders() {
    return delegations.waited();
  }

  /** Whether somebody who may be alive has the lease. */
  public CompletableFuture<Boolean> isHeld(DatabaseId database) {
    return store
        .lease(database)
        .thenCompose(
            state ->
                state.holder() == null
                    ? CompletableFuture.completedFuture(false)
                    : sessions.isGone(state.holder()).thenApply(gone -> !gone));
  }

  /** Whether a holder hears of it when it is asked to yield. */
  boolean canBeAsked(SessionId holder) {
    Session session = sessions.find(holder);
    return neighbours.canBe() || (session != null && session.watch() != null);
  }

  /** Asks a holder to yield, for somebody at another server. */
  public void wantedElsewhere(SessionId holder, DatabaseId database, long epoch) {
    Session session = sessions.find(holder);
    Watch watch = session == null ? null : session.watch();
    if (watch != null) {
      yieldsAsked.increment();
      watch.leaseWanted(database, epoch);
    }
  }

  /** Tells a watch that was just opened which leases of its session others wait for. */
  void tellWanted(Session session, Watch watch) {
    queues.forEach(
        (database, queue) -> {
          LeaseState state = queue.wantedOf(session.id());
          if (state != null) {
            yieldsAsked.increment();
            watch.leaseWanted(database, state.epoch());
          }
        });
  }

  /** Calls that wait for a lease. */
  public int waiting() {
    return queues.values().stream().mapToInt(LeaseQueue::waiting).sum();
  }

  /** How often a holder was asked to yield. */
  public long yieldsAsked() {
    return yieldsAsked.sum();
  }

  /** Answers those who wait that the server is shutting down; from here on, nobody waits. */
  public void close() {
    closed = true;
    queues.values().forEach(queue -> queue.close(SessionException.shuttingDown()));
  }

  /**
   * Looks whether a database is wanted, and drops it if not. Who opens it meanwhile either is seen
   * by that look, for it has entered its view, or waits here for what comes of it.
   */
  CompletableFuture<Void> dropping(DatabaseId database, Supplier<CompletableFuture<Void>> drop) {
    CompletableFuture<Void> over = new CompletableFuture<>();
    beingDropped.put(database, over);
    return CompletableFuture.completedFuture(database)
        .thenCompose(begun -> drop.get())
        .whenComplete(
            (dropped, error) -> {
              beingDropped.remove(database, over);
              over.complete(null);
            });
  }

  /** To be asked between entering a view and reading what there is. */
  public CompletableFuture<Void> whenNotBeingDropped(DatabaseId database) {
    return beingDropped.getOrDefault(database, CompletableFuture.completedFuture(null));
  }

  private CompletableFuture<Void> ended(Session session, CompletableFuture<Boolean> isOver) {
    List<LeaseQueue> others = new ArrayList<>();
    queues.forEach(
        (database, queue) -> {
          queue.end(session, SessionException.noSuchSession());
          if (queue.wantedOf(session.id()) != null) {
            others.add(queue);
          }
        });
    // Also of a lease from before a restart, of which the session did not know.
    return isOver
        .thenCompose(
            over -> over ? giveBack(session) : CompletableFuture.<Void>completedFuture(null))
        .whenComplete((done, error) -> others.forEach(LeaseQueue::poke));
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
        .thenCompose(done -> dropUncommitted(session))
        .whenComplete(
            (done, error) -> {
              if (error != null) {
                report(session, cause(error));
              }
            });
  }

  /**
   * Behind all else: who waits for the lease of one of them gets it first, and keeps it. What
   * cannot be dropped stays, empty.
   */
  private CompletableFuture<Void> dropUncommitted(Session session) {
    return CompletableFuture.allOf(
        session.droppedUnlessCommitted().stream()
            .map(
                database ->
                    dropUnlessCommitted
                        .apply(database)
                        .handle(
                            (dropped, error) -> {
                              if (error != null) {
                                report(session, cause(error));
                              }
                              return database;
                            }))
            .toArray(CompletableFuture<?>[]::new));
  }

  private static void report(Session session, Throwable error) {
    if (error instanceof StoreException e && e.code() == StoreException.Code.NO_SUCH_DATABASE) {
      return; // It was dropped, and its lease with it.
    }
    log.warn("not all that session {} had was given back", session.id(), error);
  }

  private static Throwable cause(Throwable error) {
    Throwable cause = error.getCause();
    return error instanceof CompletionException && cause != null ? cause : error;
  }

  private final class Keeper implements LeaseQueue.Keeper {
    @Override
    public CompletableFuture<LeaseAnswer> take(
        Session session, DatabaseId database, LeaseWish wish) {
      return Leases.this.take(session, database, wish);
    }

    @Override
    public void giveBack(Session session, DatabaseId database, long epoch) {
      CompletableFuture<LeaseState> unused =
          takeBack(session, database, new LeaseState(epoch, session.id()))
              .whenComplete(
                  (released, error) -> {
                    if (error != null) {
                      report(session, cause(error));
                    }
                  });
    }

    @Override
    public long ask(SessionId holder, DatabaseId database, long epoch) {
      Session session = sessions.find(holder);
      Watch watch = session == null ? null : session.watch();
      if (watch != null) {
        yieldsAsked.increment();
        watch.leaseWanted(database, epoch);
      }
      if (!neighbours.canBe()) {
        return sessions.nanosToLive(holder);
      }
      if (watch == null) {
        neighbours.askToYield(holder, database, epoch);
      }
      neighbours.watchLease(database);
      long look = Math.min(LOOK_NANOS, sessions.ttl().toNanos());
      return session == null ? look : Math.min(look, sessions.nanosToLive(holder));
    }

    @Override
    public void forget(DatabaseId database) {
      queues.computeIfPresent(database, (id, queue) -> queue.isEmpty() ? null : queue);
    }
  }
}
