package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What one session is told, as fast as it takes it.
 *
 * <h2>Bounds</h2>
 *
 * Nothing that happens makes anything grow: of each database it is known which version was told
 * last and whether there may be a newer one, of each lease one wish and one loss. What has to be
 * told is worked out when the client has room for it, so a client that is slow is told of many
 * commits at once.
 *
 * <h2>Why a moment that is confirmed is true</h2>
 *
 * {@code due} is first in, first out, and all that is in it was put there under the monitor.
 *
 * <ol>
 *   <li>A commit that was acknowledged before moment <i>t</i> called {@link #headMayHaveMoved}
 *       before that, which returned with the database in {@code due}, whoever put it there.
 *   <li>The moment is read from the clock and put into {@code due} in one, so the database is ahead
 *       of it, or was taken out already.
 *   <li>A database is taken out before its head is asked for. If it was taken out after the call,
 *       the head that is then found has the commit, for it was applied before the call. If it was
 *       taken out before the call, the call put it there again.
 *   <li>The next element is taken only when the one before has been told.
 * </ol>
 *
 * So whatever was acknowledged before <i>t</i> is told before <i>t</i> is. A database whose head
 * was not known at the start is in {@code due} from the start, ahead of the first moment, and the
 * watch was entered with {@link Heads} before that.
 *
 * <p>Where other servers have the same engine open, nobody calls this one before a commit is
 * acknowledged there. So every database is {@code due} again ahead of each moment, and what was
 * acknowledged before the moment is found when its head is asked for, after it.
 *
 * <h2>What the client may not read any more</h2>
 *
 * Of each event the watcher is asked whether it may be told, just before it is. When its rights may
 * have changed, every database is {@code due} again ahead of the next moment, so that none is
 * confirmed that may not be read.
 *
 * <h2>Threads</h2>
 *
 * Whatever happens (a commit, room, a found head, the end) calls {@link #advance}; one thread at a
 * time takes the steps that are then possible. The monitor guards the books, and nothing is called
 * under it.
 */
public final class Watch {
  private final Heads heads;
  private final Watcher watcher;
  private final LongSupplier nanoTime;
  private final long startNanos;

  private final CompletableFuture<Void> over = new CompletableFuture<>();

  /** Before that, its databases are not heard of. */
  private volatile boolean listening;

  private final AtomicInteger calls = new AtomicInteger();
  private final AtomicReference<@Nullable Runnable> arrival = new AtomicReference<>();

  // Under the monitor.
  private final Map<DatabaseId, Known> databases = new HashMap<>();
  private final ArrayDeque<Due> due = new ArrayDeque<>();
  private boolean momentIsDue;
  private final Map<DatabaseId, Long> lost = new LinkedHashMap<>();
  private final Map<DatabaseId, Long> wanted = new LinkedHashMap<>();
  private @Nullable Throwable end;

  // Of the thread that is in advance().
  private boolean asking;
  private boolean finished;

  private sealed interface Due permits Known, Moment {}

  private static final class Known implements Due {
    final DatabaseId id;

    /** What the client was told last. Of the thread that is in advance(). */
    KnownVersion told;

    /** It is in {@code due}. Under the monitor. */
    boolean isDue = true;

    Known(DatabaseId id, KnownVersion told) {
      this.id = id;
      this.told = told;
    }
  }

  private record Moment(long elapsedMillis) implements Due {}

  /**
   * @param have of each database, the version that the client has
   * @param startNanos when the client's request was received, on the clock {@code nanoTime}
   */
  Watch(
      Heads heads,
      Watcher watcher,
      LongSupplier nanoTime,
      long startNanos,
      Map<DatabaseId, KnownVersion> have) {
    this.heads = heads;
    this.watcher = watcher;
    this.nanoTime = nanoTime;
    this.startNanos = startNanos;
    have.forEach(
        (id, version) -> {
          Known known = new Known(id, version);
          databases.put(id, known);
          due.add(known);
        });
  }

  /** Begins to tell. To be called once. */
  void listen() {
    List<DatabaseId> watched = watched();
    watched.forEach(id -> heads.add(id, this));
    if (isOver()) {
      watched.forEach(id -> heads.remove(id, this)); // It ended in between.
    }
    listening = true;
    confirm();
  }

  /** Complete when it has ended, if not told so yet. */
  CompletableFuture<Void> over() {
    return over;
  }

  private synchronized List<DatabaseId> watched() {
    return List.copyOf(databases.keySet());
  }

  /** On return, what there is to tell of this database will be told before any later moment. */
  void headMayHaveMoved(DatabaseId database) {
    synchronized (this) {
      Known known = databases.get(database);
      if (known == null || known.isDue) {
        return; // Its head has still to be asked for.
      }
      setDue(known);
    }
    advance();
  }

  private synchronized void setDue(Known known) {
    known.isDue = true;
    due.add(known);
  }

  /** A moment to confirm has come. It is skipped if the client does not even take the last one. */
  void confirm() {
    boolean askAll = watcher.rightsMayHaveChanged() || heads.areShared();
    synchronized (this) {
      if (askAll) {
        databases.values().stream().filter(known -> !known.isDue).forEach(this::setDue);
      }
      if (!momentIsDue) {
        momentIsDue = true;
        due.add(new Moment(TimeUnit.NANOSECONDS.toMillis(nanoTime.getAsLong() - startNanos)));
      }
    }
    advance();
  }

  void leaseWanted(DatabaseId database, long epoch) {
    synchronized (this) {
      wanted.put(database, epoch);
    }
    advance();
  }

  void leaseLost(DatabaseId database, long epoch) {
    synchronized (this) {
      wanted.remove(database, epoch);
      lost.put(database, epoch);
    }
    advance();
  }

  /** Ends it; the first reason stays. */
  public void end(Throwable reason) {
    List<DatabaseId> watched;
    synchronized (this) {
      if (end != null) {
        return;
      }
      end = reason;
      watched = watched();
      databases.clear();
      due.clear();
    }
    watched.forEach(id -> heads.remove(id, this));
    over.complete(null);
    advance();
  }

  synchronized boolean isOver() {
    return end != null;
  }

  /** Takes the steps that are possible. */
  public void advance() {
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
    if (finished) {
      return false;
    }
    Throwable reason = reason();
    if (reason != null) {
      finished = true;
      watcher.ended(reason);
      return false;
    }
    Runnable arrived = arrival.getAndSet(null);
    if (arrived != null) {
      asking = false;
      arrived.run();
      return true;
    }
    if (!listening || asking || !watcher.isReady()) {
      return false;
    }
    if (askOfALease()) {
      return true;
    }
    Due next = takeDue();
    if (next instanceof Moment moment) {
      watcher.confirmed(moment.elapsedMillis);
    } else if (next instanceof Known known) {
      asking = true;
      CompletableFuture<Heads.Move> unused =
          heads
              .since(known.id, known.told)
              .thenCompose(move -> watcher.whenAllowed(known.id).thenApply(allowed -> move))
              .whenComplete((move, error) -> arrived(() -> tell(known, move, error)));
    }
    return next != null;
  }

  private void arrived(Runnable telling) {
    arrival.set(telling);
    advance();
  }

  private synchronized @Nullable Throwable reason() {
    return end;
  }

  private synchronized @Nullable Due takeDue() {
    Due next = due.poll();
    if (next instanceof Known known) {
      known.isDue = false;
    } else if (next != null) {
      momentIsDue = false;
    }
    return next;
  }

  private boolean askOfALease() {
    Map.Entry<DatabaseId, Long> loss;
    Map.Entry<DatabaseId, Long> wish = null;
    synchronized (this) {
      loss = takeFirst(lost);
      if (loss == null) {
        wish = takeFirst(wanted);
      }
    }
    if (loss != null) {
      askOfALease(loss.getKey(), () -> watcher.leaseLost(loss.getKey(), loss.getValue()));
    } else if (wish != null) {
      Map.Entry<DatabaseId, Long> wished = wish;
      askOfALease(wished.getKey(), () -> watcher.leaseWanted(wished.getKey(), wished.getValue()));
    }
    return asking;
  }

  private void askOfALease(DatabaseId database, Runnable telling) {
    asking = true;
    CompletableFuture<Boolean> unused =
        watcher
            .whenAllowed(database)
            .whenComplete(
                (allowed, error) ->
                    arrived(
                        () -> {
                          if (error == null) {
                            telling.run();
                          } else {
                            end(error);
                          }
                        }));
  }

  private static Map.@Nullable Entry<DatabaseId, Long> takeFirst(Map<DatabaseId, Long> from) {
    if (from.isEmpty()) {
      return null;
    }
    Map.Entry<DatabaseId, Long> first = Map.Entry.copyOf(from.entrySet().iterator().next());
    from.remove(first.getKey());
    return first;
  }

  private void tell(Known known, Heads.@Nullable Move move, @Nullable Throwable error) {
    if (move != null) {
      if (!known.told.is(move.head())) {
        long from = known.told.version();
        known.told = KnownVersion.of(move.head());
        watcher.headMoved(known.id, from, move);
      }
    } else if (isNoSuchDatabase(error)) {
      synchronized (this) {
        databases.remove(known.id);
        if (known.isDue) {
          due.remove(known);
        }
      }
      heads.remove(known.id, this);
      watcher.dropped(known.id);
    } else {
      end(error == null ? new AssertionError() : error);
    }
  }

  private static boolean isNoSuchDatabase(@Nullable Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    return cause instanceof StoreException e && e.code() == StoreException.Code.NO_SUCH_DATABASE;
  }
}
