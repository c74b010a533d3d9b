package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.rpc.ErrorInfo;
import dev.grpsqlite.pageclient.Session.Lease;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.CommitResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.Snapshot;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A commit of any size, to a server that is full, forgetful or slow. */
@Timeout(60)
class UploadTest {
  private static final int PAGE_SIZE = 4096;
  private static final ByteString DATABASE = ByteString.copyFromUtf8("0123456789abcdef");

  private final Queue<String> refusals = new ConcurrentLinkedQueue<>();
  private final Map<Integer, Page> staged = new ConcurrentHashMap<>();
  private final Queue<CommitRequest> commits = new ConcurrentLinkedQueue<>();
  private final AtomicInteger sessions = new AtomicInteger();
  private int maxMessageBytes = 4 << 20;
  private Server server;
  private ServerConnection connection;

  private final class Store extends PageStoreGrpc.PageStoreImplBase {
    @Override
    public void openSession(
        OpenSessionRequest request, StreamObserver<OpenSessionResponse> observer) {
      sessions.incrementAndGet();
      answer(
          observer,
          OpenSessionResponse.newBuilder()
              .setTtlMs(100_000)
              .setMaxMessageBytes(maxMessageBytes)
              .build());
    }

    @Override
    public void stagePages(StagePagesRequest request, StreamObserver<StagePagesResponse> observer) {
      String refusal = refusals.poll();
      if (refusal != null) {
        observer.onError(
            StatusProto.toStatusRuntimeException(
                com.google.rpc.Status.newBuilder()
                    .setCode(Status.Code.RESOURCE_EXHAUSTED.value())
                    .addDetails(
                        Any.pack(
                            ErrorInfo.newBuilder()
                                .setDomain("grpsqlite")
                                .setReason(refusal)
                                .build()))
                    .build()));
        return;
      }
      assertTrue(request.getSerializedSize() <= maxMessageBytes);
      request.getPagesList().forEach(page -> staged.put(page.getNumber(), page));
      answer(observer, StagePagesResponse.getDefaultInstance());
    }

    @Override
    public void commit(CommitRequest request, StreamObserver<CommitResponse> observer) {
      commits.add(request);
      if (commits.size() == 1) {
        observer.onError(Status.UNAVAILABLE.asRuntimeException());
      } else {
        answer(observer, CommitResponse.newBuilder().setVersion(4).build());
      }
    }

    private <T> void answer(StreamObserver<T> observer, T answer) {
      observer.onNext(answer);
      observer.onCompleted();
    }
  }

  @BeforeEach
  void serve() throws Exception {
    server =
        NettyServerBuilder.forAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
            .addService(new Store())
            .build()
            .start();
    connection =
        new ServerConnection(
            new Endpoint(
                "http://127.0.0.1:" + server.getPort(),
                null,
                new Endpoint.Tls(null, null, null),
                Duration.ofSeconds(20),
                Duration.ofSeconds(20)));
  }

  @AfterEach
  void stop() {
    connection.close();
    server.shutdownNow();
  }

  private Upload upload(Session session) {
    Snapshot head = Snapshot.newBuilder().setVersion(3).build();
    return new Upload(session, new Lease(DATABASE, 5, head), PAGE_SIZE);
  }

  private byte[] stage(Upload upload, long firstPage, int pages) throws Exception {
    byte[] bytes = new byte[pages * PAGE_SIZE];
    new Random(firstPage).nextBytes(bytes);
    upload.stage(firstPage, pages, bytes);
    return bytes;
  }

  private void assertStaged(long firstPage, int pages, byte[] bytes) {
    for (int i = 0; i < pages; i++) {
      assertEquals(
          PageData.outgoing(firstPage + i, bytes, i * PAGE_SIZE, PAGE_SIZE),
          staged.get((int) firstPage + i));
    }
  }

  @Test
  void waitsWhileTheServerHasTooMuchToWrite() throws Exception {
    try (Session session = Session.open(connection, "test")) {
      Upload upload = upload(session);
      refusals.add("LIMIT");
      refusals.add("LIMIT");
      byte[] bytes = stage(upload, 10, 100);
      assertStaged(10, 100, bytes);
      assertEquals(0, refusals.size());

      refusals.add("QUOTA");
      RemoteException e = assertThrows(RemoteException.class, () -> stage(upload, 1, 1));
      assertTrue(e.is("QUOTA"));
    }
  }

  @Test
  void aServerThatForgotTheSessionIsToldOfItAgain() throws Exception {
    try (Session session = Session.open(connection, "test")) {
      refusals.add("NO_SUCH_SESSION");
      byte[] bytes = stage(upload(session), 1, 3);
      assertStaged(1, 3, bytes);
      assertEquals(2, sessions.get());
    }
  }

  @Test
  void messagesFitTheServer() throws Exception {
    maxMessageBytes = 100_000;
    try (Session session = Session.open(connection, "test")) {
      Upload upload = upload(session);
      int most = upload.pagesPerMessage();
      assertEquals(23, most);
      assertStaged(1, most, stage(upload, 1, most));
    }
    maxMessageBytes = 4 << 20;
    try (Session session = Session.open(connection, "test")) {
      int most = upload(session).pagesPerMessage();
      assertTrue(most > 200 && most <= 256, "pages: " + most);
    }
  }

  @Test
  void aCommitWhoseAnswerWasLostIsSentAgainAsItWas() {
    try (Session session = Session.open(connection, "test")) {
      assertEquals(4, upload(session).commit(7));
      assertEquals(2, commits.size());
      assertEquals(1, commits.stream().distinct().count());
      CommitRequest sent = commits.element();
      assertEquals(3, sent.getBaseVersion());
      assertEquals(7, sent.getPageCount());
      assertEquals(16, sent.getCommitId().size());
      assertEquals(16, sent.getStageId().size());
    }
  }
}
