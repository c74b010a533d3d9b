package dev.grpsqlite.conformance;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CloseSessionResponse;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.DropStageRequest;
import dev.grpsqlite.proto.v1.DropStageResponse;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.ReleaseLeaseResponse;
import dev.grpsqlite.proto.v1.Snapshot;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A session of the page service with one database. */
final class PageClient {
  static final int PAGE = 512;

  private static final SecureRandom RANDOM = new SecureRandom();

  private final Trial trial;
  final ByteString session;
  final String name;
  final ByteString database;
  long head;
  long epoch;

  /** A session of its own. */
  PageClient(Trial trial, String name) {
    this(trial, id(), name);
  }

  private PageClient(Trial trial, ByteString session, String name) {
    this.trial = trial;
    this.session = session;
    this.name = name;
    OpenSessionResponse unused = openSession();
    trial.keeper().keep(session);
    trial.atEnd(this::closeSession);
    OpenDatabaseResponse opened = open(openRequest().setCreate(true));
    database = opened.getDatabaseId();
    head = opened.getHeadVersion();
  }

  static ByteString id() {
    byte[] bytes = new byte[16];
    RANDOM.nextBytes(bytes);
    return ByteString.copyFrom(bytes);
  }

  /** Another session with the same database. */
  PageClient another() {
    return new PageClient(trial, name);
  }

  /** Another database in the same session. */
  PageClient with(String otherName) {
    return new PageClient(trial, session, otherName);
  }

  PageStoreGrpc.PageStoreBlockingStub stub() {
    return PageStoreGrpc.newBlockingStub(trial.channel())
        .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS);
  }

  OpenSessionResponse openSession() {
    return stub()
        .openSession(
            OpenSessionRequest.newBuilder()
                .setSessionId(session)
                .setClientName("grpsqlite-conformance")
                .build());
  }

  KeepAliveResponse keepAlive() {
    return stub().keepAlive(KeepAliveRequest.newBuilder().setSessionId(session).build());
  }

  /** From now on only the rule itself keeps the session alive. */
  PageClient silent() {
    trial.keeper().forget(session);
    return this;
  }

  void closeSession() {
    trial.keeper().forget(session);
    CloseSessionResponse unused =
        stub().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build());
  }

  OpenDatabaseRequest.Builder openRequest() {
    return OpenDatabaseRequest.newBuilder().setSessionId(session).setName(name);
  }

  OpenDatabaseResponse open(OpenDatabaseRequest.Builder request) {
    return stub().openDatabase(request.build());
  }

  RefreshRequest.Builder refreshRequest(long have) {
    return RefreshRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setHaveVersion(have);
  }

  RefreshResponse refresh(RefreshRequest.Builder request) {
    return stub().refresh(request.build());
  }

  RefreshResponse refresh(long have) {
    return refresh(refreshRequest(have));
  }

  // ---- Leases

  AcquireLeaseRequest.Builder leaseRequest(long have) {
    return AcquireLeaseRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setHaveVersion(have);
  }

  AcquireLeaseResponse ask(AcquireLeaseRequest.Builder request) {
    AcquireLeaseResponse answer = stub().acquireLease(request.build());
    if (answer.getOutcome() == Outcome.OUTCOME_GRANTED) {
      epoch = answer.getEpoch();
      head = answer.getHead().getVersion();
    }
    return answer;
  }

  /** Asks for the lease, which is free. */
  PageClient acquire() throws Violation {
    AcquireLeaseResponse answer = ask(leaseRequest(head).setAtAnyVersion(true));
    Expect.equal(Outcome.OUTCOME_GRANTED, answer.getOutcome(), "AcquireLease of a free lease");
    return this;
  }

  Outcome outcome() {
    return ask(leaseRequest(head).setAtAnyVersion(true)).getOutcome();
  }

  void release() {
    ReleaseLeaseResponse unused =
        stub()
            .releaseLease(
                ReleaseLeaseRequest.newBuilder()
                    .setSessionId(session)
                    .setDatabaseId(database)
                    .setEpoch(epoch)
                    .build());
  }

  // ---- Commits

  /** A commit of these pages on what this client thinks is the head. */
  CommitRequest.Builder request(int pageCount, Page... pages) {
    return CommitRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setEpoch(epoch)
        .setCommitId(id())
        .setBaseVersion(head)
        .setPageSize(PAGE)
        .setPageCount(pageCount)
        .addAllPages(List.of(pages));
  }

  long send(CommitRequest.Builder request) {
    return stub().commit(request.build()).getVersion();
  }

  long commit(int pageCount, Page... pages) {
    head = send(request(pageCount, pages));
    return head;
  }

  StagePagesRequest.Builder stageRequest(ByteString stage, Page... pages) {
    return StagePagesRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setEpoch(epoch)
        .setStageId(stage)
        .setPageSize(PAGE)
        .addAllPages(List.of(pages));
  }

  void send(StagePagesRequest.Builder request) {
    StagePagesResponse unused = stub().stagePages(request.build());
  }

  void stage(ByteString stage, Page... pages) {
    send(stageRequest(stage, pages));
  }

  void dropStage(ByteString stage) {
    DropStageResponse unused =
        stub()
            .dropStage(
                DropStageRequest.newBuilder()
                    .setSessionId(session)
                    .setDatabaseId(database)
                    .setStageId(stage)
                    .build());
  }

  // ---- Reading

  ReadPagesRequest.Builder readRequest(long version, PageRange... ranges) {
    return ReadPagesRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setVersion(version)
        .addAllRanges(List.of(ranges));
  }

  List<Page> read(ReadPagesRequest.Builder request) {
    List<Page> result = new ArrayList<>();
    stub().readPages(request.build()).forEachRemaining(m -> result.addAll(m.getPagesList()));
    return result;
  }

  List<Page> read(long version, int first, int count) {
    return read(readRequest(version, range(first, count)));
  }

  void expectRead(long version, int first, String what, Page... expected) throws Violation {
    Expect.equal(
        List.of(expected).stream().map(PageClient::shown).toList(),
        read(version, first, expected.length).stream().map(PageClient::shown).toList(),
        what);
  }

  /** A page in a message for people. */
  static String shown(Page page) {
    return "page "
        + Integer.toUnsignedString(page.getNumber())
        + " of version "
        + Long.toUnsignedString(page.getVersion())
        + " with checksum "
        + Long.toHexString(page.getChecksum())
        + " and "
        + page.getData().size()
        + " bytes of hash "
        + Integer.toHexString(page.getData().hashCode());
  }

  // ---- Values

  static PageRange range(int first, int count) {
    return PageRange.newBuilder().setFirst(first).setCount(count).build();
  }

  static Page page(int number, long seed) {
    return page(number, PAGE, seed);
  }

  static Page page(int number, int pageSize, long seed) {
    byte[] content = Bytes.random(pageSize, 1000 * seed + number);
    return Page.newBuilder()
        .setNumber(number)
        .setChecksum(Bytes.checksum(content))
        .setData(Bytes.of(content))
        .build();
  }

  /** As it is read back from the version that wrote it. */
  static Page at(long version, Page page) {
    return page.toBuilder().setVersion(version).build();
  }

  static Page zeros(int number) {
    return Page.newBuilder().setNumber(number).build();
  }

  /** What is told of a version, but for its mark. */
  static Snapshot shape(Snapshot told) {
    return told.toBuilder().clearMark().build();
  }

  static Snapshot snapshot(long version, int pageCount) {
    return Snapshot.newBuilder()
        .setVersion(version)
        .setPageSize(PAGE)
        .setPageCount(pageCount)
        .build();
  }
}
