package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.PageStoreGrpc.PageStoreBlockingStub;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * A server with many clients that do nothing but be there. Its launcher gives it a heap of 256 MiB,
 * and it ends when that is not enough.
 */
class ManySessionsTest {
  private static final int SESSIONS = 1000;
  private static final int LEASES = 10;
  private static final int CALLERS = 32;
  private static final Duration TTL = Duration.ofSeconds(10);

  private final Queue<Integer> open = new ConcurrentLinkedQueue<>();

  @Test
  void aThousandSessionsWithTenThousandLeasesFitInTheHeapAndAreKept() throws Exception {
    Path home = Folders.make("sessions");
    ExecutorService callers = Executors.newFixedThreadPool(CALLERS);
    ScheduledExecutorService heart = Executors.newSingleThreadScheduledExecutor();
    try (ServerProcess server = Kind.ROCKSDB.start(home, "--session-ttl-ms", "" + TTL.toMillis())) {
      ManagedChannel channel =
          NettyChannelBuilder.forAddress("127.0.0.1", server.port()).usePlaintext().build();
      try {
        PageStoreBlockingStub pages = PageStoreGrpc.newBlockingStub(channel);
        ScheduledFuture<?> heartbeats =
            heart.scheduleAtFixedRate(
                () -> keepAlive(channel, List.copyOf(open)),
                0,
                TTL.toMillis() / 3,
                TimeUnit.MILLISECONDS);
        forAll(callers, session -> open(pages, session));
        // As long as a session lives without them; this is no wait for something.
        Thread.sleep(TTL.toMillis() * 3 / 2);
        assertFalse(heartbeats.isDone(), "a heartbeat failed");
        heartbeats.cancel(false);
        forAll(callers, session -> assertHeld(pages, session));
        assertTrue(server.isAlive(), server.log());
        forAll(
            callers,
            session ->
                pages.closeSession(
                    CloseSessionRequest.newBuilder().setSessionId(id(session)).build()));
        AcquireLeaseResponse free = acquire(pages, openSession(pages, SESSIONS), 17, 3);
        assertEquals(Outcome.OUTCOME_GRANTED, free.getOutcome());
      } finally {
        channel.shutdownNow();
      }
    } finally {
      heart.shutdownNow();
      callers.shutdownNow();
      Folders.delete(home);
    }
  }

  private static ByteString id(int session) {
    return ByteString.copyFrom(ByteBuffer.allocate(16).putInt(session + 1).flip().limit(16));
  }

  private static ByteString openSession(PageStoreBlockingStub pages, int session) {
    pages.openSession(
        OpenSessionRequest.newBuilder()
            .setSessionId(id(session))
            .setClientName("client " + session)
            .build());
    return id(session);
  }

  private Object open(PageStoreBlockingStub pages, int session) {
    ByteString id = openSession(pages, session);
    open.add(session);
    for (int i = 0; i < LEASES; i++) {
      assertEquals(Outcome.OUTCOME_GRANTED, acquire(pages, id, session, i).getOutcome());
    }
    return id;
  }

  private static AcquireLeaseResponse acquire(
      PageStoreBlockingStub pages, ByteString session, int owner, int number) {
    OpenDatabaseResponse opened =
        pages.openDatabase(
            OpenDatabaseRequest.newBuilder()
                .setSessionId(session)
                .setName("of-" + owner + "/" + number + ".db")
                .setCreate(true)
                .build());
    return pages.acquireLease(
        AcquireLeaseRequest.newBuilder()
            .setSessionId(session)
            .setDatabaseId(opened.getDatabaseId())
            .build());
  }

  /**
   * What clients send whose databases stand still: nothing of them. All at once, for each is
   * another.
   */
  private static void keepAlive(ManagedChannel channel, List<Integer> sessions) {
    List<Future<KeepAliveResponse>> answers = new ArrayList<>();
    for (int session : sessions) {
      answers.add(
          PageStoreGrpc.newFutureStub(channel)
              .keepAlive(KeepAliveRequest.newBuilder().setSessionId(id(session)).build()));
    }
    for (Future<KeepAliveResponse> answer : answers) {
      try {
        assertEquals(0, answer.get(TTL.toMillis(), TimeUnit.MILLISECONDS).getLostLeasesCount());
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
  }

  private static Object assertHeld(PageStoreBlockingStub pages, int session) {
    if (session % 10 != 0) {
      return session; // one in ten will do
    }
    ByteString stranger = openSession(pages, SESSIONS + 1);
    for (int i = 0; i < LEASES; i++) {
      assertEquals(Outcome.OUTCOME_HELD, acquire(pages, stranger, session, i).getOutcome());
    }
    return session;
  }

  private interface OfSession {
    Object call(int session) throws Exception;
  }

  private static void forAll(ExecutorService callers, OfSession task) throws Exception {
    List<Callable<Object>> calls = new ArrayList<>();
    IntStream.range(0, SESSIONS).forEach(session -> calls.add(() -> task.call(session)));
    for (Future<Object> done : callers.invokeAll(calls)) {
      done.get();
    }
  }
}
