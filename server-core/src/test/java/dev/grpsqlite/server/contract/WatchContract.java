package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageServiceContract.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.proto.v1.WatchResponse.EventCase;
import dev.grpsqlite.proto.v1.WatchResponse.HeadMoved;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What sessions are told of heads, over a store and through a socket. */
@Timeout(120)
public abstract class WatchContract extends ServedContract {
  private static final String NAME = "tenant-7/main.db";

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @Override
  final PageStore openStore(SnapshotPins pins, Path in) throws Exception {
    return open(pins, Clock.systemUTC(), in);
  }

  private TestClient client() {
    return client(NAME);
  }

  private TestClient client(String name) {
    return new TestClient(server().channel, name);
  }

  private TestClient writer() {
    TestClient client = client();
    assertEquals(Outcome.OUTCOME_GRANTED, client.acquire(0));
    return client;
  }

  // ---- Heads

  @Test
  void p7_aCommitIsToldBeforeItIsAcknowledged() throws Exception {
    TestClient writer = writer();
    TestWatch reader = client().watch();
    for (int i = 1; i <= 50; i++) {
      writer.commit(1, 2);
      server().nanos.addAndGet(5_000_000);
      // Any confirmation of a moment since then comes behind the version.
      HeadMoved moved = null;
      WatchResponse event = reader.next();
      while (!event.hasConfirmed() || event.getConfirmed().getElapsedMs() < 5L * i) {
        if (event.hasHeadMoved()) {
          moved = event.getHeadMoved();
        }
        event = reader.next();
      }
      assertTrue(moved != null, "version " + i + " was not told before a later moment");
      assertEquals(i, moved.getHead().getVersion());
      assertEquals(i - 1, moved.getFromVersion());
      assertEquals(List.of(1, 2), moved.getChanges().getPagesList());
    }
  }

  @Test
  void p7_aGroupIsToldInAllItsDatabasesBeforeItIsAcknowledged() throws Exception {
    TestClient one = writer();
    TestClient two = new TestClient(one, "two.db");
    assertEquals(Outcome.OUTCOME_GRANTED, two.acquire(0));
    TestClient reader = client("other.db");
    TestWatch watch =
        reader.watch(
            reader
                .watchRequest()
                .addDatabases(TestClient.watched(one.database, 0))
                .addDatabases(TestClient.watched(two.database, 0))
                .build());
    for (int i = 1; i <= 20; i++) {
      CommitGroupRequest group =
          CommitGroupRequest.newBuilder()
              .setSessionId(one.session)
              .addCommits(one.commitRequest(1))
              .addCommits(two.commitRequest(1))
              .build();
      List<Long> versions = one.pages().commitGroup(group).getVersionsList();
      one.head = versions.get(0);
      two.head = versions.get(1);
      server().nanos.addAndGet(5_000_000);
      Set<ByteString> told = new HashSet<>();
      WatchResponse event = watch.next();
      while (!event.hasConfirmed() || event.getConfirmed().getElapsedMs() < 5L * i) {
        if (event.hasHeadMoved() && event.getHeadMoved().getHead().getVersion() == i) {
          told.add(event.getHeadMoved().getDatabaseId());
        }
        event = watch.next();
      }
      assertEquals(Set.of(one.database, two.database), told, "version " + i);
    }
  }

  @Test
  void p7_aMomentThatIsConfirmedHasAllThatWasAcknowledgedBefore() throws Exception {
    int commits = 300;
    TestClient writer = writer();
    TestWatch[] readers = {client().watch(), client().watch(), client().watch()};
    for (int i = 1; i <= commits; i++) {
      writer.commit(1);
      // So version i was acknowledged before the moment i.
      server().nanos.addAndGet(1_000_000);
    }
    for (TestWatch reader : readers) {
      long told = 0;
      long moment = 0;
      while (moment < commits) {
        WatchResponse event = reader.next();
        if (event.hasConfirmed()) {
          moment = event.getConfirmed().getElapsedMs();
          assertTrue(told >= moment, "at " + moment + " only " + told + " was told");
        } else {
          assertEquals(told, event.getHeadMoved().getFromVersion());
          told = event.getHeadMoved().getHead().getVersion();
        }
      }
      assertEquals(commits, told);
    }
  }

  @Test
  void p9_aClientThatDoesNotReadIsToldOfManyCommitsAtOnce() throws Exception {
    int commits = 80;
    TestClient writer = writer();
    ManagedChannel narrow = server().narrowChannel();
    try {
      TestWatch slow =
          new TestWatch(
              narrow,
              client().watchRequest().addDatabases(TestClient.watched(writer.database, 0)).build());
      assertTrue(slow.next().hasConfirmed());
      slow.pause();
      for (int i = 1; i <= commits; i++) {
        writer.commitZeros(2000);
        server().nanos.addAndGet(1_000_000);
      }
      slow.resume();
      long told = 0;
      int events = 0;
      while (told < commits) {
        WatchResponse event = slow.next();
        if (event.hasHeadMoved()) {
          events++;
          assertEquals(told, event.getHeadMoved().getFromVersion());
          assertEquals(2000, event.getHeadMoved().getChanges().getPagesCount());
          told = event.getHeadMoved().getHead().getVersion();
        } else {
          assertTrue(told >= event.getConfirmed().getElapsedMs());
        }
      }
      assertTrue(events < commits / 2, events + " events for " + commits + " commits");
      slow.skipTo(commits);
    } finally {
      narrow.shutdownNow();
    }
  }

  @Test
  void p9_badRequestsAreRefused() throws Exception {
    TestClient client = client();
    TestWatch good = client.watch();
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        client.watch(WatchRequest.getDefaultInstance())::end);
    refused(
        "NO_SUCH_SESSION",
        Status.Code.NOT_FOUND,
        client.watch(WatchRequest.newBuilder().setSessionId(client.id()).build())::end);
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        client.watch(
                client
                    .watchRequest()
                    .addDatabases(TestClient.watched(ByteString.copyFromUtf8("short"), 0))
                    .build())
            ::end);
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        client.watch(
                client.watchRequest().addDatabases(TestClient.watched(client.database, -1)).build())
            ::end);
    WatchRequest.Builder many = client.watchRequest();
    for (int i = 0; i <= Watches.MAX_DATABASES; i++) {
      many.addDatabases(TestClient.watched(client.id(), 0));
    }
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, client.watch(many.build())::end);
    server().pass(1);
    good.skipTo(1);

    // A version that does not exist yet, a database named twice, no period, and the longest.
    TestWatch odd =
        client.watch(
            client
                .watchRequest()
                .setConfirmEveryMs(-1)
                .addDatabases(TestClient.watched(client.database, Long.MAX_VALUE))
                .addDatabases(TestClient.watched(client.database, 7))
                .build());
    HeadMoved back = odd.headMoved();
    assertEquals(7, back.getFromVersion());
    assertEquals(0, back.getHead().getVersion());
    assertTrue(back.getChanges().getAll());
    assertEquals(0, odd.next(EventCase.CONFIRMED).getConfirmed().getElapsedMs());
  }

  @Test
  void whatIsNewerThanTheClientHasIsToldFirst() throws Exception {
    TestClient writer = writer();
    writer.commit(1, 2);
    writer.commit(2);
    writer.commit(3);
    ByteString behind = writer.database;
    ByteString known = client("other").database;
    ByteString unknown = writer.id();
    TestClient reader = client("other");
    TestWatch watch =
        reader.watch(
            reader
                .watchRequest()
                .addDatabases(TestClient.watched(known, 0))
                .addDatabases(TestClient.watched(behind, 1))
                .addDatabases(TestClient.watched(unknown, 5))
                .build());
    HeadMoved moved = null;
    ByteString dropped = null;
    WatchResponse event = watch.next();
    while (!event.hasConfirmed()) {
      if (event.hasHeadMoved()) {
        moved = event.getHeadMoved();
      } else {
        assertEquals(EventCase.DROPPED, event.getEventCase());
        dropped = event.getDropped().getDatabaseId();
      }
      event = watch.next();
    }
    assertEquals(0, event.getConfirmed().getElapsedMs());
    assertEquals(unknown, dropped);
    assertTrue(moved != null);
    assertEquals(behind, moved.getDatabaseId());
    assertEquals(1, moved.getFromVersion());
    assertEquals(3, moved.getHead().getVersion());
    assertEquals(3, moved.getHead().getPageCount());
    assertEquals(512, moved.getHead().getPageSize());
    assertEquals(List.of(2, 3), moved.getChanges().getPagesList());
  }

  @Test
  void whoKnowsAnotherHistoryIsToldOnceWhateverTheNumbers() throws Exception {
    TestClient writer = writer();
    writer.commit(1, 2);
    writer.commit(2);
    long mark = writer.mark;
    for (long have = 1; have <= 3; have++) {
      TestClient reader = client();
      TestWatch watch = watch(reader, have, mark ^ 1);
      HeadMoved moved = watch.headMovedAtOnce();
      assertEquals(have, moved.getFromVersion());
      assertEquals(2, moved.getHead().getVersion());
      assertEquals(mark, moved.getHead().getMark());
      assertTrue(moved.getChanges().getAll());
      assertTrue(moved.getChanges().getOtherHistory());
      for (int i = 0; i < 3; i++) {
        server().nanos.addAndGet(1_000_000);
        WatchResponse event = watch.next();
        assertTrue(event.hasConfirmed(), "it is told again: " + event);
      }
    }
  }

  @Test
  void whoWasToldOfAnotherHistoryIsToldOfWhatComesThen() throws Exception {
    TestClient writer = writer();
    writer.commit(1, 2);
    TestWatch watch = watch(client(), 1, writer.mark + 1);
    assertTrue(watch.headMovedAtOnce().getChanges().getOtherHistory());
    writer.commit(2);
    HeadMoved moved = watch.headMoved();
    assertEquals(1, moved.getFromVersion());
    assertEquals(2, moved.getHead().getVersion());
    assertEquals(writer.mark, moved.getHead().getMark());
    assertFalse(moved.getChanges().getOtherHistory());
    assertEquals(List.of(2), moved.getChanges().getPagesList());
  }

  @Test
  void whoKnowsTheHeadByItsMarkOrWithoutIsNotToldOfIt() throws Exception {
    TestClient writer = writer();
    writer.commit(1, 2);
    for (long mark : new long[] {writer.mark, 0}) {
      TestWatch watch = watch(client(), 1, mark);
      assertTrue(watch.next().hasConfirmed());
      assertTrue(watch.next().hasConfirmed());
    }
  }

  private static TestWatch watch(TestClient reader, long have, long mark) {
    return reader.watch(
        reader
            .watchRequest()
            .addDatabases(TestClient.watched(reader.database, have).toBuilder().setHaveMark(mark))
            .build());
  }

  @Test
  void aDroppedDatabaseIsToldOnce() throws Exception {
    TestClient watched = client();
    TestWatch watch = watched.watch();
    assertFalse(watch.next().hasDropped());
    DropDatabaseRequest drop = DropDatabaseRequest.newBuilder().setName(NAME).build();
    AdminGrpc.newBlockingStub(server().channel).dropDatabase(drop);
    assertEquals(watched.database, watch.next(EventCase.DROPPED).getDropped().getDatabaseId());
    client(); // Another of that name.
    server().pass(1);
    watch.skipTo(1);
  }

  @Test
  void aNewerStreamOfTheSessionEndsTheOlder() throws Exception {
    TestClient client = client();
    TestWatch older = client.watch();
    assertTrue(older.next().hasConfirmed());
    TestWatch newer = client.watch();
    assertTrue(newer.next().hasConfirmed());
    StatusRuntimeException e = assertThrows(StatusRuntimeException.class, older::end);
    assertEquals(Status.Code.ABORTED, e.getStatus().getCode());
    server().pass(1);
    newer.skipTo(1);
  }

  @Test
  void theStreamEndsWithItsSession() throws Exception {
    TestClient client = client();
    TestWatch closed = client.watch();
    assertTrue(closed.next().hasConfirmed());
    client.closeSession();
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, closed::end);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, client.watch()::end);

    TestWatch expired = client().watch();
    assertTrue(expired.next().hasConfirmed());
    server().pass(TTL_MS);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, expired::end);
  }

  @Test
  void theStreamEndsWhenTheServerStopsWhichDoesNotWaitForIt() throws Exception {
    TestWatch watch = client().watch();
    assertTrue(watch.next().hasConfirmed());
    long before = System.nanoTime();
    server().server.close();
    assertTrue(System.nanoTime() - before < ServerOptions.DEFAULTS.drain().toNanos());
    refused("SHUTTING_DOWN", Status.Code.UNAVAILABLE, watch::end);
  }
}
