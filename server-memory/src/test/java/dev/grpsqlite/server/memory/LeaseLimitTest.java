package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.LeaseAnswer;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.junit.jupiter.api.Test;

/** How many may wait for a lease. */
class LeaseLimitTest {
  private static final int LIMIT = 1024;

  @Test
  void p9_onlySoManyWaitAndAllOfThemAreServed() {
    ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    SessionTable sessions = new SessionTable(() -> 0, Duration.ofSeconds(10), 10_000);
    try (AnnouncingStore store =
        new AnnouncingStore(new MemoryPageStore(sessions, Clock.systemUTC()))) {
      Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
      DatabaseId database = store.findOrCreate("db").join().id();
      Session holder = sessions.open(new SessionId(0, 1), "holder");
      long epoch = leases.acquire(holder, database, LeaseWish.ANY).join().state().epoch();
      ArrayDeque<CompletableFuture<LeaseAnswer>> waiting = new ArrayDeque<>();
      ArrayDeque<Session> waiters = new ArrayDeque<>();
      for (int i = 1; i <= LIMIT; i++) {
        Session waiter = sessions.open(new SessionId(1, i), "waiter");
        waiters.add(waiter);
        waiting.add(ask(leases, waiter, database));
        assertFalse(waiting.getLast().isDone());
      }
      assertEquals(LIMIT, leases.waiting());
      Session late = sessions.open(new SessionId(2, 1), "late");
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

  private static CompletableFuture<LeaseAnswer> ask(
      Leases leases, Session session, DatabaseId database) {
    return leases.acquire(
        session, database, LeaseWish.ANY, Duration.ofMinutes(1), new CompletableFuture<>());
  }
}
