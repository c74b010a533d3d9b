package dev.grpsqlite.server.session;

import dev.grpsqlite.server.session.SessionException.Code;
import dev.grpsqlite.server.spi.DatabaseId;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/** The watches of a server: at most one a session. Thread-safe. */
public final class Watches {
  /** Each takes some 200 bytes here. */
  public static final int MAX_DATABASES = 65_536;

  /** More often is of no use to a reader, and work for the one thread that does it. */
  private static final Duration MIN_PERIOD = Duration.ofMillis(10);

  private final Heads heads;
  private final SessionTable sessions;
  private final Leases leases;
  private final LongSupplier nanoTime;
  private final ScheduledExecutorService timer;
  private final Set<Watch> open = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  /**
   * @param timer whose thread also does what a confirmation takes
   */
  public Watches(
      Heads heads,
      SessionTable sessions,
      Leases leases,
      LongSupplier nanoTime,
      ScheduledExecutorService timer) {
    this.heads = heads;
    this.sessions = sessions;
    this.leases = leases;
    this.nanoTime = nanoTime;
    this.timer = timer;
  }

  /** Fails with LIMIT if a stream is to watch more databases than it can. */
  public static void checkSize(int databases) {
    if (databases > MAX_DATABASES) {
      throw new SessionException(
          Code.LIMIT, "a stream watches " + MAX_DATABASES + " databases at most");
    }
  }

  /**
   * Makes a watch for a session, which ends the one that it has. It tells nothing before {@link
   * #start}, but that it is over, if the session is or the server is about to be.
   *
   * @param have of each database of interest, the version that the client has
   * @throws SessionException LIMIT
   */
  public Watch open(Session session, Map<DatabaseId, KnownVersion> have, Watcher watcher) {
    long startNanos = nanoTime.getAsLong();
    checkSize(have.size());
    Watch watch = new Watch(heads, watcher, nanoTime, startNanos, have);
    open.add(watch);
    CompletableFuture<Void> unused = watch.over().thenRun(() -> over(session, watch));
    try {
      if (closed) {
        throw SessionException.shuttingDown();
      }
      Watch before = session.attach(watch);
      if (before != null) {
        before.end(SessionException.superseded());
      }
      // Who loses a lease, or finds it held, from here on, finds this watch.
      session.lostLeases().forEach(watch::leaseLost);
      leases.tellWanted(session, watch);
    } catch (SessionException e) {
      watch.end(e);
    }
    return watch;
  }

  /** Tells what there is to tell, and from then on whatever comes. To be called once. */
  public void start(Watch watch, Duration confirmEvery) {
    watch.listen();
    long period = period(confirmEvery).toNanos();
    ScheduledFuture<?> ticks =
        timer.scheduleWithFixedDelay(watch::confirm, period, period, TimeUnit.NANOSECONDS);
    CompletableFuture<Void> unused = watch.over().thenRun(() -> ticks.cancel(false));
  }

  private Duration period(Duration wanted) {
    Duration rare = sessions.ttl().dividedBy(3);
    if (wanted.isZero() || wanted.compareTo(rare) > 0) {
      return rare;
    }
    return wanted.compareTo(MIN_PERIOD) < 0 ? MIN_PERIOD : wanted;
  }

  private void over(Session session, Watch watch) {
    open.remove(watch);
    session.detach(watch);
  }

  public int size() {
    return open.size();
  }

  /** Ends all, and whatever is opened from here on. */
  public void close() {
    closed = true;
    open.forEach(watch -> watch.end(SessionException.shuttingDown()));
  }
}
