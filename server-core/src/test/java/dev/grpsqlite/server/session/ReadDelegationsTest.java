package dev.grpsqlite.server.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.session.ReadDelegations.Delegation;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class ReadDelegationsTest {
  private static final DatabaseId DATABASE = new DatabaseId(1, 2);
  private static final DatabaseId OTHER = new DatabaseId(1, 3);
  private static final SessionId READER = new SessionId(3, 4);
  private static final SessionId WRITER = new SessionId(3, 5);
  private static final Duration LENGTH = Duration.ofMillis(80);

  private record Timed(long atNanos, Runnable work) {}

  /** Whose work is done when the time comes that the test sets. */
  private final class Timer extends ScheduledThreadPoolExecutor {
    Timer() {
      super(0);
    }

    @Override
    public @Nullable ScheduledFuture<?> schedule(Runnable work, long delay, TimeUnit unit) {
      timed.add(new Timed(nanos + unit.toNanos(delay), work));
      return null;
    }
  }

  private final List<Timed> timed = new ArrayList<>();
  private long nanos = Long.MAX_VALUE - 1000; // it may run over
  private final ReadDelegations delegations = new ReadDelegations(() -> nanos, new Timer());

  private void pass(Duration time) {
    nanos += time.toNanos();
    List<Timed> due = timed.stream().filter(each -> each.atNanos - nanos <= 0).toList();
    timed.removeAll(due);
    due.forEach(each -> each.work.run());
  }

  private CompletableFuture<String> take(SessionId session) {
    return delegations.afterThem(
        DATABASE, session, () -> CompletableFuture.completedFuture("taken"));
  }

  @Test
  void nobodyElseTakesTheLeaseBeforeTheEnd() {
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    CompletableFuture<String> taken = take(WRITER);
    pass(LENGTH.minusNanos(1));
    assertFalse(taken.isDone());
    pass(Duration.ofNanos(1));
    assertTrue(taken.isDone());
    assertEquals(1, delegations.waited());
  }

  @Test
  void theOneThatLastsLongestIsWaitedFor() {
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    pass(LENGTH.dividedBy(2));
    assertNotNull(delegations.give(new SessionId(7, 7), DATABASE, LENGTH));
    CompletableFuture<String> taken = take(WRITER);
    pass(LENGTH.minusNanos(1));
    assertFalse(taken.isDone());
    pass(Duration.ofNanos(1));
    assertTrue(taken.isDone());
  }

  @Test
  void whoHasOneWaitsOnlyForOthers() {
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    assertTrue(take(READER).isDone());
    // What it gave back no other gets before the end.
    assertFalse(take(WRITER).isDone());
  }

  @Test
  void noneIsGivenWhileSomebodyTakesTheLeaseNorSoonAfter() {
    CompletableFuture<String> step = new CompletableFuture<>();
    CompletableFuture<String> taken = delegations.afterThem(DATABASE, WRITER, () -> step);
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    assertNotNull(delegations.give(READER, OTHER, LENGTH));
    step.complete("taken");
    assertTrue(taken.isDone());
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    pass(ReadDelegations.REST.minusNanos(1));
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    pass(Duration.ofNanos(1));
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    delegations.rest(OTHER);
    assertNull(delegations.give(READER, OTHER, LENGTH));
  }

  @Test
  void noneIsGivenWhileSomebodyWaits() {
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    CompletableFuture<String> taken = take(WRITER);
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    pass(LENGTH);
    assertTrue(taken.isDone());
  }

  @Test
  void oneThatWasWithdrawnIsNotWaitedFor() {
    Delegation withdrawn = delegations.give(READER, DATABASE, LENGTH);
    assertNotNull(withdrawn);
    delegations.withdraw(DATABASE, withdrawn);
    assertTrue(take(WRITER).isDone());

    Delegation kept = delegations.give(READER, OTHER, LENGTH);
    Delegation second = delegations.give(READER, OTHER, LENGTH);
    assertNotNull(kept);
    assertNotNull(second);
    delegations.withdraw(OTHER, second);
    assertFalse(
        delegations.afterThem(OTHER, WRITER, () -> CompletableFuture.completedFuture(1)).isDone());
  }

  /** Else each Refresh beside a writer would look for its lease again. */
  @Test
  void afterOneThatWasWithdrawnNoneIsGivenForAWhile() {
    Delegation withdrawn = delegations.give(READER, DATABASE, LENGTH);
    assertNotNull(withdrawn);
    delegations.withdraw(DATABASE, withdrawn);
    pass(ReadDelegations.REST.minusNanos(1));
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    pass(Duration.ofNanos(1));
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
  }

  @Test
  void aServerOutlastsThoseOfItsPredecessor() {
    delegations.outlastAnother();
    CompletableFuture<String> taken = take(WRITER);
    pass(ReadDelegations.LONGEST.minusNanos(1));
    assertFalse(taken.isDone());
    pass(Duration.ofNanos(1));
    assertTrue(taken.isDone());
    assertTrue(take(READER).isDone());
  }

  @Test
  void theyAreBoundedAndForgotten() {
    for (int i = 0; i < ReadDelegations.MOST; i++) {
      assertNotNull(delegations.give(new SessionId(9, i), DATABASE, LENGTH));
    }
    assertNull(delegations.give(READER, DATABASE, LENGTH));
    assertEquals(LENGTH, delegations.left());
    pass(LENGTH);
    assertEquals(Duration.ZERO, delegations.left());
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    assertTrue(take(READER).isDone());
    assertEquals(1, delegations.size());
    for (int i = 0; i < 3; i++) {
      pass(ReadDelegations.REST.multipliedBy(2));
    }
    assertEquals(0, delegations.size());
    assertEquals(List.of(), timed);
  }

  @Test
  void aStepThatFailsIsOver() {
    assertTrue(
        delegations
            .afterThem(
                DATABASE,
                WRITER,
                () -> CompletableFuture.failedFuture(new IllegalStateException("no")))
            .isCompletedExceptionally());
    pass(ReadDelegations.REST);
    assertNotNull(delegations.give(READER, DATABASE, LENGTH));
    assertTrue(
        delegations
            .afterThem(
                OTHER,
                WRITER,
                () -> {
                  throw new IllegalStateException("at once");
                })
            .isCompletedExceptionally());
    pass(ReadDelegations.REST);
    assertNotNull(delegations.give(READER, OTHER, LENGTH));
  }
}
