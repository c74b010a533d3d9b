package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Who waits for the lease of one database, in the order in which they came.
 *
 * <p>A session has one place. It is there while a call of it waits; when the call has been answered
 * that the lease is held, or that the head moved, it is away: it keeps its place for a second, so
 * that SQLite's busy handler may sleep and come back, and is passed over in the meantime.
 *
 * <h2>Who gets it</h2>
 *
 * The queue knows nothing of the lease but what the store answers. It tries to take it for the
 * first who is there whenever something happened that may have made it free ({@link #poke}): it was
 * given back, its holder's session ended or reached its end, the database is gone, somebody came.
 * One try is made at a time. If somebody else turns out to have it, that one is asked to yield. If
 * it was taken, the next try, for who is now the first, finds the new holder and asks it at once.
 *
 * <h2>Threads</h2>
 *
 * One thread at a time takes the steps that are possible, as in {@link Watch#advance}. The monitor
 * guards the places; neither the store nor whoever waits for an answer is called under it.
 */
final class LeaseQueue {
  /** More are not served any sooner by waiting in here; each takes some 300 bytes. */
  static final int MAX_PLACES = 1024;

  /** Longer than SQLite's busy handler ever sleeps (0.1 s), with time for a slow client. */
  private static final long PLACE_NANOS = TimeUnit.SECONDS.toNanos(1);

  private static final long MIN_LOOK_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

  /** What the queue needs of who keeps the leases. */
  interface Keeper {
    /** Tries to take the lease, once. Who is told of it is noted in the session first. */
    CompletableFuture<LeaseAnswer> take(Session session, DatabaseId database, LeaseWish wish);

    /** Gives a lease back, unless a request of the session was told of it. */
    void giveBack(Session session, DatabaseId database, long epoch);

    /** Asks a holder to yield, and says how long it may live without being heard of. */
    long ask(SessionId holder, DatabaseId database, long epoch);

    /** The queue may be empty, and then it is of no use. */
    void forget(DatabaseId database);
  }

  private final DatabaseId database;
  private final Keeper keeper;
  private final LongSupplier nanoTime;
  private final ScheduledExecutorService timer;

  private final AtomicInteger calls = new AtomicInteger();
  private final AtomicBoolean poked = new AtomicBoolean();
  private final AtomicReference<@Nullable Try> finishedTry = new AtomicReference<>();

  private record Try(Waiter waiter, @Nullable LeaseAnswer answer, @Nullable Throwable error) {}

  /** One call that waits. */
  private record Waiter(Session session, LeaseWish wish, CompletableFuture<LeaseAnswer> answer) {}

  private static final class Place {
    /** Null: away. */
    @Nullable Waiter waiter;

    /** If away. */
    long keptUntilNanos;

    /** Its time is over, but the store has not said yet whether somebody else has the lease. */
    boolean overdue;
  }

  // Under the monitor. Older places are in front.
  private final Map<SessionId, Place> places = new LinkedHashMap<>();
  private LeaseState lastKnown = new LeaseState(0, null);

  /** For whom the store is asked at the moment. */
  private @Nullable Waiter tried;

  // Of the thread that takes steps.
  private boolean trying;
  private boolean held;

  /** The try before found that the holder is one of those who wait. */
  private boolean holderIsHere;

  private @Nullable ScheduledFuture<?> holdersEnd;

  LeaseQueue(
      DatabaseId database, Keeper keeper, LongSupplier nanoTime, ScheduledExecutorService timer) {
    this.database = database;
    this.keeper = keeper;
    this.nanoTime = nanoTime;
    this.timer = timer;
  }

  /**
   * A call that was added.
   *
   * @param answer will be completed; null if there was no place left
   * @param replaced an earlier call of the same session, to be answered {@code held}
   */
  record Added(
      @Nullable CompletableFuture<LeaseAnswer> answer,
      @Nullable CompletableFuture<LeaseAnswer> replaced,
      LeaseAnswer held) {}

  /** Takes a place for a call, or comes back to it. Calls nobody. */
  synchronized Added add(Session session, LeaseWish wish) {
    dropOldPlaces();
    LeaseAnswer held = LeaseAnswer.held(lastKnown);
    Place place = places.get(session.id());
    if (place == null) {
      if (places.size() >= MAX_PLACES) {
        return new Added(null, null, held);
      }
      place = new Place();
      places.put(session.id(), place);
    }
    Waiter before = place.waiter;
    Waiter waiter = new Waiter(session, wish, new CompletableFuture<>());
    place.waiter = waiter;
    place.overdue = false;
    return new Added(waiter.answer, before == null ? null : before.answer, held);
  }

  /**
   * Answers a call that the lease is held, unless it has been answered; its place is kept. If the
   * store is being asked for it this moment, what the store says is the answer: a lease that is
   * free must not be called held because a disk is slow. Nor must one that the session itself was
   * last known to have: whether it has it still is what the store says next.
   */
  void giveUp(Session session, CompletableFuture<LeaseAnswer> answer) {
    LeaseAnswer held = null;
    synchronized (this) {
      Place place = places.get(session.id());
      if (place == null || place.waiter == null || place.waiter.answer != answer) {
        return;
      }
      if (place.waiter.equals(tried)) {
        place.overdue = true;
        return;
      }
      if (session.id().equals(lastKnown.holder())) {
        place.overdue = true;
      } else {
        goAway(place);
        held = LeaseAnswer.held(lastKnown);
      }
    }
    if (held == null) {
      poke();
    } else {
      answer.complete(held);
    }
  }

  private void goAway(Place place) {
    place.waiter = null;
    place.overdue = false;
    place.keptUntilNanos = nanoTime.getAsLong() + PLACE_NANOS;
    ScheduledFuture<?> unused =
        timer.schedule(() -> keeper.forget(database), PLACE_NANOS, TimeUnit.NANOSECONDS);
  }

  /** A call was cancelled; nobody hears the answer, and no place is kept. */
  void leave(Session session, CompletableFuture<LeaseAnswer> answer) {
    LeaseState state;
    synchronized (this) {
      Place place = places.get(session.id());
      if (place == null || place.waiter == null || place.waiter.answer != answer) {
        return;
      }
      places.remove(session.id());
      state = lastKnown;
    }
    answer.complete(LeaseAnswer.held(state));
    keeper.forget(database);
  }

  /** The session ended, and its place with it. */
  void end(Session session, Throwable reason) {
    Place place;
    synchronized (this) {
      place = places.remove(session.id());
    }
    if (place != null && place.waiter != null) {
      place.waiter.answer.completeExceptionally(reason);
    }
    keeper.forget(database);
  }

  /** Answers everybody. */
  void close(Throwable reason) {
    List<Waiter> left = new ArrayList<>();
    synchronized (this) {
      for (Place place : places.values()) {
        if (place.waiter != null) {
          left.add(place.waiter);
        }
      }
      places.clear();
    }
    left.forEach(waiter -> waiter.answer.completeExceptionally(reason));
    keeper.forget(database);
  }

  synchronized boolean isEmpty() {
    dropOldPlaces();
    return places.isEmpty();
  }

  private void dropOldPlaces() {
    long now = nanoTime.getAsLong();
    places.values().removeIf(place -> place.waiter == null && now - place.keptUntilNanos >= 0);
  }

  synchronized int waiting() {
    return (int) places.values().stream().filter(place -> place.waiter != null).count();
  }

  /** Whether anybody else is there. */
  synchronized boolean othersWait(SessionId session) {
    for (Map.Entry<SessionId, Place> entry : places.entrySet()) {
      if (entry.getValue().waiter != null && !entry.getKey().equals(session)) {
        return true;
      }
    }
    return false;
  }

  /** The lease that this session was last known to have while somebody waits, or null. */
  synchronized @Nullable LeaseState wantedOf(SessionId session) {
    return session.equals(lastKnown.holder()) && othersWait(session) ? lastKnown : null;
  }

  /** Something happened that may have made the lease free, or somebody came. */
  void poke() {
    poked.set(true);
    advance();
  }

  private void advance() {
    if (calls.getAndIncrement() != 0) {
      return; // The thread that is in here takes another round.
    }
    int seen = 1;
    do {
      while (step()) {
        // As far as it goes.
      }
      seen = calls.addAndGet(-seen);
    } while (seen != 0);
  }

  /** Returns whether another step may be possible. */
  private boolean step() {
    Try finished = finishedTry.getAndSet(null);
    if (finished != null) {
      trying = false;
      held = false;
      if (finished.answer != null) {
        answered(finished.waiter, finished.answer);
      } else {
        failed(finished);
      }
      return true;
    }
    // A poke that comes during a try is for the next one.
    if (trying || (!poked.getAndSet(false) && held)) {
      return false;
    }
    Waiter next = next();
    if (next == null) {
      held = false;
      stopWaitingForTheHoldersEnd();
      keeper.forget(database);
      return false;
    }
    trying = true;
    CompletableFuture<LeaseAnswer> unused =
        keeper
            .take(next.session, database, next.wish)
            .whenComplete(
                (answer, error) -> {
                  finishedTry.set(new Try(next, answer, error));
                  advance();
                });
    return true;
  }

  /** Whom to ask the store for. */
  private synchronized @Nullable Waiter next() {
    tried = first();
    return tried;
  }

  /** The first who is there; but a holder that asks again gets what it has. Under the monitor. */
  private @Nullable Waiter first() {
    SessionId holder = holderIsHere ? lastKnown.holder() : null;
    holderIsHere = false;
    Place holders = holder == null ? null : places.get(holder);
    if (holders != null && holders.waiter != null) {
      return holders.waiter;
    }
    for (Place place : places.values()) {
      if (place.waiter != null) {
        return place.waiter;
      }
    }
    return null;
  }

  private void answered(Waiter waiter, LeaseAnswer answer) {
    boolean heard;
    List<Waiter> overdue;
    synchronized (this) {
      tried = null;
      lastKnown = answer.state();
      Place place = places.get(waiter.session.id());
      heard = place != null && waiter.equals(place.waiter);
      if (heard
          && answer.isGranted()
          && !waiter.session.leaseTold(database, answer.state().epoch())) {
        poked.set(true); // It is gone again; the next try says what there is now.
        return;
      }
      if (place != null && heard) {
        switch (answer.outcome()) {
          case GRANTED -> places.remove(waiter.session.id());
          case HEAD_MOVED -> goAway(place);
          case HELD -> {}
        }
      }
      Place holders = lastKnown.holder() == null ? null : places.get(lastKnown.holder());
      holderIsHere =
          answer.outcome() == LeaseAnswer.Outcome.HELD && holders != null && holders.waiter != null;
      overdue = sendOverdueAway();
    }
    LeaseAnswer heldNow = LeaseAnswer.held(answer.state());
    overdue.forEach(each -> each.answer.complete(heldNow));
    if (answer.outcome() == LeaseAnswer.Outcome.HELD) {
      if (!holderIsHere) {
        held = true;
        waitFor(answer.state());
      }
    } else if (heard) {
      waiter.answer.complete(answer);
    } else if (answer.isGranted()) {
      // It was given up in the meantime.
      keeper.giveBack(waiter.session, database, answer.state().epoch());
    }
  }

  /** Of all but whoever has the lease now, and is asked for next. Under the monitor. */
  private List<Waiter> sendOverdueAway() {
    List<Waiter> overdue = new ArrayList<>();
    places.forEach(
        (session, place) -> {
          if (place.overdue && place.waiter != null && !session.equals(lastKnown.holder())) {
            overdue.add(place.waiter);
            goAway(place);
          }
        });
    return overdue;
  }

  private void failed(Try finished) {
    List<Waiter> unanswered = new ArrayList<>();
    synchronized (this) {
      tried = null;
      Place place = places.get(finished.waiter.session.id());
      if (place != null && finished.waiter.equals(place.waiter)) {
        places.remove(finished.waiter.session.id());
        unanswered.add(finished.waiter);
      }
      unanswered.addAll(sendOverdueAway());
    }
    Throwable error = finished.error == null ? new AssertionError() : finished.error;
    unanswered.forEach(waiter -> waiter.answer.completeExceptionally(error));
  }

  /** Asks the holder, and looks again when its time is over, if it has not been heard of. */
  private void waitFor(LeaseState state) {
    stopWaitingForTheHoldersEnd();
    SessionId holder = state.holder();
    if (holder != null) {
      long nanos = Math.max(keeper.ask(holder, database, state.epoch()), MIN_LOOK_NANOS);
      holdersEnd = timer.schedule(this::poke, nanos, TimeUnit.NANOSECONDS);
    }
  }

  private void stopWaitingForTheHoldersEnd() {
    ScheduledFuture<?> before = holdersEnd;
    if (before != null) {
      before.cancel(false);
      holdersEnd = null;
    }
  }
}
