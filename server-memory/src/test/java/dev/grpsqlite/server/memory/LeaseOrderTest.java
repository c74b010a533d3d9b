package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.LeaseAnswer;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.ReadDelegations;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Waiting for a lease, without the wire. */
class LeaseOrderTest {
  private static final int LIMIT = 1024;
  private static final SessionLimits LIMITS =
      new SessionLimits(10_000, 10_000, 10_000, Long.MAX_VALUE, Long.MAX_VALUE, 100_000);

  @Test
  void p9_onlySoManyWaitAndAllOfThemAreServed() {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), LIMITS);
    try (AnnouncingStore store =
        new AnnouncingStore(
            new MemoryPageStore(sessions, Clock.systemUTC()),
            new ReadDelegations(() -> 0, timer))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      DatabaseId database = store.findOrCreate("db").join().id();
      Session holder = sessions.open(new SessionId(0, 1), "holder", "");
      long epoch = leases.acquire(holder, database, LeaseWish.ANY).join().state().epoch();
      ArrayDeque<CompletableFuture<LeaseAnswer>> waiting = new ArrayDeque<>();
      ArrayDeque<Session> waiters = new ArrayDeque<>();
      for (int i = 1; i <= LIMIT; i++) {
        Session waiter = sessions.open(new SessionId(1, i), "waiter", "");
        waiters.add(waiter);
        waiting.add(ask(leases, waiter, database));
        assertFalse(waiting.getLast().isDone());
      }
      assertEquals(LIMIT, leases.waiting());
      Session late = sessions.open(new SessionId(2, 1), "late", "");
      LeaseAnswer refused = ask(leases, late, database).join();
      assertEquals(LeaseAnswer.Outcome.HELD, refused.outcome());
      assertEquals(LIMIT, leases.waiting());

      leases.release(holder, database, epoch).join();
      while (!waiting.isEmpty()) {
        CompletableFuture<LeaseAnswer> first = waiting.remove();
        assertTrue(first.isDone());
        leases.release(waiters.remove(), database, first.join().state().epoch()).join();
      }
      assertEquals(0, leases.waiting());
      assertTrue(ask(leases, late, database).join().isGranted());
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void whoAsksWhileAFreeLeaseIsOnItsWayToAWaiterDoesNotOvertake() {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), LIMITS);
    MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
    SessionId slow = new SessionId(1, 1);
    ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
    try (AnnouncingStore store =
        new AnnouncingStore(slowFor(memory, slow, heldBack), new ReadDelegations(() -> 0, timer))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      DatabaseId database = store.findOrCreate("db").join().id();
      Session holder = sessions.open(new SessionId(0, 1), "holder", "");
      long epoch = leases.acquire(holder, database, LeaseWish.ANY).join().state().epoch();
      CompletableFuture<LeaseAnswer> asked = ask(leases, sessions.open(slow, "slow", ""), database);
      heldBack.remove().run();
      assertFalse(asked.isDone());

      leases.release(holder, database, epoch).join();
      assertNull(memory.lease(database).join().holder());
      assertFalse(leases.acquire(holder, database, LeaseWish.ANY).join().isGranted());
      CompletableFuture<LeaseAnswer> behind = ask(leases, holder, database);
      heldBack.remove().run();
      assertTrue(asked.join().isGranted());
      assertFalse(behind.isDone());
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void aLeaseThatArrivesWhenNobodyWaitsForItAnyMoreGoesToTheNext() {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), LIMITS);
    SessionId slow = new SessionId(1, 1);
    ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
    MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
    try (AnnouncingStore store =
        new AnnouncingStore(slowFor(memory, slow, heldBack), new ReadDelegations(() -> 0, timer))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      DatabaseId database = store.findOrCreate("db").join().id();
      CompletableFuture<Void> cancelled = new CompletableFuture<>();
      CompletableFuture<LeaseAnswer> first =
          leases.acquire(
              sessions.open(slow, "slow", ""),
              database,
              LeaseWish.ANY,
              Duration.ofMinutes(1),
              cancelled);
      Session other = sessions.open(new SessionId(0, 1), "other", "");
      CompletableFuture<LeaseAnswer> second = ask(leases, other, database);
      cancelled.complete(null);
      assertFalse(first.join().isGranted());
      heldBack.remove().run();
      assertTrue(second.join().isGranted());
      assertEquals(other.id(), memory.lease(database).join().holder());
      assertEquals(0, leases.waiting());
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void aFreeLeaseIsNotCalledHeldBecauseTheStoreTakesLongerThanTheWait() throws Exception {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), LIMITS);
    SessionId slow = new SessionId(1, 1);
    ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
    MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
    try (AnnouncingStore store =
        new AnnouncingStore(slowFor(memory, slow, heldBack), new ReadDelegations(() -> 0, timer))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      Session session = sessions.open(slow, "slow", "");
      CompletableFuture<Void> cancelled = new CompletableFuture<>();
      for (boolean free : new boolean[] {true, false}) {
        DatabaseId database = store.findOrCreate("free " + free).join().id();
        Duration wait = Duration.ofMillis(1);
        CompletableFuture<LeaseAnswer> asked =
            leases.acquire(session, database, LeaseWish.ANY, wait, cancelled);
        timer.schedule(() -> {}, wait.toNanos() + 1, TimeUnit.NANOSECONDS).get();
        assertFalse(asked.isDone());
        if (!free) {
          memory.acquireLease(database, new SessionId(0, 1), Optional.empty()).join();
        }
        heldBack.remove().run();
        assertEquals(free, asked.join().isGranted());
        assertEquals(0, leases.waiting());
      }
    } finally {
      timer.shutdownNow();
    }
  }

  @Test
  void aHolderWithLittlePatienceIsToldWhetherItStillHasTheLease() throws Exception {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), LIMITS);
    SessionId slow = new SessionId(1, 1);
    ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
    MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
    try (AnnouncingStore store =
        new AnnouncingStore(slowFor(memory, slow, heldBack), new ReadDelegations(() -> 0, timer))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      Session holder = sessions.open(new SessionId(0, 1), "holder", "");
      Session waiter = sessions.open(slow, "slow", "");
      for (boolean stillHas : new boolean[] {true, false}) {
        DatabaseId database = store.findOrCreate("still " + stillHas).join().id();
        long epoch = leases.acquire(holder, database, LeaseWish.ANY).join().state().epoch();
        CompletableFuture<LeaseAnswer> waiting = ask(leases, waiter, database);
        heldBack.remove().run();

        Duration wait = Duration.ofMillis(1);
        CompletableFuture<LeaseAnswer> again =
            leases.acquire(holder, database, LeaseWish.ANY, wait, new CompletableFuture<>());
        timer.schedule(() -> {}, wait.toNanos() + 1, TimeUnit.NANOSECONDS).get();
        assertFalse(again.isDone(), "nobody knows yet");
        if (!stillHas) {
          leases.release(holder, database, epoch).join();
        }
        while (!heldBack.isEmpty()) {
          heldBack.remove().run();
        }
        assertEquals(stillHas, again.join().isGranted());
        assertEquals(!stillHas, waiting.isDone());
      }
    } finally {
      timer.shutdownNow();
    }
  }

  /** A store in which one session's requests for leases wait until they are run. */
  private static PageStore slowFor(PageStore store, SessionId slow, Queue<Runnable> heldBack) {
    return HeldBackStore.of(
        store,
        (method, arguments) -> method.equals("acquireLease") && slow.equals(arguments[1]),
        heldBack);
  }

  private static CompletableFuture<LeaseAnswer> ask(
      Leases leases, Session session, DatabaseId database) {
    return leases.acquire(
        session, database, LeaseWish.ANY, Duration.ofMinutes(1), new CompletableFuture<>());
  }
}
