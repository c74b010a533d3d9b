package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageServiceContract.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.proto.v1.WatchResponse.EventCase;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SnapshotPins;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.LongFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Who gets a lease that several want, over a store and through a socket. */
@Timeout(120)
public abstract class YieldContract extends ServedContract {
  private static final String NAME = "tenant-7/main.db";
  private static final int LONG_MS = 10_000;
  private static final int DELEGATION_MS = 80;
  private static final int LONGEST_DELEGATION_MS = 100;
  private static final int REST_MS = 1100;

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @Override
  final PageStore openStore(SnapshotPins pins, Path in) throws Exception {
    return open(pins, Clock.systemUTC(), in);
  }

  private TestClient client() {
    return new TestClient(server().channel, NAME);
  }

  private TestClient writer() {
    TestClient client = client();
    assertEquals(Outcome.OUTCOME_GRANTED, client.acquire(0));
    return client;
  }

  private static DatabaseId idOf(TestClient client) {
    return DatabaseId.read(client.database.asReadOnlyByteBuffer());
  }

  /** Asks, and returns when the server has the call among those that wait. */
  private Future<AcquireLeaseResponse> waiting(TestClient client, int waitMs) throws Exception {
    double before = server().metric("grpsqlite_lease_waiters");
    Future<AcquireLeaseResponse> asked = client.asking(waitMs);
    server().await("grpsqlite_lease_waiters", before + 1);
    return asked;
  }

  private static Status.Code failure(Future<AcquireLeaseResponse> asked) {
    ExecutionException e =
        assertThrows(ExecutionException.class, () -> asked.get(30, TimeUnit.SECONDS));
    return Status.fromThrowable(e).getCode();
  }

  private static void wanted(TestWatch watch, TestClient holder) throws InterruptedException {
    WatchResponse.LeaseWanted wanted = watch.next(EventCase.LEASE_WANTED).getLeaseWanted();
    assertEquals(holder.database, wanted.getDatabaseId());
    assertEquals(holder.epoch, wanted.getEpoch());
  }

  /** Not where other servers could grant the lease. */
  protected boolean delegatesReads() {
    return true;
  }

  private static long millisSince(long nanos) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
  }

  @Test
  void aHeadThatWasDelegatedToAReaderStaysBesideOthers() throws Exception {
    TestClient reader = client();
    long sent = System.nanoTime();
    int given = reader.delegation(DELEGATION_MS);
    assertEquals(delegatesReads() ? DELEGATION_MS : 0, given);
    TestClient writer = writer();
    long granted = millisSince(sent);
    assertTrue(granted >= given, "granted after " + granted + " ms");
    assertEquals(0, reader.delegation(DELEGATION_MS), "to a database that is being written");
    Thread.sleep(REST_MS);
    assertEquals(0, reader.delegation(DELEGATION_MS), "beside another's lease");
    writer.release();
    assertEquals(0, reader.delegation(DELEGATION_MS), "to a database that was just written");
  }

  @Test
  void whoHasADelegationGetsTheLeaseAtOnceAndADropWaits() throws Exception {
    TestClient reader = client();
    Thread.sleep(LONGEST_DELEGATION_MS); // of the server that was before
    int given = reader.delegation(DELEGATION_MS);
    assertEquals(delegatesReads() ? DELEGATION_MS : 0, given);
    assertEquals(Outcome.OUTCOME_GRANTED, reader.acquire(0));
    assertEquals(0, server().metric("grpsqlite_read_delegation_waits_total"));
    assertEquals(given > 0 ? 1 : 0, server().metric("grpsqlite_read_delegations_total"));

    TestClient other = new TestClient(server().channel, "other.db");
    long sent = System.nanoTime();
    int otherGiven = other.delegation(DELEGATION_MS);
    assertEquals(given, otherGiven);
    assertNotNull(
        AdminGrpc.newBlockingStub(server().channel)
            .dropDatabase(DropDatabaseRequest.newBuilder().setName("other.db").build()));
    long dropped = millisSince(sent);
    assertTrue(dropped >= otherGiven, "dropped after " + dropped + " ms");
  }

  @Test
  void aServerOutlastsTheDelegationsOfOthersAndOthersItsOwn() throws Exception {
    TestClient writer = writer();
    long granted = millisSince(server().begunNanos);
    assertTrue(granted >= LONGEST_DELEGATION_MS, "granted after " + granted + " ms");
    assertNotEquals(0, writer.epoch);
    TestClient reader = new TestClient(server().channel, "other.db");
    long sent = System.nanoTime();
    int given = reader.delegation(LONGEST_DELEGATION_MS);
    assertEquals(delegatesReads() ? LONGEST_DELEGATION_MS : 0, given);
    // Else the server gives the channel some time.
    server().channel.shutdownNow();
    assertTrue(server().channel.awaitTermination(30, TimeUnit.SECONDS));
    server().server.close();
    long closed = millisSince(sent);
    assertTrue(closed >= given, "closed after " + closed + " ms");
  }

  @Test
  void theHolderIsAskedAndTheLeaseGoesToWhoWaits() throws Exception {
    TestClient holder = writer();
    TestWatch watch = holder.watch();
    TestClient other = client();
    Future<AcquireLeaseResponse> asked = other.asking(LONG_MS);
    wanted(watch, holder);
    holder.commit(1);
    assertFalse(asked.isDone());
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, other.outcome(asked));
    assertTrue(other.epoch > holder.epoch);
    assertEquals(1, other.head);
    other.commit(1);
    assertEquals(1, server().metric("grpsqlite_lease_yields_asked_total"));
    assertEquals(0, server().metric("grpsqlite_lease_waiters"));
  }

  @Test
  void whoWaitsIsServedInOrderAndEachHolderHearsOfTheNext() throws Exception {
    TestClient holder = writer();
    TestClient[] others = {client(), client(), client()};
    TestWatch[] watches = {others[0].watch(), others[1].watch(), others[2].watch()};
    List<Future<AcquireLeaseResponse>> asked = new ArrayList<>();
    for (TestClient other : others) {
      asked.add(waiting(other, LONG_MS));
    }
    holder.release();
    for (int i = 0; i < 3; i++) {
      assertEquals(Outcome.OUTCOME_GRANTED, others[i].outcome(asked.get(i)));
      if (i < 2) {
        wanted(watches[i], others[i]);
        assertFalse(asked.get(i + 1).isDone());
        // It wants it again at once, and comes behind those who wait.
        assertEquals(Outcome.OUTCOME_GRANTED, others[i].acquire(0));
        others[i].release();
        assertEquals(Outcome.OUTCOME_HELD, others[i].acquire(0));
      }
    }
  }

  @Test
  void whoComesBackSoonHasItsPlaceStill() throws Exception {
    TestClient holder = writer();
    TestClient first = client();
    assertEquals(Outcome.OUTCOME_HELD, first.acquire(1));
    TestClient second = client();
    Future<AcquireLeaseResponse> secondAsked = waiting(second, LONG_MS);
    Future<AcquireLeaseResponse> firstAsked = waiting(first, LONG_MS);
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, first.outcome(firstAsked));
    assertFalse(secondAsked.isDone());
    first.release();
    assertEquals(Outcome.OUTCOME_GRANTED, second.outcome(secondAsked));
  }

  @Test
  void whoComesBackLateIsTheLast() throws Exception {
    TestClient holder = writer();
    TestClient first = client();
    assertEquals(Outcome.OUTCOME_HELD, first.acquire(1));
    TestClient second = client();
    Future<AcquireLeaseResponse> secondAsked = waiting(second, LONG_MS);
    server().pass(1001);
    Future<AcquireLeaseResponse> firstAsked = waiting(first, LONG_MS);
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, second.outcome(secondAsked));
    assertFalse(firstAsked.isDone());
  }

  @Test
  void whoIsAwayIsPassedOver() throws Exception {
    TestClient holder = writer();
    TestClient first = client();
    assertEquals(Outcome.OUTCOME_HELD, first.acquire(1));
    TestClient second = client();
    Future<AcquireLeaseResponse> secondAsked = waiting(second, LONG_MS);
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, second.outcome(secondAsked));
    second.release();
    assertEquals(Outcome.OUTCOME_GRANTED, holder.acquire(0), "nobody is there");
  }

  @Test
  void whoDoesNotWaitDoesNotOvertake() throws Exception {
    TestClient holder = writer();
    TestClient waiter = client();
    Future<AcquireLeaseResponse> asked = waiting(waiter, LONG_MS);
    TestClient impatient = client();
    assertEquals(Outcome.OUTCOME_HELD, impatient.acquire(0));
    assertEquals(Outcome.OUTCOME_GRANTED, holder.acquire(0), "the holder has it");
    assertEquals(Outcome.OUTCOME_GRANTED, holder.acquire(1), "the holder has it");
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, waiter.outcome(asked));
    assertEquals(Outcome.OUTCOME_HELD, impatient.acquire(0));
  }

  @Test
  void whoFindsThatTheHeadMovedLeavesTheLeaseToTheNext() throws Exception {
    TestClient holder = writer();
    TestClient first = client();
    TestClient second = client();
    CompletableFuture<AcquireLeaseResponse> moved =
        CompletableFuture.supplyAsync(() -> first.pages().acquireLease(first.lease(5000).build()));
    server().await("grpsqlite_lease_waiters", 1);
    Future<AcquireLeaseResponse> asked = waiting(second, LONG_MS);
    holder.commit(1);
    holder.release();
    AcquireLeaseResponse answer = moved.get(30, TimeUnit.SECONDS);
    assertEquals(Outcome.OUTCOME_HEAD_MOVED, answer.getOutcome());
    assertEquals(1, answer.getHead().getVersion());
    assertEquals(Outcome.OUTCOME_GRANTED, second.outcome(asked));
    assertEquals(1, second.head);
    // It has its place still.
    TestClient third = client();
    Future<AcquireLeaseResponse> thirdAsked = waiting(third, LONG_MS);
    Future<AcquireLeaseResponse> firstAsked = waiting(first, LONG_MS);
    second.release();
    assertEquals(Outcome.OUTCOME_GRANTED, first.outcome(firstAsked));
    assertFalse(thirdAsked.isDone());
  }

  @Test
  void aSessionThatEndsHandsOver() throws Exception {
    TestClient holder = writer();
    TestClient waiter = client();
    Future<AcquireLeaseResponse> asked = waiting(waiter, LONG_MS);
    holder.closeSession();
    assertEquals(Outcome.OUTCOME_GRANTED, waiter.outcome(asked));
  }

  @Test
  void p3_aDeadHolderHandsOverWhenItsTimeIsOverAndNotBefore() throws Exception {
    TestClient holder = writer();
    TestClient waiter = client();
    Future<AcquireLeaseResponse> asked = waiting(waiter, LONG_MS);
    server().pass(TTL_MS - 1);
    waiter.keepAlive();
    TestClient impatient = client();
    assertEquals(Outcome.OUTCOME_HELD, impatient.acquire(1));
    assertFalse(asked.isDone());
    server().pass(1);
    assertEquals(Outcome.OUTCOME_GRANTED, waiter.outcome(asked));
    holder.openSession();
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> holder.commit(1));
  }

  @Test
  void aDeadHolderIsNoticedByItselfWhenItsTimeIsOver() throws Exception {
    TestClient holder = writer();
    server().nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(TTL_MS - 300));
    TestClient waiter = client();
    // Its end is awaited for what is left of its time; nobody looks for ended sessions until then.
    Future<AcquireLeaseResponse> asked = waiting(waiter, LONG_MS);
    server().nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(300));
    assertEquals(Outcome.OUTCOME_GRANTED, waiter.outcome(asked));
    assertTrue(waiter.epoch > holder.epoch);
  }

  @Test
  void whoseSessionEndsOrWhoCancelsLeaves() throws Exception {
    TestClient holder = writer();
    TestClient closing = client();
    Future<AcquireLeaseResponse> closed = waiting(closing, LONG_MS);
    TestClient cancelling = client();
    Future<AcquireLeaseResponse> cancelled = waiting(cancelling, LONG_MS);
    TestClient waiter = client();
    Future<AcquireLeaseResponse> asked = waiting(waiter, LONG_MS);
    closing.closeSession();
    assertEquals(Status.Code.NOT_FOUND, failure(closed));
    cancelled.cancel(true);
    server().await("grpsqlite_lease_waiters", 1);
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, waiter.outcome(asked));
    waiter.release();
    assertEquals(Outcome.OUTCOME_GRANTED, holder.acquire(0), "it was given to nobody else");
  }

  @Test
  void aStreamThatOpensLaterIsToldWhatIsWanted() throws Exception {
    TestClient holder = writer();
    Future<AcquireLeaseResponse> asked = waiting(client(), LONG_MS);
    TestWatch watch = holder.watch();
    wanted(watch, holder);
    watch.cancel();
    wanted(holder.watch(holder.watchRequest().build()), holder);
    assertFalse(asked.isDone());
  }

  @Test
  void aLostLeaseIsTold() throws Exception {
    TestClient holder = writer();
    TestWatch watch = holder.watch();
    DatabaseId id = idOf(holder);
    // As another server over the same engine might.
    store()
        .acquireLease(id, new SessionId(1, 2), Optional.of(store().lease(id).get()))
        .get(30, TimeUnit.SECONDS);
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> holder.commit(1));
    WatchResponse.LeaseLost lost = watch.next(EventCase.LEASE_LOST).getLeaseLost();
    assertEquals(holder.database, lost.getDatabaseId());
    assertEquals(holder.epoch, lost.getEpoch());
    WatchResponse again = holder.watch().next(EventCase.LEASE_LOST);
    assertEquals(holder.epoch, again.getLeaseLost().getEpoch());
  }

  @Test
  void aDroppedDatabaseIsWaitedForByNobody() throws Exception {
    TestClient holder = writer();
    Future<AcquireLeaseResponse> asked = waiting(client(), LONG_MS);
    store().drop(idOf(holder)).get(30, TimeUnit.SECONDS);
    TestClient other = client(); // Another database of that name.
    DropDatabaseRequest drop = DropDatabaseRequest.newBuilder().setName(NAME).build();
    assertFalse(other.database.equals(holder.database));
    assertEquals(
        0, AdminGrpc.newBlockingStub(server().channel).dropDatabase(drop).getSerializedSize());
    holder.release();
    assertEquals(Status.Code.NOT_FOUND, failure(asked));
  }

  @Test
  void aRestoreAsksTheHolderToYield() throws Exception {
    if (!store().capabilities().timeTravel()) {
      return;
    }
    TestClient holder = writer();
    holder.commit(1);
    TestWatch watch = holder.watch();
    RestoreDatabaseRequest request =
        RestoreDatabaseRequest.newBuilder()
            .setName(NAME)
            .setCommitId(holder.id())
            .setAtVersion(1)
            .build();
    CompletableFuture<Long> restored =
        CompletableFuture.supplyAsync(
            () ->
                AdminGrpc.newBlockingStub(server().channel).restoreDatabase(request).getVersion());
    wanted(watch, holder);
    assertEquals(2, holder.commit(1));
    holder.release();
    assertEquals(3, restored.get(30, TimeUnit.SECONDS));
    assertEquals(3, watch.skipToVersion(3).getHead().getVersion());
  }

  @Test
  void whoWaitsIsAnsweredWhenTheServerStops() throws Exception {
    TestClient holder = writer();
    Future<AcquireLeaseResponse> asked = waiting(client(), LONG_MS);
    long before = System.nanoTime();
    server().server.close();
    assertTrue(System.nanoTime() - before < ServerOptions.DEFAULTS.drain().toNanos());
    assertEquals(Status.Code.UNAVAILABLE, failure(asked));
    assertTrue(holder.epoch > 0);
  }

  @Test
  void p9_aWaitOfAnyLengthIsTaken() throws Exception {
    TestClient holder = writer();
    TestClient other = client();
    Future<AcquireLeaseResponse> asked = waiting(other, -1);
    holder.release();
    assertEquals(Outcome.OUTCOME_GRANTED, other.outcome(asked));
    // Answered, rather than cut off, before the call's own deadline.
    AcquireLeaseResponse answer =
        inTime(
            millis ->
                holder
                    .pages()
                    .withDeadlineAfter(millis, TimeUnit.MILLISECONDS)
                    .acquireLease(holder.lease(-1).build()));
    assertEquals(Outcome.OUTCOME_HELD, answer.getOutcome());
  }

  /** Gives a call more time if it had too little: the machine may have stopped meanwhile. */
  private static <T> T inTime(LongFunction<T> call) {
    for (long millis = 500; ; millis *= 4) {
      try {
        return call.apply(millis);
      } catch (StatusRuntimeException e) {
        if (e.getStatus().getCode() != Status.Code.DEADLINE_EXCEEDED || millis > LONG_MS) {
          throw e;
        }
      }
    }
  }
}
