package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Who was told that a head stays as it is for a moment. So long, nobody else gets the lease,
 * without which no head moves.
 *
 * <p>They are given where they cost nobody anything: not while somebody has the lease or asks for
 * it, nor soon after. They are in memory alone: see {@link #outlastAnother}. Thread-safe; under a
 * lock, nothing is called but the timer's schedule.
 */
public final class ReadDelegations {
  /** The longest that is given. */
  static final Duration LONGEST = Duration.ofMillis(100);

  /** So long after somebody had the lease, none are given: who writes now and then has no wait. */
  static final Duration REST = Duration.ofSeconds(1);

  /** Of one database, at a time. */
  static final int MOST = 64;

  private final LongSupplier nanoTime;
  private final ScheduledExecutorService timer;
  private volatile long notBeforeNanos;
  private final ConcurrentHashMap<DatabaseId, Known> databases = new ConcurrentHashMap<>();
  private final LongAdder waited = new LongAdder();

  /** One that was given. */
  record Delegation(SessionId session, long untilNanos) {}

  /** Changed within the map's compute alone. */
  private static final class Known {
    final List<Delegation> delegations = new ArrayList<>();

    /** How many have the lease in their hands, or wait for it. */
    int takers;

    boolean hasRest;
    long restUntilNanos;
  }

  /**
   * @param nanoTime a clock that goes as fast as those of the clients
   * @param timer whose thread also does what waits for the end of delegations
   */
  public ReadDelegations(LongSupplier nanoTime, ScheduledExecutorService timer) {
    this.nanoTime = nanoTime;
    this.timer = timer;
    notBeforeNanos = nanoTime.getAsLong();
  }

  /** Another server over the same store, which may have given some, has ended just now. */
  public void outlastAnother() {
    notBeforeNanos = nanoTime.getAsLong() + LONGEST.toNanos();
  }

  /**
   * From now on, for so long. The caller then looks whether somebody has the lease, {@link
   * #withdraw withdraws} it if so, and reads the head if not.
   *
   * @return null: none is given
   */
  @Nullable Delegation give(SessionId session, DatabaseId database, Duration length) {
    long now = nanoTime.getAsLong();
    Delegation delegation = new Delegation(session, now + length.toNanos());
    AtomicReference<@Nullable Delegation> added = new AtomicReference<>();
    databases.compute(
        database,
        (id, present) -> {
          Known known = present == null ? known(id) : present;
          known.delegations.removeIf(each -> each.untilNanos - now <= 0);
          boolean rests = known.hasRest && known.restUntilNanos - now > 0;
          if (known.takers == 0 && !rests && known.delegations.size() < MOST) {
            known.delegations.add(delegation);
            added.set(delegation);
          }
          return known;
        });
    return added.get();
  }

  /** Nobody was told of it, since somebody has the lease; no other is tried soon. */
  void withdraw(DatabaseId database, Delegation delegation) {
    databases.computeIfPresent(
        database,
        (id, known) -> {
          known.delegations.remove(delegation);
          rest(known);
          return known;
        });
  }

  /**
   * Does what may move the head, or lead to it: when all delegations have ended but those of the
   * session that does it. None are given before it is done.
   */
  <T> CompletableFuture<T> afterThem(
      DatabaseId database, @Nullable SessionId session, Supplier<CompletableFuture<T>> step) {
    long wait = enter(database, session);
    CompletableFuture<Void> over = new CompletableFuture<>();
    Runnable end = () -> over.complete(null);
    if (wait <= 0) {
      end.run();
    } else {
      waited.increment();
      ScheduledFuture<?> unused = timer.schedule(end, wait, TimeUnit.NANOSECONDS);
    }
    // Also when the step throws, it is over.
    return over.thenCompose(ended -> step.get()).whenComplete((value, error) -> leave(database));
  }

  /** How long to wait: nanoseconds. */
  private long enter(DatabaseId database, @Nullable SessionId session) {
    long now = nanoTime.getAsLong();
    long[] until = {notBeforeNanos};
    databases.compute(
        database,
        (id, present) -> {
          Known known = present == null ? known(id) : present;
          known.takers++;
          for (Delegation each : known.delegations) {
            if (!each.session.equals(session) && each.untilNanos - until[0] > 0) {
              until[0] = each.untilNanos;
            }
          }
          return known;
        });
    return until[0] - now;
  }

  private void leave(DatabaseId database) {
    databases.computeIfPresent(
        database,
        (id, known) -> {
          known.takers--;
          rest(known);
          return known;
        });
  }

  /** The lease was given back. */
  void rest(DatabaseId database) {
    databases.compute(
        database,
        (id, present) -> {
          Known known = present == null ? known(id) : present;
          rest(known);
          return known;
        });
  }

  private void rest(Known known) {
    known.hasRest = true;
    known.restUntilNanos = nanoTime.getAsLong() + REST.toNanos();
  }

  /** A new one, which is forgotten when there is nothing to know any more. */
  private Known known(DatabaseId database) {
    forgetLater(database);
    return new Known();
  }

  private void forgetLater(DatabaseId database) {
    ScheduledFuture<?> unused =
        timer.schedule(() -> forget(database), 2 * REST.toNanos(), TimeUnit.NANOSECONDS);
  }

  private void forget(DatabaseId database) {
    long now = nanoTime.getAsLong();
    Known left =
        databases.computeIfPresent(
            database,
            (id, known) -> {
              known.delegations.removeIf(each -> each.untilNanos - now <= 0);
              boolean rests = known.hasRest && known.restUntilNanos - now > 0;
              return known.delegations.isEmpty() && known.takers == 0 && !rests ? null : known;
            });
    if (left != null) {
      forgetLater(database);
    }
  }

  /** How long the longest of them lasts; for who is about to stop. */
  Duration left() {
    long now = nanoTime.getAsLong();
    long[] most = {0};
    databases
        .keySet()
        .forEach(
            database ->
                databases.computeIfPresent(
                    database,
                    (id, known) -> {
                      known.delegations.forEach(
                          each -> most[0] = Math.max(most[0], each.untilNanos - now));
                      return known;
                    }));
    return Duration.ofNanos(most[0]);
  }

  /** How many databases are known. */
  int size() {
    return databases.size();
  }

  /** How many times the end of some was waited for. */
  long waited() {
    return waited.sum();
  }
}
