package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.server.wire.Pages;
import io.grpc.Channel;
import java.time.Duration;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.jspecify.annotations.Nullable;

/** A session with one database, over a channel. */
final class TestClient {
  private static final int PAGE_SIZE = 512;

  private final Channel channel;
  private final Random random = new Random();
  final ByteString session;
  final ByteString database;
  long head;

  /** Of the version that it committed last. */
  long mark;

  long epoch;

  /** Opens the session, and the database of that name, which is made if need be. */
  TestClient(Channel channel, String name) {
    this(channel, null, name);
  }

  /** Another database in the session of a client. */
  TestClient(TestClient client, String name) {
    this(client.channel, client.session, name);
  }

  private TestClient(Channel channel, @Nullable ByteString shared, String name) {
    this.channel = channel;
    session = shared == null ? id() : shared;
    openSession();
    OpenDatabaseResponse opened =
        pages()
            .openDatabase(
                OpenDatabaseRequest.newBuilder()
                    .setSessionId(session)
                    .setName(name)
                    .setCreate(true)
                    .build());
    database = opened.getDatabaseId();
    head = opened.getHeadVersion();
  }

  PageStoreGrpc.PageStoreBlockingStub pages() {
    return PageStoreGrpc.newBlockingStub(channel).withDeadlineAfter(Duration.ofMinutes(1));
  }

  void openSession() {
    OpenSessionRequest request = OpenSessionRequest.newBuilder().setSessionId(session).build();
    assertEquals(true, pages().openSession(request).getCapabilities().getWatch());
  }

  KeepAliveResponse keepAlive() {
    return pages().keepAlive(KeepAliveRequest.newBuilder().setSessionId(session).build());
  }

  void closeSession() {
    CloseSessionRequest request = CloseSessionRequest.newBuilder().setSessionId(session).build();
    assertEquals(0, pages().closeSession(request).getSerializedSize());
  }

  AcquireLeaseRequest.Builder lease(int waitMs) {
    return AcquireLeaseRequest.newBuilder()
        .setSessionId(session)
        .setDatabaseId(database)
        .setHaveVersion(head)
        .setWaitMs(waitMs);
  }

  /** Asks for the lease, whatever the head is. */
  Outcome acquire(int waitMs) {
    return note(pages().acquireLease(lease(waitMs).setAtAnyVersion(true).build()));
  }

  /** Asks for the lease, whatever the head is, and does not wait for the answer. */
  Future<AcquireLeaseResponse> asking(int waitMs) {
    return PageStoreGrpc.newFutureStub(channel)
        .withDeadlineAfter(Duration.ofMinutes(1))
        .acquireLease(lease(waitMs).setAtAnyVersion(true).build());
  }

  /** The answer to {@link #asking}. */
  Outcome outcome(Future<AcquireLeaseResponse> asked)
      throws ExecutionException, InterruptedException, TimeoutException {
    return note(asked.get(30, TimeUnit.SECONDS));
  }

  private Outcome note(AcquireLeaseResponse answer) {
    if (answer.getOutcome() == Outcome.OUTCOME_GRANTED) {
      epoch = answer.getEpoch();
      head = answer.getHead().getVersion();
    }
    return answer.getOutcome();
  }

  /** Asks for a read delegation, in milliseconds; what was given. */
  int delegation(int wishedMs) {
    return pages()
        .refresh(
            RefreshRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .setReadDelegationMs(wishedMs)
                .build())
        .getReadDelegationMs();
  }

  void release() {
    ReleaseLeaseRequest request =
        ReleaseLeaseRequest.newBuilder()
            .setSessionId(session)
            .setDatabaseId(database)
            .setEpoch(epoch)
            .build();
    assertEquals(0, pages().releaseLease(request).getSerializedSize());
  }

  CommitRequest commitRequest(int... changed) {
    CommitRequest.Builder request =
        CommitRequest.newBuilder()
            .setSessionId(session)
            .setDatabaseId(database)
            .setEpoch(epoch)
            .setCommitId(id())
            .setBaseVersion(head)
            .setPageSize(PAGE_SIZE);
    int pageCount = 1;
    for (int number : changed) {
      byte[] content = TestPages.content(PAGE_SIZE, random.nextLong());
      request.addPages(
          Page.newBuilder()
              .setNumber(number)
              .setChecksum(Pages.checksum(content, 0, content.length))
              .setData(ByteString.copyFrom(content)));
      pageCount = Math.max(pageCount, number);
    }
    return request.setPageCount(pageCount).build();
  }

  /** Commits new content of these pages, of which the highest is the last of the database. */
  long commit(int... changed) {
    CommitRequest request = commitRequest(changed);
    head = pages().commit(request).getVersion();
    mark = request.getCommitId().asReadOnlyByteBuffer().getLong();
    return head;
  }

  /** Commits a database of that many pages of zeros, each of them written. */
  void commitZeros(int pageCount) {
    CommitRequest.Builder request = commitRequest().toBuilder().setPageCount(pageCount);
    for (int number = 1; number <= pageCount; number++) {
      request.addPages(Page.newBuilder().setNumber(number));
    }
    head = pages().commit(request.build()).getVersion();
  }

  WatchRequest.Builder watchRequest() {
    return WatchRequest.newBuilder().setSessionId(session).setConfirmEveryMs(20);
  }

  /** Watches the database from the version that this client has. */
  TestWatch watch() {
    return watch(watchRequest().addDatabases(watched(database, head)).build());
  }

  TestWatch watch(WatchRequest request) {
    return new TestWatch(channel, request);
  }

  static WatchRequest.Database watched(ByteString database, long have) {
    return WatchRequest.Database.newBuilder().setDatabaseId(database).setHaveVersion(have).build();
  }

  ByteString id() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return ByteString.copyFrom(bytes);
  }
}
