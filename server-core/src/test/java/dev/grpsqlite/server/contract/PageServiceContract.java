package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import com.google.rpc.ErrorInfo;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.Changes;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropStageRequest;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.proto.v1.ListDatabasesResponse;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.SetRetentionRequest;
import dev.grpsqlite.proto.v1.Snapshot;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.View;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreCapabilities;
import dev.grpsqlite.server.wire.Pages;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.StatusProto;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.reflection.v1.ServerReflectionResponse;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** The page service and the administration over a store, through a socket. */
@Timeout(120)
public abstract class PageServiceContract extends ServedContract {
  private static final int PAGE_SIZE = 512;
  private static final Changes OTHER_HISTORY =
      Changes.newBuilder().setAll(true).setOtherHistory(true).build();
  private static final String NAME = "tenant-7/main.db";
  private static final ListDatabasesRequest ALL = ListDatabasesRequest.getDefaultInstance();

  private final Random random = new Random(5);
  private final ByteString session = id();

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @Override
  final PageStore openStore(SnapshotPins pins, Path in) throws Exception {
    return open(pins, Clock.systemUTC(), in);
  }

  // ---- Sessions

  @Test
  void aSessionIsOpenedAndTellsWhatTheServerCan() {
    OpenSessionResponse answer = openSession(session);
    assertEquals(TTL_MS, answer.getTtlMs());
    assertEquals(4 << 20, answer.getMaxMessageBytes());
    assertEquals("test-server", answer.getServerName());
    assertTrue(answer.getCapabilities().getWatch());
    StoreCapabilities capabilities = store().capabilities();
    assertEquals(capabilities.commitGroup(), answer.getCapabilities().getCommitGroup());
    assertEquals(capabilities.timeTravel(), answer.getCapabilities().getTimeTravel());
    assertEquals(capabilities.fork(), answer.getCapabilities().getFork());
  }

  @Test
  void aSessionThatIsNotRenewedEndsAndItsLeaseIsFree() {
    Writer a = new Writer(session);
    server().pass(TTL_MS - 1);
    keepAlive(session);
    server().pass(TTL_MS - 1);
    a.commit(1, page(1, 1)); // Does not renew.
    server().pass(1);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> keepAlive(session));
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> a.commit(1, page(1, 1)));

    Writer b = new Writer(id());
    assertTrue(b.epoch > a.epoch);
    b.commit(1, page(1, 2));
    openSession(session);
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> a.commit(1, page(1, 1)));
  }

  /** Whose OpenSession was carried out without an answer knows it by the next KeepAlive. */
  @Test
  void aSessionIsToldFromALaterOneOfItsId() throws Exception {
    long first = openSession(session).getIncarnation();
    assertEquals(first, keepAlive(session).getIncarnation());
    assertEquals(first, openSession(session).getIncarnation());
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());
    long second = openSession(session).getIncarnation();
    assertTrue(second != first && second != 0);
    assertEquals(second, keepAlive(session).getIncarnation());
    if (store().neighbours().canBe()) {
      return; // It is of the store then, and goes on where the session goes on.
    }
    server().pass(TTL_MS);
    openSession(session);
    long third = keepAlive(session).getIncarnation();
    assertTrue(third != first && third != second && third != 0);
    restart(ServerOptions.DEFAULTS);
    openSession(session);
    long fourth = keepAlive(session).getIncarnation();
    assertTrue(fourth != first && fourth != second && fourth != third && fourth != 0);
  }

  @Test
  void p3_aLeaseIsDisplacedOneTtlAfterTheLastKeepAliveAndNotBefore() {
    Writer a = new Writer(session);
    ByteString other = id();
    openSession(other);
    assertEquals(Outcome.OUTCOME_HELD, acquire(other, a.database, 0).getOutcome());
    server().pass(TTL_MS - 1);
    keepAlive(other);
    assertEquals(Outcome.OUTCOME_HELD, acquire(other, a.database, 0).getOutcome());
    server().pass(1);
    AcquireLeaseResponse granted = acquire(other, a.database, 0);
    assertEquals(Outcome.OUTCOME_GRANTED, granted.getOutcome());
    assertTrue(granted.getEpoch() > a.epoch);
  }

  @Test
  void aClosedSessionHasNothingAnyMore() {
    Writer a = new Writer(session);
    ByteString stage = id();
    a.stage(stage, page(1, 1));
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> keepAlive(session));

    Writer b = new Writer(id());
    refused(
        "NO_SUCH_STAGE",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commit(b.request(1).setStageId(stage).build()));
  }

  @Test
  void whatNothingWasCommittedToGoesWithTheSessionThatSaidSo() {
    for (boolean closed : new boolean[] {true, false}) {
      ByteString owner = id();
      openSession(owner);
      for (String name : List.of("unused", "leased", "staged")) {
        openForOneCommit(owner, name);
      }
      openDatabase(owner, "kept");
      Writer leased = new Writer(owner, "leased");
      assertNotEquals(0, leased.epoch);
      new Writer(owner, "staged").stage(id(), page(1, 1));
      assertEquals(4, names(admin().listDatabases(ALL)).size());
      if (closed) {
        pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(owner).build());
      } else {
        server().pass(TTL_MS);
      }
      awaitNames(List.of("kept"));
    }
    // The name is free for another, which is another database.
    new Writer(session, "unused").commit(1, page(1, 2));
  }

  @Test
  void whatOthersNeedStaysWhenASessionEndsThatWouldHaveItDropped() {
    ByteString owner = id();
    openSession(owner);
    for (String name : List.of("committed", "open", "unused")) {
      openForOneCommit(owner, name);
    }
    Writer writer = new Writer(owner, "committed");
    writer.commit(1, page(1, 1));
    openSession(session);
    ByteString open = openDatabase(session, "open").getDatabaseId();
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(owner).build());
    awaitNames(List.of("committed", "open"));
    assertEquals(Outcome.OUTCOME_GRANTED, acquire(session, open, 0).getOutcome());
    assertEquals(1, stat("committed").getHeadVersion());
  }

  @Test
  void p9_aSessionCanHaveOnlySoMuchDropped() {
    openSession(session);
    for (int i = 0; i < 64; i++) {
      openForOneCommit(session, "many/" + i);
    }
    openForOneCommit(session, "many/0");
    refused(
        "LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> openForOneCommit(session, "one-too-many"));
  }

  private void openForOneCommit(ByteString owner, String name) {
    OpenDatabaseResponse unused =
        pages()
            .openDatabase(
                OpenDatabaseRequest.newBuilder()
                    .setSessionId(owner)
                    .setName(name)
                    .setCreate(true)
                    .setDropUnlessCommitted(true)
                    .build());
  }

  private void awaitNames(List<String> expected) {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!names(admin().listDatabases(ALL)).equals(expected) && System.nanoTime() < deadline) {
      Thread.onSpinWait();
    }
    assertEquals(expected, names(admin().listDatabases(ALL)));
  }

  @Test
  void afterARestartALeaseIsItsHoldersUntilOneTtlHasPassed() throws Exception {
    Writer a = new Writer(session);
    a.commit(1, page(1, 1));
    restart(ServerOptions.DEFAULTS);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> a.commit(1, page(1, 2)));

    ByteString other = id();
    openSession(other);
    assertEquals(Outcome.OUTCOME_HELD, acquire(other, a.database, 1).getOutcome());
    openSession(session);
    a.commit(1, page(1, 2));
    AcquireLeaseResponse again = acquire(session, a.database, 2);
    assertEquals(Outcome.OUTCOME_GRANTED, again.getOutcome());
    assertTrue(again.getEpoch() > a.epoch, "it was given before the restart");
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> a.commit(1, page(1, 2)));
    assertEquals(again, acquire(session, a.database, 2));

    restart(ServerOptions.DEFAULTS);
    openSession(other);
    server().pass(TTL_MS - 1);
    keepAlive(other);
    assertEquals(Outcome.OUTCOME_HELD, acquire(other, a.database, 2).getOutcome());
    server().pass(1);
    assertEquals(Outcome.OUTCOME_GRANTED, acquire(other, a.database, 2).getOutcome());
    openSession(session);
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> a.commit(1, page(1, 3)));
  }

  @Test
  void aWriterThatGoesOnAfterARestartAndClosesLeavesTheLeaseFree() throws Exception {
    Writer a = new Writer(session);
    a.commit(1, page(1, 1));
    restart(ServerOptions.DEFAULTS);
    openSession(session);
    a.commit(1, page(1, 2));
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());

    ByteString other = id();
    openSession(other);
    assertEquals(Outcome.OUTCOME_GRANTED, acquire(other, a.database, 2).getOutcome());
  }

  @Test
  void aLostLeaseIsToldWithTheNextKeepAlive() throws Exception {
    Writer a = new Writer(session);
    PageStore store = store();
    // What recall will do one day: the holder changes while the session lives.
    dev.grpsqlite.server.spi.DatabaseId id =
        dev.grpsqlite.server.spi.DatabaseId.read(a.database.asReadOnlyByteBuffer());
    store
        .acquireLease(
            id,
            new dev.grpsqlite.server.spi.SessionId(1, 2),
            java.util.Optional.of(store.lease(id).get()))
        .get();
    assertEquals(0, keepAlive(session).getLostLeasesCount());
    refused("LEASE_LOST", Status.Code.FAILED_PRECONDITION, () -> a.commit(1, page(1, 1)));
    assertEquals(List.of(a.database), keepAlive(session).getLostLeasesList());
  }

  // ---- Reading and writing

  @Test
  void whatWasCommittedIsRead() {
    Writer writer = new Writer(session);
    assertEquals(1, writer.commit(3, page(1, 11), page(2, 12), zeros(3)));
    assertEquals(2, writer.commit(3, page(2, 22)));
    OpenDatabaseResponse opened = openDatabase(session, NAME);
    assertEquals(writer.database, opened.getDatabaseId());
    assertEquals(snapshot(2, 3, writer.mark), opened.getSnapshot());
    assertEquals(2, opened.getHeadVersion());
    assertEquals(List.of(at(1, page(1, 11))), opened.getPagesList());
    assertEquals(
        List.of(at(1, zeros(3)), at(1, page(1, 11)), at(2, page(2, 22))),
        read(writer.database, 2, range(3, 1), range(1, 2)));

    RefreshResponse refreshed = refresh(writer.database, 1);
    assertEquals(snapshot(2, 3, writer.mark), refreshed.getHead());
    assertEquals(List.of(2), refreshed.getChanges().getPagesList());
    assertFalse(refreshed.getChanges().getAll());
    assertEquals(0, refresh(writer.database, 2).getChanges().getPagesCount());
    assertTrue(refresh(writer.database, 77).getChanges().getAll());
  }

  // ---- Who knows versions of a history that the server has lost

  @Test
  void aRefreshComparesMarks() {
    Writer writer = new Writer(session);
    assertEquals(0, openDatabase(session, NAME).getSnapshot().getMark());
    writer.commit(2, page(1, 1), page(2, 1));
    long first = writer.mark;
    writer.commit(2, page(2, 2));
    long second = writer.mark;
    for (long right : new long[] {first, 0}) {
      assertEquals(changes(2), refresh(writer.database, 1, right).getChanges());
    }
    for (long right : new long[] {second, 0}) {
      assertEquals(changes(), refresh(writer.database, 2, right).getChanges());
      assertEquals(OTHER_HISTORY, refresh(writer.database, 3, right).getChanges());
    }
    for (long wrong : new long[] {first ^ 1, first ^ 1L << 63, second}) {
      assertEquals(OTHER_HISTORY, refresh(writer.database, 1, wrong).getChanges());
    }
    assertEquals(OTHER_HISTORY, refresh(writer.database, 2, first).getChanges());
    assertEquals(
        snapshot(2, 2, second), refresh(writer.database, 2, first).getHead(), "what is here");
    assertEquals(changes(1, 2), refresh(writer.database, 0, 0).getChanges());
  }

  /** What changed since may be known for much longer than what it was. */
  @Test
  void marksAreComparedAsLongAsChangesAreTold() {
    Writer writer = new Writer(session);
    long[] marks = new long[30];
    for (int i = 1; i < marks.length; i++) {
      writer.floor = i;
      writer.commit(1, page(1, i));
      marks[i] = writer.mark;
    }
    int head = marks.length - 1;
    for (int i = 1; i < marks.length; i++) {
      Changes right = refresh(writer.database, i, marks[i]).getChanges();
      assertFalse(right.getOtherHistory(), "version " + i);
      Changes wrong = refresh(writer.database, i, marks[i] + 1).getChanges();
      assertTrue(wrong.getAll(), "version " + i);
      assertTrue(wrong.getOtherHistory() || right.getAll(), "version " + i);
    }
    assertEquals(changes(), refresh(writer.database, head, marks[head]).getChanges());
  }

  @Test
  void aLeaseIsAskedForWithAMark() {
    Writer writer = new Writer(session);
    writer.commit(2, page(1, 1), page(2, 1));
    long first = writer.mark;
    writer.commit(2, page(2, 2));
    long second = writer.mark;
    release(session, writer.database, writer.epoch);
    ByteString other = id();
    openSession(other);
    AcquireLeaseRequest.Builder request =
        AcquireLeaseRequest.newBuilder()
            .setSessionId(other)
            .setDatabaseId(writer.database)
            .setHaveVersion(2);
    for (int waitMs : new int[] {0, 1000}) {
      AcquireLeaseResponse moved =
          pages().acquireLease(request.setWaitMs(waitMs).setHaveMark(first).build());
      assertEquals(Outcome.OUTCOME_HEAD_MOVED, moved.getOutcome());
      assertEquals(snapshot(2, 2, second), moved.getHead());
      assertEquals(0, moved.getEpoch());
    }
    AcquireLeaseResponse right = pages().acquireLease(request.setHaveMark(second).build());
    assertEquals(Outcome.OUTCOME_GRANTED, right.getOutcome());
    assertEquals(writer.epoch + 1, right.getEpoch(), "it was taken for nobody in between");
    assertEquals(changes(), right.getChanges());
    request.setAtAnyVersion(true);
    assertEquals(
        OTHER_HISTORY, granted(request.setHaveMark(first).build()).getChanges(), "of the head");
    assertEquals(changes(), granted(request.setHaveMark(0).build()).getChanges());
    request.setHaveVersion(1);
    assertEquals(OTHER_HISTORY, granted(request.setHaveMark(second).build()).getChanges());
    assertEquals(changes(2), granted(request.setHaveMark(first).build()).getChanges());
    assertEquals(
        OTHER_HISTORY, granted(request.setHaveVersion(3).build()).getChanges(), "above the head");
  }

  private AcquireLeaseResponse granted(AcquireLeaseRequest request) {
    AcquireLeaseResponse answer = pages().acquireLease(request);
    assertEquals(Outcome.OUTCOME_GRANTED, answer.getOutcome());
    return answer;
  }

  @Test
  void pagesAreReadWithTheMarkOfTheirVersion() {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    long first = writer.mark;
    writer.commit(1, page(1, 2));
    long second = writer.mark;
    ByteString stage = id();
    writer.stage(stage, page(1, 3));
    for (long right : new long[] {first, 0}) {
      assertEquals(
          List.of(at(1, page(1, 1))),
          collect(readRequest(writer.database, 1, range(1, 1)).toBuilder().setMark(right).build()));
    }
    for (long version : new long[] {1, 2}) {
      ReadPagesRequest.Builder wrong =
          readRequest(writer.database, version, range(1, 1)).toBuilder()
              .setMark(version == 1 ? second : first);
      StatusRuntimeException e =
          assertThrows(StatusRuntimeException.class, () -> collect(wrong.build()));
      assertTrue(
          String.valueOf(e.getMessage()).contains("replaced by an older copy"), e::getMessage);
      refused("NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> collect(wrong.build()));
      refused(
          "NO_SUCH_VERSION",
          Status.Code.OUT_OF_RANGE,
          () -> collect(wrong.setStageId(stage).build()));
    }
  }

  @Test
  void p6_aViewKeepsItsVersionUntilItsFloorRises() {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    ByteString reader = id();
    openSession(reader);
    OpenDatabaseResponse opened = openDatabase(reader, NAME);
    assertEquals(1, opened.getSnapshot().getVersion());
    for (int i = 2; i < 20; i++) {
      writer.floor = i;
      writer.commit(1, page(1, i));
    }
    assertEquals(List.of(at(1, page(1, 1))), read(writer.database, 1, range(1, 1)));
    pages()
        .keepAlive(
            KeepAliveRequest.newBuilder()
                .setSessionId(reader)
                .addViews(
                    View.newBuilder().setDatabaseId(writer.database).setFloorVersion(15).build())
                .build());
    writer.commit(1, page(1, 20));
    assertEquals(List.of(at(15, page(1, 15))), read(writer.database, 15, range(1, 1)));
    pages()
        .keepAlive(
            KeepAliveRequest.newBuilder()
                .setSessionId(reader)
                .addViews(View.newBuilder().setDatabaseId(writer.database).setClosed(true).build())
                .build());
    writer.commit(1, page(1, 21));
    assertEquals(List.of(at(21, page(1, 21))), read(writer.database, 21, range(1, 1)));
  }

  @Test
  void p5_aCommitWhoseAnswerWasLostIsSentAgain() {
    Writer writer = new Writer(session);
    CommitRequest request = writer.request(1, page(1, 1)).build();
    assertEquals(1, pages().commit(request).getVersion());
    assertEquals(1, pages().commit(request).getVersion());
    assertEquals(snapshot(1, 1, mark(request)), refresh(writer.database, 0).getHead());
  }

  @Test
  void p1_stagedPagesAreSeenByTheirTransactionAloneUntilCommitted() {
    Writer writer = new Writer(session);
    writer.commit(2, page(1, 1), page(2, 2));
    ByteString stage = id();
    writer.stage(stage, page(2, 22), page(3, 33));
    assertEquals(snapshot(1, 2, writer.mark), refresh(writer.database, 1).getHead());
    assertEquals(List.of(at(1, page(2, 2))), read(writer.database, 1, range(2, 1)));
    assertEquals(
        List.of(at(1, page(1, 1)), page(2, 22), page(3, 33), zeros(4)),
        collect(
            readRequest(writer.database, 1, range(1, 4)).toBuilder().setStageId(stage).build()));
    assertEquals(2, pages().commit(writer.request(3).setStageId(stage).build()).getVersion());
    assertEquals(
        List.of(at(1, page(1, 1)), at(2, page(2, 22)), at(2, page(3, 33))),
        read(writer.database, 2, range(1, 3)));

    writer.base = 2;
    writer.stage(stage, page(1, 5));
    DropStageRequest drop =
        DropStageRequest.newBuilder()
            .setSessionId(session)
            .setDatabaseId(writer.database)
            .setStageId(stage)
            .build();
    pages().dropStage(drop);
    pages().dropStage(drop);
    refused(
        "NO_SUCH_STAGE",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commit(writer.request(3).setStageId(stage).build()));
    refused(
        "NO_SUCH_STAGE",
        Status.Code.FAILED_PRECONDITION,
        () ->
            collect(
                readRequest(writer.database, 2, range(1, 1)).toBuilder()
                    .setStageId(stage)
                    .build()));
  }

  @Test
  void aLeaseIsAskedForWithWhatWasSeen() {
    Writer writer = new Writer(session);
    writer.commit(2, page(1, 1), page(2, 2));
    writer.commit(2, page(2, 3));
    pages()
        .releaseLease(
            ReleaseLeaseRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(writer.database)
                .setEpoch(writer.epoch)
                .build());
    ByteString other = id();
    openSession(other);
    AcquireLeaseResponse moved = acquire(other, writer.database, 1);
    assertEquals(Outcome.OUTCOME_HEAD_MOVED, moved.getOutcome());
    assertEquals(snapshot(2, 2, writer.mark), moved.getHead());
    AcquireLeaseResponse any =
        pages()
            .acquireLease(
                AcquireLeaseRequest.newBuilder()
                    .setSessionId(other)
                    .setDatabaseId(writer.database)
                    .setHaveVersion(1)
                    .setAtAnyVersion(true)
                    .build());
    assertEquals(Outcome.OUTCOME_GRANTED, any.getOutcome());
    assertEquals(List.of(2), any.getChanges().getPagesList());
    assertEquals(snapshot(2, 2, writer.mark), any.getHead());
    AcquireLeaseResponse again = acquire(other, writer.database, 2);
    assertEquals(any.getEpoch(), again.getEpoch());
    assertEquals(Outcome.OUTCOME_HELD, acquire(session, writer.database, 2).getOutcome());
    pages()
        .releaseLease(
            ReleaseLeaseRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(writer.database)
                .setEpoch(writer.epoch)
                .build());
    assertEquals(Outcome.OUTCOME_HELD, acquire(session, writer.database, 2).getOutcome());
  }

  @Test
  void manyPagesComeInOrderInMessagesThatAreNotLarge() {
    Writer writer = new Writer(session);
    writer.pageSize = 65_536;
    int count = 100;
    for (int from = 1; from <= count; from += 50) {
      List<Page> part = new ArrayList<>();
      for (int i = from; i < from + 50; i++) {
        part.add(page(i, 65_536, i));
      }
      writer.commit(from + 49, part.toArray(new Page[0]));
    }
    int next = 1;
    Iterator<ReadPagesResponse> messages =
        pages().readPages(readRequest(writer.database, 2, range(1, count)));
    while (messages.hasNext()) {
      ReadPagesResponse message = messages.next();
      assertTrue(message.getSerializedSize() < 1_100_000);
      for (Page page : message.getPagesList()) {
        assertEquals(at(next <= 50 ? 1 : 2, page(next, 65_536, next)), page);
        next++;
      }
    }
    assertEquals(count + 1, next);
  }

  // ---- Limits and refusals

  @Test
  void p9_aClientThatDoesNotTakeItsPagesIsNotReadFor() throws Exception {
    Writer writer = new Writer(session);
    writer.pageSize = 65_536;
    int count = 1000;
    ByteString stage = id();
    for (int i = 1; i <= count; i += 50) {
      List<Page> part = new ArrayList<>();
      for (int page = i; page < i + 50; page++) {
        part.add(page(page, 65_536, 1));
      }
      writer.stage(stage, part.toArray(new Page[0]));
    }
    pages().commit(writer.request(count).setStageId(stage).build());

    LinkedBlockingQueue<ReadPagesResponse> arrived = new LinkedBlockingQueue<>();
    ClientCall<ReadPagesRequest, ReadPagesResponse> slow =
        server().channel.newCall(PageStoreGrpc.getReadPagesMethod(), CallOptions.DEFAULT);
    slow.start(
        new ClientCall.Listener<>() {
          @Override
          public void onMessage(ReadPagesResponse message) {
            arrived.add(message);
          }
        },
        new Metadata());
    slow.request(1);
    slow.sendMessage(readRequest(writer.database, 1, range(1, count)));
    slow.halfClose();
    assertTrue(arrived.poll(60, TimeUnit.SECONDS) != null);
    // Answers on the same connection: had the server been reading on, it would have by now.
    for (int i = 0; i < 50; i++) {
      refresh(writer.database, 1);
    }
    double read = server().metric("grpsqlite_pages_read_total");
    slow.cancel("enough", null);
    assertTrue(read <= 200, read + " pages were read for a client that took 16");
  }

  @Test
  void p1_stagingCallsAreCountedIfTheyHaveNumbers() {
    Writer writer = new Writer(session);
    ByteString stage = id();
    writer.stage(stage, 1, page(1, 1));
    writer.stage(stage, 2, page(1, 2));
    writer.stage(stage, 1, page(1, 1));
    refused(
        "NO_SUCH_STAGE", Status.Code.FAILED_PRECONDITION, () -> writer.stage(stage, 4, page(1, 4)));
    refused(
        "INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> writer.stage(stage, -1, page(1, 4)));
    CommitRequest commit = writer.request(1).setStageId(stage).build();
    assertEquals(1, pages().commit(commit).getVersion());
    assertEquals(List.of(at(1, page(1, 2))), read(writer.database, 1, range(1, 1)));
  }

  /** Requests so large that what they are read into is used again. */
  @Test
  void p1_largeRequestsAtOnceKeepTheirPages() throws Exception {
    Writer writer = new Writer(session);
    ByteString stage = id();
    int count = 400;
    int requests = 12;
    PageStoreGrpc.PageStoreFutureStub later = PageStoreGrpc.newFutureStub(pages().getChannel());
    List<Future<?>> staged = new ArrayList<>();
    for (int i = 0; i < requests; i++) {
      Page[] part = new Page[count];
      for (int j = 0; j < count; j++) {
        part[j] = page(i * count + j + 1, i * count + j + 1);
      }
      staged.add(later.stagePages(writer.stageRequest(stage, part).setBulk(true).build()));
    }
    for (Future<?> each : staged) {
      each.get(1, TimeUnit.MINUTES);
    }
    pages().commit(writer.request(requests * count).setStageId(stage).build());
    List<Page> read = read(writer.database, 1, range(1, requests * count));
    assertEquals(requests * count, read.size());
    for (int i = 0; i < requests * count; i++) {
      assertEquals(at(1, page(i + 1, i + 1)), read.get(i));
    }
  }

  @Test
  void p9_badFieldsAreRefused() {
    Writer writer = new Writer(session);
    writer.commit(2, page(1, 1), page(2, 2));
    ByteString database = writer.database;
    ByteString shortId = ByteString.copyFrom(new byte[15]);
    invalid(() -> openSession(shortId));
    invalid(() -> openSession(ByteString.EMPTY));
    invalid(
        () ->
            pages()
                .openSession(
                    OpenSessionRequest.newBuilder()
                        .setSessionId(session)
                        .setClientName("x".repeat(257))
                        .build()));
    for (String name :
        List.of("", "/main.db", "../main.db", "a/../b", "a/..", "a\0b", "\u00e9".repeat(257))) {
      refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> openDatabase(session, name));
    }
    openDatabase(session, "..a/b..c/.../\u00e9");
    openDatabase(session, "x".repeat(512));
    invalid(() -> refresh(shortId, 0));
    invalid(() -> refresh(database, -1));
    invalid(() -> read(database, 1, range(0, 1)));
    invalid(() -> read(database, 1, range(1, 0)));
    invalid(() -> read(database, 1, range(3, 1)));
    invalid(() -> read(database, 1, range(2, 2)));
    invalid(() -> read(database, 1, range(-1, 1)));
    invalid(() -> read(database, 1, range(-2, 2)));
    invalid(() -> read(database, 1, range(1, 1), range(1, 1)));
    invalid(() -> read(database, 1, range(2, 1), range(1, 2)));
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> read(database, 1, range(1, 100_000)));
    assertEquals(0, read(database, 1).size());
    for (int size : new int[] {0, 1, 256, 511, 1000, 131_072, -512, Integer.MIN_VALUE}) {
      invalid(() -> pages().commit(writer.request(1).setPageSize(size).build()));
      invalid(
          () ->
              pages().stagePages(writer.stageRequest(id(), page(1, 1)).setPageSize(size).build()));
    }
    invalid(() -> writer.commit(1, page(2, 1)));
    invalid(() -> writer.commit(2, page(1, 1), page(1, 2)));
    invalid(() -> writer.commit(2, page(2, 1), page(1, 2), page(2, 3)));
    invalid(() -> writer.commit(2, page(0, 1)));
    invalid(() -> writer.commit(2, page(1, 1024, 1)));
    invalid(() -> writer.commit(-1, page(1, 1)));
    invalid(() -> pages().commit(writer.request(2).setCommitId(shortId).build()));
    invalid(() -> pages().commit(writer.request(2).setStageId(shortId).build()));
    invalid(() -> writer.commit(4, page(4, 1)));
    Page wrong = page(1, 1).toBuilder().setChecksum(1).build();
    refused("CHECKSUM_MISMATCH", Status.Code.DATA_LOSS, () -> writer.commit(2, wrong));
    refused("CHECKSUM_MISMATCH", Status.Code.DATA_LOSS, () -> writer.stage(id(), wrong));
    refused(
        "CHECKSUM_MISMATCH",
        Status.Code.DATA_LOSS,
        () -> writer.commit(2, zeros(1).toBuilder().setChecksum(1).build()));
    assertEquals(snapshot(1, 2, writer.mark), refresh(database, 1).getHead());
  }

  @Test
  void everyRefusalHasItsReason() {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    ByteString database = writer.database;
    ByteString nobody = id();
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> openDatabase(nobody, NAME));
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> acquire(nobody, database, 1));
    refused(
        "NO_SUCH_DATABASE",
        Status.Code.NOT_FOUND,
        () ->
            pages()
                .openDatabase(
                    OpenDatabaseRequest.newBuilder()
                        .setSessionId(session)
                        .setName("nothing")
                        .build()));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> refresh(id(), 0));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> read(id(), 0, range(1, 1)));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> acquire(session, id(), 0));
    refused("NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> read(database, 2, range(1, 1)));
    writer.base = 0;
    refused("HEAD_MOVED", Status.Code.FAILED_PRECONDITION, () -> writer.commit(1, page(1, 2)));
    writer.base = 1;
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commit(writer.request(1, page(1, 2)).setEpoch(99).build()));
    refused(
        "NO_SUCH_STAGE",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commit(writer.request(1).setStageId(id()).build()));
  }

  // ---- Groups

  @Test
  void p1_aGroupIsCommittedWholeAndAnsweredAgain() {
    if (!store().capabilities().commitGroup()) {
      unsupported(() -> pages().commitGroup(CommitGroupRequest.getDefaultInstance()));
      return;
    }
    Writer a = new Writer(session);
    Writer b = new Writer(session, "other.db");
    ByteString stage = id();
    b.stage(stage, page(1, 2), page(2, 3));
    CommitGroupRequest group =
        group(
            a.request(1, page(1, 1)).clearSessionId().setFloorVersion(1).build(),
            b.request(2).setStageId(stage).build());
    assertEquals(List.of(1L, 1L), pages().commitGroup(group).getVersionsList());
    assertEquals(List.of(1L, 1L), pages().commitGroup(group).getVersionsList());
    assertEquals(List.of(at(1, page(1, 1))), read(a.database, 1, range(1, 1)));
    assertEquals(List.of(at(1, page(1, 2)), at(1, page(2, 3))), read(b.database, 1, range(1, 2)));
    a.base = 1;
    assertEquals(2, a.commit(1, page(1, 4)));
    assertEquals(List.of(1L, 1L), pages().commitGroup(group).getVersionsList());
  }

  @Test
  void p1_aGroupIsRefusedWhole() {
    if (!store().capabilities().commitGroup()) {
      return; // said so above
    }
    Writer a = new Writer(session);
    Writer b = new Writer(session, "other.db");
    CommitRequest good = a.request(1, page(1, 1)).build();
    CommitRequest.Builder of = b.request(1, page(1, 1));
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commitGroup(group(good, of.clone().setEpoch(99).build())));
    refused(
        "HEAD_MOVED",
        Status.Code.FAILED_PRECONDITION,
        () -> pages().commitGroup(group(good, of.clone().setBaseVersion(7).build())));
    refused(
        "CHECKSUM_MISMATCH",
        Status.Code.DATA_LOSS,
        () ->
            pages()
                .commitGroup(
                    group(
                        good,
                        of.clone().setPages(0, page(1, 1).toBuilder().setChecksum(3)).build())));
    invalid(() -> pages().commitGroup(group(good, a.request(1, page(1, 2)).build())));
    invalid(() -> pages().commitGroup(group()));
    invalid(() -> pages().commitGroup(group(good, of.clone().setSessionId(id()).build())));
    CommitRequest[] many = new CommitRequest[CommitGroups.MAX_COMMITS + 1];
    Arrays.fill(many, good);
    invalid(() -> pages().commitGroup(group(many)));
    refused(
        "NO_SUCH_SESSION",
        Status.Code.NOT_FOUND,
        () -> pages().commitGroup(group(good).toBuilder().setSessionId(id()).build()));
    assertEquals(0, refresh(a.database, 0).getHead().getVersion());
    assertEquals(0, refresh(b.database, 0).getHead().getVersion());
    assertEquals(List.of(), keepAlive(session).getLostLeasesList());
    assertEquals(List.of(1L, 1L), pages().commitGroup(group(good, of.build())).getVersionsList());
  }

  private CommitGroupRequest group(CommitRequest... commits) {
    return CommitGroupRequest.newBuilder()
        .setSessionId(session)
        .addAllCommits(List.of(commits))
        .build();
  }

  @Test
  void openingAtAVersionIsRefusedWhereTheStoreCannot() {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    OpenDatabaseRequest.Builder request =
        OpenDatabaseRequest.newBuilder().setSessionId(session).setName(NAME).setView(1);
    if (openSession(session).getCapabilities().getTimeTravel()) {
      assertEquals(
          1, pages().openDatabase(request.setAtVersion(1).build()).getSnapshot().getVersion());
      invalid(() -> pages().openDatabase(request.clone().setView(0).build()));
      return;
    }
    unsupported(() -> pages().openDatabase(request.clone().setAtVersion(1).build()));
    unsupported(
        () ->
            pages()
                .openDatabase(
                    request.clone().setAtTime(Timestamp.newBuilder().setSeconds(1)).build()));
  }

  @Test
  void p9_sessionsAndStagedBytesHaveLimits() throws Exception {
    ServerOptions defaults = ServerOptions.DEFAULTS;
    restart(
        new ServerOptions(
            defaults.services(),
            true,
            defaults.sessionTtl(),
            new SessionLimits(2, 2, 100, 1 << 20, 1 << 20, 100),
            1500,
            256 << 10,
            10,
            defaults.maxCallsPerConnection(),
            defaults.admission(),
            defaults.drain(),
            defaults.quota()));
    server().pass(TTL_MS);
    Writer writer = new Writer(session);
    openSession(id());
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> openSession(id()));
    openSession(session);

    ByteString stage = id();
    writer.stage(stage, page(1, 1), page(2, 2));
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> writer.stage(stage, page(3, 3)));
    pages()
        .dropStage(
            DropStageRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(writer.database)
                .setStageId(stage)
                .build());
    writer.stage(stage, page(1, 1), page(2, 2));
    pages().commit(writer.request(2).setStageId(stage).build());
    writer.base = 1;
    writer.stage(stage, page(1, 1), page(2, 2));

    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> read(writer.database, 1, range(1, 11)));
    Page[] tooMuch = new Page[512];
    Arrays.setAll(tooMuch, i -> page(i + 1, i));
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> writer.commit(512, tooMuch));
    assertEquals(Status.Code.RESOURCE_EXHAUSTED, e.getStatus().getCode());
    keepAlive(session);
  }

  @Test
  void p9_garbageHarmsNobody() throws Exception {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    List<byte[]> seeds = new ArrayList<>();
    seeds.add(new byte[0]);
    seeds.add(writer.request(1, page(1, 2)).setEpoch(99).build().toByteArray());
    seeds.add(readRequest(writer.database, 1, range(1, 1)).toByteArray());
    seeds.add(writer.stageRequest(id(), page(1, 2)).setEpoch(98).build().toByteArray());
    long seed = Long.getLong("garbage.seed", new Random().nextLong());
    System.out.println("garbage with -Dgarbage.seed=" + seed);
    Random garbage = new Random(seed);
    Set<Status.Code> codes = new java.util.TreeSet<>();
    for (int i = 0; i < 500; i++) {
      byte[] message = seeds.get(garbage.nextInt(seeds.size())).clone();
      int mutations = garbage.nextInt(6);
      for (int m = 0; m < mutations && message.length > 0; m++) {
        message[garbage.nextInt(Math.min(message.length, 120))] = (byte) garbage.nextInt();
      }
      if (garbage.nextInt(4) == 0) {
        message = Arrays.copyOf(message, garbage.nextInt(message.length + 20));
      }
      List<MethodDescriptor<?, ?>> methods =
          List.copyOf(PageStoreGrpc.getServiceDescriptor().getMethods());
      MethodDescriptor<?, ?> method = methods.get(garbage.nextInt(methods.size()));
      codes.add(send(method.getFullMethodName(), message));
    }
    assertEquals(
        Set.of(),
        codes.stream()
            .filter(
                Set.of(
                        Status.Code.DEADLINE_EXCEEDED,
                        Status.Code.UNAVAILABLE,
                        Status.Code.UNKNOWN,
                        Status.Code.INTERNAL)
                    ::contains)
            .collect(java.util.stream.Collectors.toSet()));
    assertEquals(
        Status.Code.INVALID_ARGUMENT,
        send(PageStoreGrpc.getCommitMethod().getFullMethodName(), new byte[] {0, 0, 0}));
    openSession(session);
    assertEquals(List.of(at(1, page(1, 1))), read(writer.database, 1, range(1, 1)));
  }

  private Status.Code send(String method, byte[] message) {
    MethodDescriptor<byte[], byte[]> raw =
        MethodDescriptor.<byte[], byte[]>newBuilder()
            .setType(MethodType.SERVER_STREAMING)
            .setFullMethodName(method)
            .setRequestMarshaller(new Bytes())
            .setResponseMarshaller(new Bytes())
            .build();
    try {
      Iterator<byte[]> answers =
          ClientCalls.blockingServerStreamingCall(
              server().channel,
              raw,
              CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS),
              message);
      while (answers.hasNext()) {
        answers.next();
        if (method.equals(PageStoreGrpc.getWatchMethod().getFullMethodName())) {
          break; // It goes on until the deadline.
        }
      }
      return Status.Code.OK;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode();
    }
  }

  private static final class Bytes implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      return new ByteArrayInputStream(value);
    }

    @Override
    public byte[] parse(InputStream stream) {
      try {
        return stream.readAllBytes();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  // ---- Administration and health

  @Test
  void databasesAreListedAndDescribedAndDropped() {
    Writer writer = new Writer(session);
    writer.commit(1, page(1, 1));
    for (String name : List.of("a", "b/1", "b/2", "b/3")) {
      openDatabase(session, name);
    }
    ListDatabasesResponse first =
        admin()
            .listDatabases(
                ListDatabasesRequest.newBuilder().setPrefix("b/").setPageLimit(2).build());
    assertEquals(List.of("b/1", "b/2"), names(first));
    ListDatabasesResponse second =
        admin()
            .listDatabases(
                ListDatabasesRequest.newBuilder()
                    .setPrefix("b/")
                    .setPageLimit(2)
                    .setPageToken(first.getNextPageToken())
                    .build());
    assertEquals(List.of("b/3"), names(second));
    assertEquals("", second.getNextPageToken());

    DatabaseInfo info = stat(NAME);
    assertEquals(writer.database, info.getDatabaseId());
    assertEquals(1, info.getHeadVersion());
    assertEquals(1, info.getPageCount());
    assertEquals(PAGE_SIZE, info.getPageSize());
    assertNotEquals(0, info.getCommittedAt().getSeconds());

    DropDatabaseRequest drop = DropDatabaseRequest.newBuilder().setName(NAME).build();
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, () -> admin().dropDatabase(drop));
    pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());
    admin().dropDatabase(drop);
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> stat(NAME));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> admin().dropDatabase(drop));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> stat("/"));
  }

  @Test
  void whatTheStoreCannotDoWithVersionsIsRefusedAsUnsupported() {
    openSession(session);
    openDatabase(session, NAME);
    if (!store().capabilities().fork()) {
      unsupported(
          () ->
              admin()
                  .forkDatabase(
                      ForkDatabaseRequest.newBuilder().setName(NAME).setNewName("fork").build()));
    }
    if (!store().capabilities().timeTravel()) {
      unsupported(
          () -> admin().listVersions(ListVersionsRequest.newBuilder().setName(NAME).build()));
      unsupported(
          () ->
              admin()
                  .restoreDatabase(
                      RestoreDatabaseRequest.newBuilder()
                          .setName(NAME)
                          .setAtVersion(0)
                          .setCommitId(id())
                          .build()));
      unsupported(
          () -> admin().setRetention(SetRetentionRequest.newBuilder().setName(NAME).build()));
    }
    assertFalse(stat(NAME).hasRetention());
    assertEquals("", stat(NAME).getForkedFrom());
  }

  private static List<String> names(ListDatabasesResponse answer) {
    return answer.getDatabasesList().stream().map(DatabaseInfo::getName).toList();
  }

  private DatabaseInfo stat(String name) {
    return admin()
        .statDatabase(StatDatabaseRequest.newBuilder().setName(name).build())
        .getDatabase();
  }

  @Test
  void healthIsServed() {
    HealthGrpc.HealthBlockingStub health =
        HealthGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
    for (String service : List.of("", "grpsqlite.v1.PageStore", "grpc_vfs.Grpsqlite")) {
      assertEquals(
          ServingStatus.SERVING,
          health.check(HealthCheckRequest.newBuilder().setService(service).build()).getStatus());
    }
  }

  @Test
  void reflectionTellsOfTheServices() throws Exception {
    LinkedBlockingQueue<ServerReflectionResponse> answers = new LinkedBlockingQueue<>();
    StreamObserver<ServerReflectionRequest> reflection =
        ServerReflectionGrpc.newStub(server().channel)
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(ServerReflectionResponse answer) {
                    answers.add(answer);
                  }

                  @Override
                  public void onError(Throwable error) {}

                  @Override
                  public void onCompleted() {}
                });
    reflection.onNext(
        ServerReflectionRequest.newBuilder()
            .setFileContainingSymbol("grpsqlite.v1.PageStore")
            .build());
    ServerReflectionResponse answer = answers.poll(60, TimeUnit.SECONDS);
    reflection.onCompleted();
    assertTrue(
        answer != null && answer.getFileDescriptorResponse().getFileDescriptorProtoCount() > 0);
  }

  @Test
  void aServerWithoutThePageServiceSaysUnimplemented() throws Exception {
    restart(ServerOptions.DEFAULTS.withServices(Set.of(ServerOptions.Service.FILE)));
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> openSession(session));
    assertEquals(Status.Code.UNIMPLEMENTED, e.getStatus().getCode());
  }

  // ---- Means

  private final class Writer {
    final ByteString owner;
    final ByteString database;
    final long epoch;
    long base;

    /** Of the version that it committed last. */
    long mark;

    long floor;
    int pageSize = PAGE_SIZE;

    Writer(ByteString owner) {
      this(owner, NAME);
    }

    Writer(ByteString owner, String name) {
      this.owner = owner;
      openSession(owner);
      OpenDatabaseResponse answer = openDatabase(owner, name);
      database = answer.getDatabaseId();
      base = answer.getHeadVersion();
      AcquireLeaseResponse lease = acquire(owner, database, base);
      assertEquals(Outcome.OUTCOME_GRANTED, lease.getOutcome());
      epoch = lease.getEpoch();
    }

    CommitRequest.Builder request(int pageCount, Page... changed) {
      return CommitRequest.newBuilder()
          .setSessionId(owner)
          .setDatabaseId(database)
          .setEpoch(epoch)
          .setCommitId(id())
          .setBaseVersion(base)
          .setPageSize(pageSize)
          .setPageCount(pageCount)
          .setFloorVersion(floor)
          .addAllPages(List.of(changed));
    }

    long commit(int pageCount, Page... changed) {
      CommitRequest request = request(pageCount, changed).build();
      base = pages().commit(request).getVersion();
      mark = mark(request);
      return base;
    }

    StagePagesRequest.Builder stageRequest(ByteString stage, Page... part) {
      return StagePagesRequest.newBuilder()
          .setSessionId(owner)
          .setDatabaseId(database)
          .setEpoch(epoch)
          .setStageId(stage)
          .setPageSize(pageSize)
          .addAllPages(List.of(part));
    }

    void stage(ByteString stage, long call, Page... part) {
      pages().stagePages(stageRequest(stage, part).setCall(call).build());
    }

    void stage(ByteString stage, Page... part) {
      pages().stagePages(stageRequest(stage, part).build());
    }
  }

  private OpenSessionResponse openSession(ByteString id) {
    return pages()
        .openSession(
            OpenSessionRequest.newBuilder().setSessionId(id).setClientName("test").build());
  }

  private KeepAliveResponse keepAlive(ByteString id) {
    return pages().keepAlive(KeepAliveRequest.newBuilder().setSessionId(id).build());
  }

  private OpenDatabaseResponse openDatabase(ByteString owner, String name) {
    return pages()
        .openDatabase(
            OpenDatabaseRequest.newBuilder()
                .setSessionId(owner)
                .setName(name)
                .setCreate(true)
                .build());
  }

  private RefreshResponse refresh(ByteString database, long have) {
    return refresh(database, have, 0);
  }

  private RefreshResponse refresh(ByteString database, long have, long mark) {
    return pages()
        .refresh(
            RefreshRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .setHaveVersion(have)
                .setHaveMark(mark)
                .build());
  }

  private void release(ByteString owner, ByteString database, long epoch) {
    pages()
        .releaseLease(
            ReleaseLeaseRequest.newBuilder()
                .setSessionId(owner)
                .setDatabaseId(database)
                .setEpoch(epoch)
                .build());
  }

  private static Changes changes(Integer... pages) {
    return Changes.newBuilder().addAllPages(List.of(pages)).build();
  }

  private AcquireLeaseResponse acquire(ByteString owner, ByteString database, long have) {
    return pages()
        .acquireLease(
            AcquireLeaseRequest.newBuilder()
                .setSessionId(owner)
                .setDatabaseId(database)
                .setHaveVersion(have)
                .build());
  }

  private ReadPagesRequest readRequest(ByteString database, long version, PageRange... ranges) {
    return ReadPagesRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setVersion(version)
        .addAllRanges(List.of(ranges))
        .build();
  }

  private List<Page> read(ByteString database, long version, PageRange... ranges) {
    return collect(readRequest(database, version, ranges));
  }

  private List<Page> collect(ReadPagesRequest request) {
    List<Page> result = new ArrayList<>();
    pages().readPages(request).forEachRemaining(part -> result.addAll(part.getPagesList()));
    return result;
  }

  private ByteString id() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return ByteString.copyFrom(bytes);
  }

  private static PageRange range(int first, int count) {
    return PageRange.newBuilder().setFirst(first).setCount(count).build();
  }

  private static Page page(int number, long seed) {
    return page(number, PAGE_SIZE, seed);
  }

  private static Page page(int number, int pageSize, long seed) {
    byte[] content = TestPages.content(pageSize, seed + 1_000_000);
    return Page.newBuilder()
        .setNumber(number)
        .setChecksum(Pages.checksum(content, 0, content.length))
        .setData(ByteString.copyFrom(content))
        .build();
  }

  private static Page zeros(int number) {
    return Page.newBuilder().setNumber(number).build();
  }

  private static Page at(long version, Page page) {
    return page.toBuilder().setVersion(version).build();
  }

  private static long mark(CommitRequest commit) {
    return commit.getCommitId().asReadOnlyByteBuffer().getLong();
  }

  private static Snapshot snapshot(long version, int pageCount, long mark) {
    return Snapshot.newBuilder()
        .setVersion(version)
        .setPageSize(PAGE_SIZE)
        .setPageCount(pageCount)
        .setMark(mark)
        .build();
  }

  private static void invalid(Executable action) {
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, action);
  }

  private static void unsupported(Executable action) {
    refused("UNSUPPORTED", Status.Code.UNIMPLEMENTED, action);
  }

  static void refused(String reason, Status.Code code, Executable action) {
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, action);
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    assertEquals(code, e.getStatus().getCode(), e::getMessage);
    try {
      ErrorInfo info =
          status == null
              ? ErrorInfo.getDefaultInstance()
              : status.getDetails(0).unpack(ErrorInfo.class);
      assertEquals("grpsqlite", info.getDomain());
      assertEquals(reason, info.getReason(), e::getMessage);
    } catch (com.google.protobuf.InvalidProtocolBufferException broken) {
      throw new AssertionError(broken);
    }
    assertArrayEquals(new Throwable[0], e.getSuppressed());
  }
}
