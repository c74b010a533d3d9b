package dev.grpsqlite.server.fdb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.StorageServer;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StoreOpenException;
import dev.grpsqlite.server.wire.Pages;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Two servers over one cluster, each with a clock of its own. */
@Timeout(60)
class NeighboursTest {
  private static final int PAGE_SIZE = 512;
  private static final long TTL_MS = 10_000;

  private final FakeCluster cluster = new FakeCluster();
  private final List<FdbPageStore> stores = new ArrayList<>();
  private final List<AutoCloseable> open = new ArrayList<>();
  private final Served first = new Served("first");
  private final Served second = new Served("second");

  @AfterEach
  void stop() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
    cluster.close();
  }

  /** A server, and the clock of its sessions. */
  private final class Served implements AutoCloseable {
    /** Added to the real time. */
    final AtomicLong ahead = new AtomicLong();

    final StorageServer server;
    final ManagedChannel channel;

    Served(String name) {
      ListenAddress.Tcp address;
      try {
        server =
            StorageServer.builder(
                    name,
                    pins -> {
                      try {
                        FdbPageStore opened =
                            FdbPageStore.open(
                                cluster.connect(),
                                TestStores.settings("two", Retention.NONE),
                                pins,
                                Clock.systemUTC());
                        stores.add(opened);
                        return opened;
                      } catch (InterruptedException | StoreOpenException e) {
                        throw new AssertionError(e);
                      }
                    })
                .nanoTime(() -> System.nanoTime() + ahead.get())
                .open();
        address =
            (ListenAddress.Tcp)
                server.listen(
                    new ListenAddress.Tcp(
                        new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
      } catch (Exception e) {
        throw new AssertionError(e);
      }
      channel = NettyChannelBuilder.forAddress(address.address()).usePlaintext().build();
      open.add(this);
    }

    PageStoreGrpc.PageStoreBlockingStub stub() {
      return PageStoreGrpc.newBlockingStub(channel).withDeadlineAfter(Duration.ofSeconds(30));
    }

    /** Lets time pass here, and here alone. */
    void pass(long millis) {
      ahead.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
      server.expireSessions();
    }

    @Override
    public void close() {
      channel.shutdownNow();
      server.close();
    }
  }

  /** A client process, which may change servers. */
  private static final class Client {
    final ByteString session = id();
    Served at;
    ByteString database = ByteString.EMPTY;
    long incarnation;
    long epoch;
    long head;

    Client(Served at) {
      this.at = at;
      openSession();
      database =
          at.stub()
              .openDatabase(
                  OpenDatabaseRequest.newBuilder()
                      .setSessionId(session)
                      .setName("main.db")
                      .setCreate(true)
                      .build())
              .getDatabaseId();
    }

    void openSession() {
      incarnation =
          at.stub()
              .openSession(OpenSessionRequest.newBuilder().setSessionId(session).build())
              .getIncarnation();
    }

    /** What the extension does when its server is gone. */
    void goTo(Served other) {
      at = other;
      openSession();
    }

    void keepAlive() {
      KeepAliveResponse kept =
          at.stub().keepAlive(KeepAliveRequest.newBuilder().setSessionId(session).build());
      assertEquals(0, kept.getLostLeasesCount());
      assertEquals(incarnation, kept.getIncarnation());
    }

    AcquireLeaseResponse acquire(long waitMs) {
      AcquireLeaseResponse answer =
          at.stub()
              .acquireLease(
                  AcquireLeaseRequest.newBuilder()
                      .setSessionId(session)
                      .setDatabaseId(database)
                      .setAtAnyVersion(true)
                      .setWaitMs((int) waitMs)
                      .build());
      epoch = answer.getEpoch();
      head = answer.getHead().getVersion();
      return answer;
    }

    void commit() {
      ByteString content = content(head + 1);
      CommitRequest.Builder request =
          commitRequest()
              .addPages(
                  Page.newBuilder()
                      .setNumber(1)
                      .setChecksum(Pages.checksum(content))
                      .setData(content));
      head = at.stub().commit(request.build()).getVersion();
    }

    /** Stages page 1, in the one stage of this client. */
    void stage() {
      stage(StageCalls.UNCOUNTED, content(head + 1));
    }

    void stage(long call, ByteString content) {
      StagePagesResponse staged =
          at.stub()
              .stagePages(
                  StagePagesRequest.newBuilder()
                      .setSessionId(session)
                      .setDatabaseId(database)
                      .setEpoch(epoch)
                      .setStageId(session)
                      .setCall(call)
                      .setPageSize(PAGE_SIZE)
                      .addPages(
                          Page.newBuilder()
                              .setNumber(1)
                              .setChecksum(Pages.checksum(content))
                              .setData(content))
                      .build());
      assertEquals(0, staged.getSerializedSize());
    }

    long commitStaged() {
      return at.stub().commit(commitRequest().setStageId(session).build()).getVersion();
    }

    private CommitRequest.Builder commitRequest() {
      return CommitRequest.newBuilder()
          .setSessionId(session)
          .setDatabaseId(database)
          .setEpoch(epoch)
          .setCommitId(id())
          .setBaseVersion(head)
          .setFloorVersion(head)
          .setPageSize(PAGE_SIZE)
          .setPageCount(1);
    }

    ByteString read(long version) {
      Iterator<dev.grpsqlite.proto.v1.ReadPagesResponse> parts =
          at.stub()
              .readPages(
                  ReadPagesRequest.newBuilder()
                      .setSessionId(session)
                      .setDatabaseId(database)
                      .setVersion(version)
                      .addRanges(PageRange.newBuilder().setFirst(1).setCount(1))
                      .build());
      return parts.next().getPages(0).getData();
    }

    Iterator<WatchResponse> watch(int confirmEveryMs) {
      return at.stub()
          .watch(
              WatchRequest.newBuilder()
                  .setSessionId(session)
                  .setConfirmEveryMs(confirmEveryMs)
                  .addDatabases(
                      WatchRequest.Database.newBuilder()
                          .setDatabaseId(database)
                          .setHaveVersion(head))
                  .build());
    }
  }

  private static final AtomicLong ids = new AtomicLong();

  private static ByteString id() {
    return ByteString.copyFrom(
        ByteBuffer.allocate(16).putLong(7).putLong(ids.incrementAndGet()).flip());
  }

  private static ByteString content(long version) {
    return ByteString.copyFrom(TestPages.content(PAGE_SIZE, version));
  }

  @Test
  void aClientGoesOnAtAnotherServerWithItsSessionAndItsLease() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    writer.commit();
    long incarnation = writer.incarnation;
    writer.goTo(second);
    assertEquals(incarnation, writer.incarnation, "it has what it had");
    writer.commit();
    assertEquals(2, writer.head);

    // The first one has not heard of it for a TTL, and gives nothing back.
    first.pass(TTL_MS + 1);
    writer.commit();
    Client other = new Client(first);
    assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    for (int i = 0; i < 5; i++) {
      first.pass(TTL_MS / 3);
      second.pass(TTL_MS / 3);
      writer.keepAlive();
      other.keepAlive();
      assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    }
    writer.commit();
    assertEquals(4, writer.head);
    assertEquals(content(4), other.read(4));
  }

  /** Whatever the first server does late does not undo what the second one did. */
  @Test
  void p1_aStageWhoseCallsAreCountedGoesOnAtAnotherServer() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    writer.stage(1, content(11));
    writer.goTo(second);
    writer.stage(1, content(11));
    writer.stage(2, content(12));
    writer.goTo(first);
    writer.stage(1, content(11));
    writer.stage(2, content(99));
    StatusRuntimeException refused =
        assertThrows(StatusRuntimeException.class, () -> writer.stage(4, content(14)));
    assertEquals(Status.Code.FAILED_PRECONDITION, refused.getStatus().getCode());
    writer.goTo(second);
    assertEquals(1, writer.commitStaged());
    assertEquals(content(12), writer.read(1));
  }

  /** Else what the first server does late could undo what the second one did. */
  @Test
  void p1_aStageWhoseCallsAreNotCountedIsOfTheServerThatBeganIt() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    writer.stage();
    writer.stage();
    writer.goTo(second);
    StatusRuntimeException refused = assertThrows(StatusRuntimeException.class, writer::stage);
    assertEquals(Status.Code.FAILED_PRECONDITION, refused.getStatus().getCode());
    writer.goTo(first);
    writer.stage();
  }

  @Test
  void p3_aLeaseIsGivenAwayATtlAfterItsHolderWasLastHeardOfAndNotBefore() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    writer.commit();
    Client other = new Client(second);
    assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    second.pass(TTL_MS - 2000);
    other.keepAlive();
    assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    second.pass(2001);
    long before = writer.epoch;
    assertEquals(Outcome.OUTCOME_GRANTED, other.acquire(0).getOutcome());
    assertTrue(other.epoch > before);

    // By the first one's clock hardly any time has passed.
    first.pass(TTL_MS / 10);
    StatusRuntimeException refused = assertThrows(StatusRuntimeException.class, writer::commit);
    assertEquals(Status.Code.FAILED_PRECONDITION, refused.getStatus().getCode());
    assertThrows(StatusRuntimeException.class, writer::keepAlive);
    other.commit();
    assertEquals(2, other.head);
    long incarnation = writer.incarnation;
    writer.openSession();
    assertNotEquals(incarnation, writer.incarnation, "it has not what it had");
  }

  @Test
  void p7_aSessionThatIsOverElsewhereIsAnotherWhenItIsOpenedHereAgain() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    Client other = new Client(second);
    assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    second.pass(TTL_MS + 1);
    other.openSession();
    assertEquals(Outcome.OUTCOME_GRANTED, other.acquire(0).getOutcome());
    // The first one still has it, and is not asked anything else before.
    long incarnation = writer.incarnation;
    writer.openSession();
    assertNotEquals(incarnation, writer.incarnation);
  }

  @Test
  void aSessionThatEndsFreesItsLeaseForAllServers() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    Client other = new Client(second);
    assertEquals(Outcome.OUTCOME_HELD, other.acquire(0).getOutcome());
    assertEquals(
        0,
        first
            .stub()
            .closeSession(CloseSessionRequest.newBuilder().setSessionId(writer.session).build())
            .getSerializedSize());
    assertEquals(Outcome.OUTCOME_GRANTED, other.acquire(0).getOutcome());
  }

  @Test
  void whatASessionLeftThatNobodyHearsOfIsSweptAway() {
    Client lost = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, lost.acquire(0).getOutcome());
    Client other = new Client(second);
    FdbPageStore sweeping = stores.get(1);
    Keys keys = new Keys("two");
    TestStores.get(sweeping.sweep());
    for (int i = 0; i < 11; i++) {
      second.pass(TTL_MS / 2);
      other.openSession();
      TestStores.get(sweeping.sweep());
      assertEquals(2, cluster.count(keys.sessions()), "after " + (i + 1) + " half TTLs");
    }
    second.pass(TTL_MS);
    other.openSession();
    TestStores.get(sweeping.sweep());
    assertEquals(1, cluster.count(keys.sessions()), "that of the live one");
    first.pass(TTL_MS / 10);
    assertThrows(StatusRuntimeException.class, lost::keepAlive);
    assertEquals(Outcome.OUTCOME_GRANTED, other.acquire(0).getOutcome());
  }

  @Test
  void aHolderAtAnotherServerIsAskedToYield() throws Exception {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    BlockingQueue<WatchResponse> told = new ArrayBlockingQueue<>(100);
    listen(writer.watch(0), told);
    Client other = new Client(second);
    CompletableFuture<AcquireLeaseResponse> waiting =
        CompletableFuture.supplyAsync(() -> other.acquire(10_000));
    WatchResponse next = told.take();
    while (!next.hasLeaseWanted()) {
      next = told.take();
    }
    assertEquals(writer.epoch, next.getLeaseWanted().getEpoch());
    assertFalse(waiting.isDone());
    assertEquals(
        0,
        first
            .stub()
            .releaseLease(
                ReleaseLeaseRequest.newBuilder()
                    .setSessionId(writer.session)
                    .setDatabaseId(writer.database)
                    .setEpoch(writer.epoch)
                    .build())
            .getSerializedSize());
    assertEquals(Outcome.OUTCOME_GRANTED, waiting.get(10, TimeUnit.SECONDS).getOutcome());
  }

  @Test
  void aReaderIsToldOfWhatIsCommittedAtAnotherServer() throws Exception {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    Client reader = new Client(second);
    BlockingQueue<WatchResponse> told = new ArrayBlockingQueue<>(100);
    listen(reader.watch(0), told);
    // Nothing but watches tells it in this time: moments come every three seconds.
    long begun = System.nanoTime();
    for (int i = 1; i <= 5; i++) {
      writer.commit();
      WatchResponse next = told.take();
      while (next.getHeadMoved().getHead().getVersion() < i) {
        next = told.take();
      }
      assertEquals(1, next.getHeadMoved().getChanges().getPages(0));
    }
    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
    assertTrue(millis < TTL_MS / 3, "after " + millis + " ms");
  }

  /** Also when no watch of the cluster's says anything. */
  @Test
  void p7_whatAnotherServerAcknowledgedBeforeAMomentIsToldBeforeTheMomentIsConfirmed()
      throws Exception {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    Client reader = new Client(second);
    cluster.loseWatches();
    BlockingQueue<WatchResponse> told = new ArrayBlockingQueue<>(100_000);
    long sent = System.nanoTime();
    listen(reader.watch(10), told);
    int commits = 100;
    long[] acknowledged = new long[commits + 1];
    for (int i = 1; i <= commits; i++) {
      writer.commit();
      acknowledged[i] = System.nanoTime();
    }
    long known = 0;
    int moments = 0;
    while (known < commits || moments < 3) {
      WatchResponse next = told.take();
      if (next.hasHeadMoved()) {
        known = next.getHeadMoved().getHead().getVersion();
      } else if (next.hasConfirmed()) {
        moments++;
        // It was this late at least.
        long moment = sent + TimeUnit.MILLISECONDS.toNanos(next.getConfirmed().getElapsedMs());
        for (int i = (int) known + 1; i <= commits; i++) {
          assertTrue(moment < acknowledged[i], "version " + i + " was not told");
        }
      }
    }
  }

  @Test
  void p6_whatIsReadAtOneServerIsNotCollectedByAnother() {
    Client writer = new Client(first);
    assertEquals(Outcome.OUTCOME_GRANTED, writer.acquire(0).getOutcome());
    writer.commit();
    writer.commit();
    Client reader = new Client(second);
    for (int i = 0; i < 100; i++) {
      writer.commit();
    }
    // The collectors have come as far as they may.
    while (oldestVersion(writer) < 2) {
      Thread.onSpinWait();
    }
    for (int i = 0; i < 20; i++) {
      writer.commit();
      assertEquals(content(2), reader.read(2));
    }
    assertEquals(2, oldestVersion(writer));
  }

  private static long oldestVersion(Client client) {
    return client
        .at
        .stub()
        .openDatabase(
            OpenDatabaseRequest.newBuilder()
                .setSessionId(client.session)
                .setName("main.db")
                .build())
        .getOldestVersion();
  }

  private static void listen(Iterator<WatchResponse> watch, BlockingQueue<WatchResponse> told) {
    Thread thread =
        new Thread(
            () -> {
              try {
                while (watch.hasNext()) {
                  told.add(watch.next());
                }
              } catch (StatusRuntimeException e) {
                assertTrue(e.getStatus().getCode() != Status.Code.OK); // the end of the test
              }
            });
    thread.setDaemon(true);
    thread.start();
  }
}
