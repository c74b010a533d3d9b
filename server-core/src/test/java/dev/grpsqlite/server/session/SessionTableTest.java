package dev.grpsqlite.server.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.session.Session.PendingView;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class SessionTableTest {
  private static final SessionId A = new SessionId(1, 1);
  private static final SessionId B = new SessionId(2, 2);
  private static final DatabaseId DATABASE = new DatabaseId(3, 3);
  private static final DatabaseId OTHER = new DatabaseId(4, 4);
  private static final StageId STAGE = new StageId(5, 5);

  private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 1000); // It will wrap.
  private final SessionTable table =
      new SessionTable(
          now::get, Duration.ofSeconds(10), new SessionLimits(3, 3, 2, 150, 150, 1000));

  private void pass(long millis) {
    now.addAndGet(Duration.ofMillis(millis).toNanos());
  }

  @Test
  void aSessionIsItsOwnersAlone() {
    Session session = table.open(A, "test", "alice");
    for (Executable use :
        List.<Executable>of(
            () -> table.open(A, "test", "bob"),
            () -> table.get(A, "bob"),
            () -> table.keepAlive(A, ""),
            () -> table.close(A, "bob"))) {
      SessionException refused = assertThrows(SessionException.class, use);
      assertEquals(SessionException.Code.NOT_OWNER, refused.code());
    }
    assertSame(session, table.get(A, "alice"));
    table.close(A, "alice").join();
    assertNoSession(() -> table.get(A, "alice"));
  }

  @Test
  void aSessionLastsOneTtlAfterItsLastKeepAlive() {
    Session session = table.open(A, "test", "");
    pass(9_999);
    assertSame(session, table.get(A, ""));
    assertSame(session, table.keepAlive(A, ""));
    pass(9_999);
    assertSame(session, table.get(A, ""), "asking does not renew");
    pass(1);
    assertNoSession(() -> table.get(A, ""));
    assertNoSession(() -> table.keepAlive(A, ""));
    assertEquals(0, table.size());
  }

  @Test
  void openingAgainRenewsOrMakesANewOne() {
    Session session = table.open(A, "test", "");
    pass(9_000);
    assertSame(session, table.open(A, "test", ""));
    pass(10_000);
    assertFalse(session == table.open(A, "test", ""));
  }

  @Test
  void noTwoSessionsOfAnIdAreOfTheSameIncarnation() {
    Set<Long> incarnations = new HashSet<>(Set.of(0L));
    assertTrue(incarnations.add(table.open(A, "test", "").incarnation()));
    assertTrue(incarnations.add(table.open(B, "test", "").incarnation()));
    pass(9_000);
    assertFalse(
        incarnations.add(table.open(A, "test", "").incarnation()), "it is the same session");
    pass(10_000);
    assertTrue(incarnations.add(table.open(A, "test", "").incarnation()));
    table.close(A, "").join();
    assertTrue(incarnations.add(table.open(A, "test", "").incarnation()));
    SessionTable restarted =
        new SessionTable(
            now::get, Duration.ofSeconds(10), new SessionLimits(3, 3, 2, 150, 150, 1000));
    assertTrue(incarnations.add(restarted.open(A, "test", "").incarnation()));
  }

  @Test
  void anEndedSessionStaysEnded() {
    List<SessionId> ended = new ArrayList<>();
    table.whenEnded(
        (session, isOver) -> {
          ended.add(session.id());
          return CompletableFuture.completedFuture(null);
        });
    Session a = table.open(A, "test", "");
    table.open(B, "test", "");
    table.close(A, "").join();
    table.close(A, "").join();
    assertEquals(List.of(A), ended);
    assertNoSession(() -> a.raiseFloor(DATABASE, 0, 1));
    assertNoSession(() -> a.enterView(DATABASE, 0));
    assertNoSession(() -> a.addStaged(DATABASE, STAGE, 1, 10));
    assertFalse(a.leaseGranted(DATABASE, 1));
    pass(10_000);
    table.expire();
    table.expire();
    assertEquals(List.of(A, B), ended);
  }

  /** A store drops all that was staged under an id, whichever session staged it. */
  @Test
  void p1_aSessionThatIsOpenedAgainBeginsWhenTheEarlierOneHasGivenBackAll() {
    CompletableFuture<Void> givenBack = new CompletableFuture<>();
    table.whenEnded((session, isOver) -> givenBack);
    Session first = table.openForAll(A, "test", "", () -> true, "").join();
    pass(10_000);
    CompletableFuture<Session> again = table.openForAll(A, "test", "", () -> true, "");
    assertFalse(again.isDone());
    assertNoSession(() -> table.get(A, ""));
    assertFalse(table.openForAll(B, "test", "", () -> true, "").isCompletedExceptionally());
    givenBack.completeExceptionally(new IllegalStateException("the store failed"));
    assertNotSame(first, again.join(), "it can't be waited for longer");
    assertSame(again.join(), table.get(A, ""));
    assertSame(again.join(), table.openForAll(A, "test", "", () -> true, "").join());
  }

  @Test
  void thereAreOnlySoManySessions() {
    table.open(A, "test", "");
    table.open(B, "test", "");
    table.open(new SessionId(8, 8), "test", "");
    SessionException e =
        assertThrows(SessionException.class, () -> table.open(new SessionId(9, 9), "test", ""));
    assertEquals(SessionException.Code.LIMIT, e.code());
    table.open(A, "test", "");
    table.close(B, "").join();
    table.open(new SessionId(9, 9), "test", "");
  }

  @Test
  void aHolderThatWasNeverSeenIsThoughtAliveUntilOneTtlAfterTheStart() {
    table.open(A, "test", "");
    pass(9_999);
    assertTrue(table.mayBeAlive(A));
    assertTrue(table.mayBeAlive(B));
    table.keepAlive(A, "");
    pass(1);
    assertTrue(table.mayBeAlive(A));
    assertFalse(table.mayBeAlive(B));
    pass(9_999);
    assertFalse(table.mayBeAlive(A));
    assertNoSession(() -> table.keepAlive(A, ""));
  }

  @Test
  void p6_theOldestPinnedVersionIsTheLowestFloorOfAllViews() {
    assertEquals(Long.MAX_VALUE, table.oldestPinned(DATABASE));
    Session a = table.open(A, "test", "");
    Session b = table.open(B, "test", "");
    a.raiseFloor(DATABASE, 0, 7);
    assertEquals(7, table.oldestPinned(DATABASE));
    b.raiseFloor(DATABASE, 0, 5);
    b.raiseFloor(DATABASE, 1, 3);
    a.raiseFloor(OTHER, 0, 1);
    assertEquals(3, table.oldestPinned(DATABASE));
    b.closeView(DATABASE, 1);
    b.closeView(DATABASE, 1);
    assertEquals(5, table.oldestPinned(DATABASE));
    b.raiseFloor(DATABASE, 0, 9);
    assertEquals(7, table.oldestPinned(DATABASE));
    a.raiseFloor(DATABASE, 0, 2);
    assertEquals(7, table.oldestPinned(DATABASE), "floors only rise");
    a.lowerFloor(DATABASE, 0, 8);
    assertEquals(7, table.oldestPinned(DATABASE));
    a.lowerFloor(DATABASE, 0, 6);
    assertEquals(6, table.oldestPinned(DATABASE), "but in another history");
    table.close(A, "").join();
    assertEquals(9, table.oldestPinned(DATABASE));
    pass(10_000);
    table.expire();
    assertEquals(Long.MAX_VALUE, table.oldestPinned(DATABASE));
    assertEquals(Long.MAX_VALUE, table.oldestPinned(OTHER));
  }

  @Test
  void p6_aNewViewPinsEverythingUntilItsVersionIsKnown() {
    Session a = table.open(A, "test", "");
    PendingView view = a.enterView(DATABASE, 0);
    assertEquals(0, table.oldestPinned(DATABASE));
    view.established(7);
    assertEquals(7, table.oldestPinned(DATABASE));
    PendingView again = a.enterView(DATABASE, 0);
    assertEquals(7, table.oldestPinned(DATABASE), "it has a floor already");
    again.established(9);
    assertEquals(7, table.oldestPinned(DATABASE), "its client has not said that it may rise");

    a.enterView(DATABASE, 1).failed();
    assertEquals(7, table.oldestPinned(DATABASE));
    a.closeView(DATABASE, 0);
    assertEquals(Long.MAX_VALUE, table.oldestPinned(DATABASE));
  }

  @Test
  void p6_anOpeningOfAViewThatWasClosedMeanwhileIsNotOfTheNextOneOfItsNumber() {
    Session session = table.open(A, "test", "");
    PendingView fails = session.enterView(DATABASE, 5);
    session.closeView(DATABASE, 5);
    PendingView next = session.enterView(DATABASE, 5);
    fails.failed();
    next.established(10);
    assertEquals(10, table.oldestPinned(DATABASE));
    session.closeView(DATABASE, 5);
    PendingView late = session.enterView(DATABASE, 5);
    session.closeView(DATABASE, 5);
    next = session.enterView(DATABASE, 5);
    late.established(100);
    next.established(10);
    assertEquals(10, table.oldestPinned(DATABASE));
  }

  @Test
  void p6_ofTwoOpeningsAtOnceTheOlderVersionIsTheFloor() {
    Session a = table.open(A, "test", "");
    PendingView first = a.enterView(DATABASE, 0);
    PendingView second = a.enterView(DATABASE, 0);
    first.established(8);
    assertEquals(0, table.oldestPinned(DATABASE));
    second.established(7);
    assertEquals(7, table.oldestPinned(DATABASE));

    PendingView third = a.enterView(OTHER, 0);
    PendingView fourth = a.enterView(OTHER, 0);
    third.established(4);
    fourth.failed();
    assertEquals(4, table.oldestPinned(OTHER));
  }

  @Test
  void aLostLeaseIsToldUntilItIsGivenBackOrGrantedAgain() {
    Session a = table.open(A, "test", "");
    assertTrue(a.leaseGranted(DATABASE, 4));
    assertEquals(OptionalLong.of(4), a.leaseEpoch(DATABASE));
    a.leaseLost(DATABASE, 3);
    assertEquals(Map.of(), a.lostLeases(), "of an epoch before");
    a.leaseLost(DATABASE, 4);
    assertEquals(Map.of(DATABASE, 4L), a.lostLeases());
    assertEquals(OptionalLong.empty(), a.leaseEpoch(DATABASE));
    assertTrue(a.leaseGranted(DATABASE, 6));
    assertEquals(Map.of(), a.lostLeases());
    a.leaseLost(DATABASE, 6);
    a.leaseReleased(DATABASE, 6);
    assertEquals(Map.of(), a.lostLeases());
  }

  @Test
  void whatAllHaveIsBoundedToo() {
    Session a = table.open(A, "test", "alice");
    Session b = table.open(B, "test", "alice");
    table.open(new SessionId(8, 8), "test", "bob");
    assertLimit(() -> table.open(new SessionId(9, 9), "test", "carol"));

    a.addStaged(DATABASE, STAGE, 100, 100);
    assertLimit(() -> b.addStaged(DATABASE, STAGE, 51, 100));
    b.addStaged(DATABASE, STAGE, 50, 100);

    a.leaseGranted(DATABASE, 1);
    a.leaseGranted(OTHER, 1);
    a.checkRoomForLease(OTHER);
    assertLimit(() -> a.checkRoomForLease(new DatabaseId(77, 77)));

    table.close(A, "alice").join();
    table.open(new SessionId(9, 9), "test", "alice");
    b.addStaged(DATABASE, STAGE, 50, 100);
    assertEquals(100, table.stagedBytes());
  }

  private static void assertLimit(Executable use) {
    assertEquals(SessionException.Code.LIMIT, assertThrows(SessionException.class, use).code());
  }

  @Test
  void stagedBytesAreCountedAndBounded() {
    Session a = table.open(A, "test", "");
    a.leaseGranted(DATABASE, 1);
    a.addStaged(DATABASE, STAGE, 60, 100);
    a.addStaged(OTHER, STAGE, 40, 100);
    assertEquals(100, table.stagedBytes());
    SessionException e =
        assertThrows(SessionException.class, () -> a.addStaged(DATABASE, STAGE, 1, 100));
    assertEquals(SessionException.Code.LIMIT, e.code());
    a.dropStaged(OTHER, STAGE);
    a.dropStaged(OTHER, STAGE);
    assertEquals(60, table.stagedBytes());
    a.leaseReleased(DATABASE, 1);
    assertEquals(0, table.stagedBytes());
  }

  @Test
  void p9_whatWasRefusedIsNotCounted() {
    Session session = table.open(A, "test", "");
    session.addStaged(DATABASE, STAGE, 60, 100);
    session.addStaged(DATABASE, STAGE, 40, 100);
    session.takeBackStaged(DATABASE, STAGE, 40);
    assertEquals(60, table.stagedBytes());
    session.takeBackStaged(DATABASE, STAGE, 60);
    assertEquals(0, session.stages(), "of a stage of which nothing is there, nothing is kept");
    session.takeBackStaged(DATABASE, STAGE, 60);
    assertEquals(0, table.stagedBytes());
  }

  private static void assertNoSession(org.junit.jupiter.api.function.Executable action) {
    SessionException e = assertThrows(SessionException.class, action);
    assertEquals(SessionException.Code.NO_SUCH_SESSION, e.code());
  }

  @Test
  void viewsAndStagedBytesAreCountedOfAllAndOfAnIdentity() {
    SessionTable small =
        new SessionTable(now::get, Duration.ofSeconds(10), new SessionLimits(9, 3, 2, 150, 100, 4));
    Session first = small.open(A, "test", "", () -> true, "here");
    Session second = small.open(B, "test", "", () -> true, "here");
    Session other = small.open(new SessionId(7, 7), "test", "", () -> true, "there");
    first.raiseFloor(DATABASE, 0, 1);
    second.raiseFloor(DATABASE, 0, 1);
    assertLimit(() -> second.raiseFloor(OTHER, 0, 1));
    second.raiseFloor(DATABASE, 0, 2);
    other.raiseFloor(DATABASE, 0, 1);
    other.raiseFloor(OTHER, 0, 1);
    assertEquals(4, small.views());
    assertLimit(() -> other.raiseFloor(OTHER, 1, 1));

    first.addStaged(DATABASE, STAGE, 60, 1000);
    assertLimit(() -> second.addStaged(DATABASE, STAGE, 41, 1000));
    second.addStaged(DATABASE, STAGE, 40, 1000);
    other.addStaged(DATABASE, STAGE, 50, 1000);
    assertLimit(() -> other.addStaged(DATABASE, STAGE, 1, 1000));

    small.close(A, "").join();
    second.closeView(DATABASE, 0);
    assertEquals(2, small.views());
    second.addStaged(DATABASE, STAGE, 60, 1000);
    small.close(B, "").join();
    pass(10_000);
    small.expire();
    assertEquals(0, small.views());
    assertEquals(0, small.stagedBytes());
  }

  @Test
  void p9_whatIsKeptToPredictIsBounded() {
    int sessions = Session.MAX_PREDICTORS_OF_ALL / Session.MAX_PREDICTORS;
    SessionTable many =
        new SessionTable(
            now::get,
            Duration.ofSeconds(10),
            new SessionLimits(sessions + 1, sessions + 1, 2, 150, 150, 1000));
    for (int i = 0; i < sessions; i++) {
      Session session = many.open(new SessionId(9, i), "test", "");
      for (int j = 0; j < Session.MAX_PREDICTORS; j++) {
        Predictor kept = session.predictor(new DatabaseId(8, j));
        assertSame(kept, session.predictor(new DatabaseId(8, j)));
      }
    }
    Session late = many.open(A, "test", "");
    assertNotSame(late.predictor(DATABASE), late.predictor(DATABASE));
    many.close(new SessionId(9, 0), "").join();
    Predictor kept = late.predictor(DATABASE);
    assertSame(kept, late.predictor(DATABASE));
    for (int j = 1; j < Session.MAX_PREDICTORS; j++) {
      late.predictor(new DatabaseId(8, j));
    }
    assertNotSame(late.predictor(OTHER), late.predictor(OTHER), "one more of all");
  }
}
