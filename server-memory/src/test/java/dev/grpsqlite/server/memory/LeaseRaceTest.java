package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.KnownVersion;
import dev.grpsqlite.server.session.LeaseAnswer;
import dev.grpsqlite.server.session.LeaseAnswer.Outcome;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.ReadDelegations;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BiPredicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** P3 and what clients conclude from it: whoever was told that it has a lease has it. */
class LeaseRaceTest {
  private static final Duration TTL = Duration.ofSeconds(10);
  private static final SessionLimits LIMITS =
      new SessionLimits(10, 10, 10, Long.MAX_VALUE, Long.MAX_VALUE, 1000);
  private static final SessionId A = new SessionId(0, 1);
  private static final SessionId B = new SessionId(0, 2);
  private static final LeaseWish AT_A_HEAD_THAT_IS_NOT =
      new LeaseWish(Optional.of(new KnownVersion(7, 0)), false);

  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final AtomicLong nanos = new AtomicLong();
  private final SessionTable sessions = new SessionTable(nanos::get, TTL, LIMITS);
  private final MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
  private final DatabaseId database = memory.findOrCreate("db").join().id();
  private final ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
  private BiPredicate<String, Object[]> slow = (method, arguments) -> false;
  private final AnnouncingStore store =
      new AnnouncingStore(
          HeldBackStore.of(memory, (method, of) -> slow.test(method, of), heldBack),
          new ReadDelegations(nanos::get, timer));
  private final Leases leases = new Leases(store, sessions, new Heads(store), nanos::get, timer);

  @AfterEach
  void close() {
    store.close();
    timer.shutdownNow();
  }

  @Test
  void p3_aCallThatGaveUpDoesNotTakeBackWhatTheNextOneIsGiven() {
    Session a = sessions.open(A, "a", "");
    CompletableFuture<Void> cancelled = new CompletableFuture<>();
    slow("acquireLease");
    CompletableFuture<LeaseAnswer> gaveUp =
        leases.acquire(a, database, LeaseWish.ANY, Duration.ofMinutes(1), cancelled);
    cancelled.complete(null);
    assertEquals(Outcome.HELD, gaveUp.join().outcome());
    CompletableFuture<LeaseAnswer> next = leases.acquire(a, database, LeaseWish.ANY);
    while (!heldBack.isEmpty()) {
      heldBack.removeLast().run();
    }
    isTheLease(next.join());
  }

  @Test
  void p3_aCallAtAnotherHeadDoesNotTakeBackWhatAnotherOneWasGiven() {
    Session a = sessions.open(A, "a", "");
    slow("head");
    CompletableFuture<LeaseAnswer> atHead = leases.acquire(a, database, AT_A_HEAD_THAT_IS_NOT);
    LeaseAnswer granted = leases.acquire(a, database, LeaseWish.ANY).join();
    heldBack.remove().run();
    assertEquals(Outcome.HEAD_MOVED, atHead.join().outcome());
    isTheLease(granted);
  }

  @Test
  void p3_whatIsBeingTakenBackIsGivenToNobody() {
    Session a = sessions.open(A, "a", "");
    slow("releaseLease");
    CompletableFuture<LeaseAnswer> atHead = leases.acquire(a, database, AT_A_HEAD_THAT_IS_NOT);
    LeaseAnswer granted = leases.acquire(a, database, LeaseWish.ANY).join();
    heldBack.remove().run();
    assertEquals(Outcome.HEAD_MOVED, atHead.join().outcome());
    isTheLease(granted);
  }

  /** As who waits finds it when the head has moved meanwhile. */
  @Test
  void aHeadOfTheNumberWithAnotherMarkIsAnotherHead() {
    Session a = sessions.open(A, "a", "");
    long epoch = leases.acquire(a, database, LeaseWish.ANY).join().state().epoch();
    CommitId id = new CommitId(5, 6);
    store.commit(new Commit(database, A, epoch, id, 0, 512, 0, null, List.of())).join();
    leases.release(a, database, epoch).join();
    Session b = sessions.open(B, "b", "");
    LeaseAnswer other = leases.acquire(b, database, at(1, 6)).join();
    assertEquals(Outcome.HEAD_MOVED, other.outcome());
    assertNull(store.lease(database).join().holder());
    for (long mark : new long[] {5, 0}) {
      isTheLease(leases.acquire(b, database, at(1, mark)).join());
    }
  }

  private static LeaseWish at(long version, long mark) {
    return new LeaseWish(Optional.of(new KnownVersion(version, mark)), false);
  }

  @Test
  void p3_whatAnEndedSessionGivesBackIsNotGivenToTheNextOfItsId() {
    LeaseAnswer before = leases.acquire(sessions.open(A, "a", ""), database, LeaseWish.ANY).join();
    slow("releaseLease");
    nanos.addAndGet(TTL.toNanos());
    sessions.expire();
    LeaseAnswer after = leases.acquire(sessions.open(A, "a", ""), database, LeaseWish.ANY).join();
    assertTrue(after.state().epoch() > before.state().epoch());
    heldBack.remove().run();
    isTheLease(after);
    LeaseAnswer again = leases.acquire(sessions.get(A, ""), database, LeaseWish.ANY).join();
    assertEquals(after.state(), again.state(), "in the same session it stays");
  }

  @Test
  void p3_whatIsBeingTakenFromTheDeadIsNotGivenToTheNextOfItsId() {
    LeaseAnswer before = leases.acquire(sessions.open(A, "a", ""), database, LeaseWish.ANY).join();
    slow = (method, of) -> method.equals("releaseLease") || displaces(B, method, of);
    nanos.addAndGet(TTL.toNanos());
    CompletableFuture<LeaseAnswer> ofB =
        leases.acquire(sessions.open(B, "b", ""), database, LeaseWish.ANY);
    LeaseAnswer after = leases.acquire(sessions.open(A, "a", ""), database, LeaseWish.ANY).join();
    assertTrue(after.state().epoch() > before.state().epoch());
    while (!heldBack.isEmpty()) {
      heldBack.remove().run();
    }
    assertEquals(Outcome.HELD, ofB.join().outcome());
    isTheLease(after);
  }

  @Test
  void p3_aRequestOfAnEndedSessionTakesNothingFromTheNextOfItsId() {
    Session ended = sessions.open(A, "a", "");
    slow("acquireLease");
    CompletableFuture<LeaseAnswer> late = leases.acquire(ended, database, LeaseWish.ANY);
    CompletableFuture<LeaseAnswer> later = leases.acquire(ended, database, LeaseWish.ANY);
    sessions.close(A, "").join();
    CompletableFuture<LeaseAnswer> next =
        leases.acquire(sessions.open(A, "a", ""), database, LeaseWish.ANY);
    while (!heldBack.isEmpty()) {
      heldBack.removeLast().run();
    }
    assertThrows(CompletionException.class, late::join);
    assertThrows(CompletionException.class, later::join);
    isTheLease(next.join());
  }

  @Test
  void p3_aLeaseFromBeforeARestartIsUsedAsItIsAndAskedForWithANewEpoch() {
    LeaseState before = memory.acquireLease(database, A, Optional.empty()).join();
    Session a = sessions.open(A, "a", "");
    assertTrue(a.leaseUsed(database, before.epoch()));
    assertEquals(before, memory.lease(database).join());
    LeaseAnswer asked = leases.acquire(a, database, LeaseWish.ANY).join();
    assertTrue(asked.state().epoch() > before.epoch());
    isTheLease(asked);
    sessions.close(A, "").join();
    assertFalse(leases.isHeld(database).join());
  }

  private void slow(String slowMethod) {
    slow = (method, arguments) -> method.equals(slowMethod);
  }

  private static boolean displaces(SessionId session, String method, Object[] of) {
    return method.equals("acquireLease")
        && session.equals(of[1])
        && ((Optional<?>) of[2]).isPresent();
  }

  private void isTheLease(LeaseAnswer answer) {
    assertTrue(answer.isGranted());
    assertEquals(answer.state(), memory.lease(database).join());
  }
}
