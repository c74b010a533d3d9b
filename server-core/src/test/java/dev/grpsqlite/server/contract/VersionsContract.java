package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageServiceContract.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.Timestamp;
import dev.grpsqlite.proto.file.AcquireLeaseRequest;
import dev.grpsqlite.proto.file.AtomicWrite;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.file.PragmaRequest;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.ReadResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CloseSessionResponse;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.ListVersionsResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.SetRetentionRequest;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.VersionInfo;
import dev.grpsqlite.proto.v1.View;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.wire.Pages;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a store that keeps versions and forks them gives to clients, through a socket. */
@Timeout(120)
public abstract class VersionsContract extends ServedContract {
  private static final int PAGE_SIZE = 512;
  private static final String NAME = "tenant-7/main.db";

  private final Random random = new Random(7);

  /** Opens an empty store, whose collector is awake several times in a second. */
  protected abstract PageStore open(
      Retention retention, SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @Override
  final PageStore openStore(SnapshotPins pins, Path in) throws Exception {
    return open(Retention.FOREVER, pins, Clock.systemUTC(), in);
  }

  private GrpsqliteGrpc.GrpsqliteBlockingStub files() {
    return GrpsqliteGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
  }

  // ---- History

  @Test
  void historyTellsEachVersionNewestFirstInPages() {
    Client client = new Client(NAME);
    client.commit(3, 1, 2, 3);
    client.commit(3, 2);
    client.commit(5, 1, 4, 5);
    List<VersionInfo> all = versions(NAME, 0);
    assertEquals(List.of(3L, 2L, 1L, 0L), all.stream().map(VersionInfo::getVersion).toList());
    assertEquals(List.of(3, 1, 3, 0), all.stream().map(VersionInfo::getPagesChanged).toList());
    assertEquals(List.of(5, 3, 3, 0), all.stream().map(VersionInfo::getPageCount).toList());
    assertEquals(PAGE_SIZE, all.get(0).getPageSize());
    for (int i = 1; i < all.size(); i++) {
      assertTrue(millis(all.get(i - 1)) > millis(all.get(i)), "each has a time of its own");
    }
    assertEquals(all, versions(NAME, 1));
    assertEquals(all, versions(NAME, 3));
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () ->
            admin()
                .listVersions(
                    ListVersionsRequest.newBuilder().setName(NAME).setPageToken("x").build()));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> versions("none", 0));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> versions("", 0));
  }

  // ---- Opening old versions

  @Test
  void p6_aDatabaseIsOpenedAtAVersionAndAtATime() {
    Client client = new Client(NAME);
    for (int i = 1; i <= 5; i++) {
      client.commit(i, i);
    }
    List<VersionInfo> history = versions(NAME, 0);
    for (VersionInfo info : history) {
      OpenDatabaseResponse byNumber = client.openAt(1, info.getVersion());
      assertEquals(info.getVersion(), byNumber.getSnapshot().getVersion());
      assertEquals(info.getVersion(), byNumber.getSnapshot().getPageCount());
      assertEquals(5, byNumber.getHeadVersion());
      assertEquals(0, byNumber.getOldestVersion());
      OpenDatabaseResponse byTime = client.openAt(2, info.getCommittedAt());
      assertEquals(byNumber.getSnapshot(), byTime.getSnapshot());
      assertEquals(byNumber.getPagesList(), byTime.getPagesList());
      for (int page = 1; page <= info.getVersion(); page++) {
        assertEquals(content(page, page), client.read(info.getVersion(), page));
      }
    }
    Instant soon = Instant.now().plusSeconds(3600);
    assertEquals(5, client.openAt(3, timestamp(soon)).getSnapshot().getVersion());
    Instant before = Instant.ofEpochMilli(millis(history.get(5)) - 1);
    refused(
        "NO_SUCH_VERSION",
        Status.Code.OUT_OF_RANGE,
        () -> client.openAt(4, timestamp(before)).getSnapshot());
    refused("NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> client.openAt(4, 6).getSnapshot());
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> client.openAt(4, -1));
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () -> client.openAt(4, Timestamp.newBuilder().setSeconds(Long.MAX_VALUE).build()));
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> client.openAt(0, 1));
  }

  @Test
  void openingAnOldVersionMakesNoDatabase() {
    Client client = new Client(NAME);
    OpenDatabaseRequest request =
        OpenDatabaseRequest.newBuilder()
            .setSessionId(client.session)
            .setName("none")
            .setCreate(true)
            .setView(1)
            .setAtVersion(0)
            .build();
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> pages().openDatabase(request));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> stat("none"));
  }

  @Test
  void p6_aViewOfAnOldVersionKeepsItUntilItIsClosed() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    client.commit(1, 1);
    client.commit(1, 1);
    Client reader = new Client(NAME);
    // What keeps all from 2 on, beside the reader's own live view of the head.
    reader.openAt(7, 2);
    client.floor = Long.MAX_VALUE;
    client.refresh(3, client.floor);
    setRetention(NAME, retention(0));
    await(() -> stat(NAME).getOldestVersion() == 2);
    refused("SNAPSHOT_TOO_OLD", Status.Code.OUT_OF_RANGE, () -> client.openAt(3, 1));
    client.commit(1, 1);
    client.commit(1, 1);
    assertEquals(content(1, 2), reader.read(2, 1));
    assertEquals(content(1, 3), reader.read(3, 1));
    assertEquals(2, stat(NAME).getOldestVersion());

    // The session moves on to the head, but not that view.
    reader.refresh(0, 5);
    client.commit(1, 1);
    assertEquals(content(1, 2), reader.read(2, 1));
    reader.closeView(7);
    await(() -> stat(NAME).getOldestVersion() == 5);
    refused("SNAPSHOT_TOO_OLD", Status.Code.OUT_OF_RANGE, () -> reader.openAt(8, 2));
    refused(
        "SNAPSHOT_TOO_OLD",
        Status.Code.OUT_OF_RANGE,
        () ->
            reader.openAt(
                8, timestamp(Instant.ofEpochMilli(millis(versions(NAME, 0).get(1)) - 1))));
    reader.end();
    await(() -> stat(NAME).getOldestVersion() == 6);
    assertEquals(1, versions(NAME, 0).size());
  }

  // ---- Retention

  @Test
  void whatHasARetentionOfItsOwnIsNotDroppedForWantOfACommit() {
    ByteString session = id();
    assertNotEquals(
        0,
        pages()
            .openSession(OpenSessionRequest.newBuilder().setSessionId(session).build())
            .getTtlMs());
    openForOneCommit(session, "set-up");
    openForOneCommit(session, "unused");
    setRetention("set-up", retention(2));
    assertEquals(
        CloseSessionResponse.getDefaultInstance(),
        pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build()));
    await(() -> !isThere("unused"));
    assertEquals(retention(2), stat("set-up").getRetention());
  }

  private boolean isThere(String name) {
    try {
      return stat(name).getName().equals(name);
    } catch (StatusRuntimeException e) {
      assertEquals(Status.Code.NOT_FOUND, e.getStatus().getCode());
      return false;
    }
  }

  @Test
  void retentionIsSetAndToldAndUnset() {
    Client client = new Client(NAME);
    assertFalse(stat(NAME).hasRetention());
    for (int i = 1; i <= 6; i++) {
      client.commit(1, 1);
      client.refresh(i, i);
    }
    setRetention(NAME, retention(2));
    assertEquals(retention(2), stat(NAME).getRetention());
    await(() -> stat(NAME).getOldestVersion() == 4);
    assertEquals(List.of(6L, 5L, 4L), numbers(NAME));

    dev.grpsqlite.proto.v1.Retention hour =
        dev.grpsqlite.proto.v1.Retention.newBuilder()
            .setDuration(com.google.protobuf.Duration.newBuilder().setSeconds(3600).setNanos(5))
            .build();
    setRetention(NAME, hour);
    assertEquals(hour, stat(NAME).getRetention());
    admin().setRetention(SetRetentionRequest.newBuilder().setName(NAME).build());
    assertFalse(stat(NAME).hasRetention());
    client.commit(1, 1);
    assertEquals(List.of(7L, 6L, 5L, 4L), numbers(NAME));

    for (com.google.protobuf.Duration wrong :
        List.of(
            com.google.protobuf.Duration.newBuilder().setSeconds(-1).build(),
            com.google.protobuf.Duration.newBuilder().setNanos(-1).build(),
            com.google.protobuf.Duration.newBuilder().setSeconds(Long.MAX_VALUE).build())) {
      refused(
          "INVALID_REQUEST",
          Status.Code.INVALID_ARGUMENT,
          () ->
              setRetention(
                  NAME, dev.grpsqlite.proto.v1.Retention.newBuilder().setDuration(wrong).build()));
    }
    refused(
        "INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> setRetention(NAME, retention(-1)));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> setRetention("none", retention(1)));
  }

  // ---- Forks

  @Test
  void aForkBeginsAsItsParentWasAndGoesItsOwnWay() {
    Client client = new Client(NAME);
    client.commit(2, 1, 2);
    client.commit(2, 2);
    Timestamp second = versions(NAME, 0).get(0).getCommittedAt();
    client.commit(3, 3);

    DatabaseInfo old = fork("forks/1", 1);
    assertEquals("forks/1", old.getName());
    assertEquals(NAME, old.getForkedFrom());
    assertEquals(1, old.getForkedAtVersion());
    assertEquals(0, old.getHeadVersion());
    assertEquals(2, old.getPageCount());
    assertEquals(PAGE_SIZE, old.getPageSize());
    assertNotEquals(client.database, old.getDatabaseId());
    assertEquals(old, stat("forks/1"));
    DatabaseInfo timed =
        admin().forkDatabase(forkRequest("forks/2").setAtTime(second).build()).getDatabase();
    assertEquals(2, timed.getForkedAtVersion());
    DatabaseInfo newest = admin().forkDatabase(forkRequest("forks/3").build()).getDatabase();
    assertEquals(3, newest.getForkedAtVersion());
    assertEquals(3, newest.getPageCount());

    Client fork = new Client("forks/1");
    assertEquals(content(1, 1), fork.read(0, 1));
    assertEquals(content(2, 1), fork.read(0, 2));
    fork.commit(2, 1);
    client.commit(3, 1);
    assertEquals(content(1, 1), fork.read(0, 1));
    assertEquals(content(1, 4), client.read(4, 1));
    assertEquals(content(2, 2), client.read(4, 2));
    assertEquals(content(2, 1), fork.read(1, 2));
    assertEquals(List.of(1L, 0L), numbers("forks/1"));

    client.end();
    admin().dropDatabase(DropDatabaseRequest.newBuilder().setName(NAME).build());
    assertEquals(content(2, 1), fork.read(1, 2));
    assertEquals(NAME, stat("forks/1").getForkedFrom());
  }

  @Test
  void aForkOfAForkKeepsWhatItNeedsWhateverBecomesOfTheOthers() {
    Client client = new Client(NAME);
    client.commit(3, 1, 2, 3);
    client.commit(3, 2);
    fork("forks/1", 1);
    Client first = new Client("forks/1");
    first.commit(4, 3, 4);
    ForkDatabaseRequest again = forkRequest("forks/2").setName("forks/1").setAtVersion(1).build();
    assertEquals("forks/1", admin().forkDatabase(again).getDatabase().getForkedFrom());
    Client second = new Client("forks/2");

    // Cut off and grown again: nothing of what was there before comes back.
    second.commit(1, 1);
    second.commit(4, 2, 3, 4);
    for (String name : List.of(NAME, "forks/1")) {
      setRetention(name, retention(0));
    }
    first.commit(4, 1, 2, 3, 4);
    first.refresh(2, 2);
    client.commit(3, 1, 2, 3);
    client.refresh(3, 3);
    await(() -> stat(NAME).getOldestVersion() == 3 && stat("forks/1").getOldestVersion() == 2);
    client.end();
    first.end();
    for (String name : List.of(NAME, "forks/1")) {
      admin().dropDatabase(DropDatabaseRequest.newBuilder().setName(name).build());
      refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> stat(name));
    }
    assertEquals(content(1, 1), second.read(0, 1), "the parent's");
    assertEquals(content(2, 1), second.read(0, 2), "the parent's, at the version that was forked");
    assertEquals(content(3, 1), second.read(0, 3), "the fork's");
    assertEquals(content(4, 1), second.read(0, 4), "the fork's");
    assertEquals(content(1, 1), second.read(1, 1));
    for (int page = 2; page <= 4; page++) {
      assertEquals(content(page, 2), second.read(2, page));
    }
    second.release();
    RestoreDatabaseRequest restore = restoreRequest().setName("forks/2").setAtVersion(0).build();
    assertEquals(3, admin().restoreDatabase(restore).getVersion());
    assertEquals(content(2, 1), second.read(3, 2));
    assertEquals(content(4, 1), second.read(3, 4));
  }

  @Test
  void p5_aForkIsMadeOnceHoweverOftenItIsAskedFor() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    ForkDatabaseRequest request = forkRequest("copy").build();
    DatabaseInfo made = admin().forkDatabase(request).getDatabase();
    assertEquals(1, made.getForkedAtVersion());
    client.commit(1, 1);
    assertEquals(made, admin().forkDatabase(request).getDatabase(), "asked again");
    refused(
        "ALREADY_EXISTS",
        Status.Code.ALREADY_EXISTS,
        () -> admin().forkDatabase(forkRequest("copy").build()));
    // Another name is another fork.
    assertEquals(
        2,
        admin()
            .forkDatabase(request.toBuilder().setNewName("copy2").build())
            .getDatabase()
            .getForkedAtVersion());

    // What it has become since is told, whatever became of the parent.
    Client copy = new Client("copy");
    copy.commit(1, 1);
    client.end();
    admin().dropDatabase(DropDatabaseRequest.newBuilder().setName(NAME).build());
    DatabaseInfo later = admin().forkDatabase(request).getDatabase();
    assertEquals(made.getDatabaseId(), later.getDatabaseId());
    assertEquals(1, later.getHeadVersion());
    assertEquals(stat("copy"), later);

    copy.end();
    admin().dropDatabase(DropDatabaseRequest.newBuilder().setName("copy").build());
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> admin().forkDatabase(request));
    new Client("copy");
    new Client(NAME);
    refused("ALREADY_EXISTS", Status.Code.ALREADY_EXISTS, () -> admin().forkDatabase(request));
  }

  @Test
  void aForkWithoutAnIdIsRefused() {
    new Client(NAME);
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () -> admin().forkDatabase(forkRequest("copy").setCommitId(ByteString.EMPTY).build()));
  }

  @Test
  void p5_forksThatAreSentAtOnceAreOne() throws Exception {
    Client client = new Client(NAME);
    client.commit(1, 1);
    for (int i = 0; i < 20; i++) {
      ForkDatabaseRequest request = forkRequest("copy" + i).build();
      List<CompletableFuture<DatabaseInfo>> answers =
          Stream.generate(
                  () ->
                      CompletableFuture.supplyAsync(
                          () -> admin().forkDatabase(request).getDatabase()))
              .limit(4)
              .toList();
      Set<DatabaseInfo> different = new HashSet<>();
      for (CompletableFuture<DatabaseInfo> answer : answers) {
        different.add(answer.get(60, TimeUnit.SECONDS));
      }
      assertEquals(1, different.size());
    }
  }

  @Test
  void whatCannotBeForkedIsRefused() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    new Client("taken");
    refused("ALREADY_EXISTS", Status.Code.ALREADY_EXISTS, () -> fork("taken", 1));
    refused("ALREADY_EXISTS", Status.Code.ALREADY_EXISTS, () -> fork(NAME, 1));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> fork("/abs", 1));
    refused("NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> fork("new", 2));
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> fork("new", -1));
    refused(
        "NO_SUCH_DATABASE",
        Status.Code.NOT_FOUND,
        () -> admin().forkDatabase(forkRequest("new").setName("none").build()));
    refused("NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> stat("new"));
    client.refresh(1, 1);
    setRetention(NAME, retention(0));
    await(() -> stat(NAME).getOldestVersion() == 1);
    refused("SNAPSHOT_TOO_OLD", Status.Code.OUT_OF_RANGE, () -> fork("new", 0));
  }

  // ---- Restoring

  @Test
  void restoringMakesANewVersionAndLosesNothing() {
    Client client = new Client(NAME);
    client.commit(2, 1, 2);
    Timestamp first = versions(NAME, 0).get(0).getCommittedAt();
    client.commit(5, 1, 3, 4, 5);
    client.release();

    RestoreDatabaseRequest.Builder request = restoreRequest().setAtVersion(1);
    assertEquals(3, admin().restoreDatabase(request.build()).getVersion());
    assertEquals(
        request.getCommitId().asReadOnlyByteBuffer().getLong(),
        client.refresh(2, 0).getHead().getMark(),
        "the mark of what a restore made");
    assertEquals(2, stat(NAME).getPageCount());
    assertEquals(content(1, 1), client.read(3, 1));
    assertEquals(content(1, 2), client.read(2, 1));
    assertEquals(List.of(3L, 2L, 1L, 0L), numbers(NAME));
    RefreshResponse refreshed = client.refresh(2, 0);
    assertEquals(3, refreshed.getHead().getVersion());
    assertTrue(
        refreshed.getChanges().getAll() || refreshed.getChanges().getPagesList().contains(1));

    assertEquals(4, admin().restoreDatabase(restoreRequest().setAtVersion(2).build()).getVersion());
    assertEquals(
        5, admin().restoreDatabase(restoreRequest().setAtTime(first).build()).getVersion());
    assertEquals(content(1, 1), client.read(5, 1));

    // Whoever writes next finds no lease in the way.
    client.base = 5;
    client.acquire();
    assertEquals(6, client.commit(2, 1));
  }

  @Test
  void p5_aRestoreIsAppliedOnceWhoeverHasTheLeaseWhenItIsSentAgain() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    client.commit(1, 1);
    Timestamp second = versions(NAME, 0).get(0).getCommittedAt();
    client.release();
    RestoreDatabaseRequest byNumber = restoreRequest().setAtVersion(1).build();
    RestoreDatabaseRequest byTime = restoreRequest().setAtTime(second).build();
    assertEquals(3, admin().restoreDatabase(byNumber).getVersion());
    assertEquals(4, admin().restoreDatabase(byTime).getVersion());
    assertEquals(3, admin().restoreDatabase(byNumber).getVersion());
    client.base = 4;
    client.acquire();
    client.commit(1, 1);
    assertEquals(3, admin().restoreDatabase(byNumber).getVersion());
    client.refresh(5, 5);
    setRetention(NAME, retention(0));
    await(() -> stat(NAME).getOldestVersion() == 5);
    assertEquals(4, admin().restoreDatabase(byTime).getVersion());
    assertEquals(5, stat(NAME).getHeadVersion());
  }

  @Test
  void p3_aRestoreNeedsTheLeaseAsAnyWriter() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    RestoreDatabaseRequest request = restoreRequest().setAtVersion(0).build();
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, () -> admin().restoreDatabase(request));
    assertEquals(2, client.commit(1, 1), "the holder did not notice");
    // Its holder is gone, and nobody else waits for it.
    server().pass(TTL_MS + 1);
    assertEquals(3, admin().restoreDatabase(request).getVersion());
    assertEquals(0, stat(NAME).getPageCount());
  }

  @Test
  void p5_whoHasTheLeaseRestoresUnderItOnceAndKeepsIt() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    client.commit(1, 1);
    RestoreDatabaseRequest.Builder request =
        restoreRequest().setAtVersion(1).setSessionId(client.session).setEpoch(client.epoch);
    assertEquals(3, admin().restoreDatabase(request.build()).getVersion());
    assertEquals(3, admin().restoreDatabase(request.build()).getVersion(), "asked again");
    assertEquals(content(1, 1), client.read(3, 1));
    client.base = 3;
    assertEquals(4, client.commit(1, 1), "the lease is kept");
    assertEquals(3, admin().restoreDatabase(request.build()).getVersion(), "as then");
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () ->
            admin().restoreDatabase(request.setCommitId(id()).setEpoch(client.epoch + 1).build()));
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> admin().restoreDatabase(request.setSessionId(id()).setEpoch(client.epoch).build()));
    assertEquals(4, stat(NAME).getHeadVersion());
  }

  @Test
  void whatCannotBeRestoredIsRefusedAndLeavesTheLeaseFree() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    client.release();
    refused(
        "NO_SUCH_VERSION",
        Status.Code.OUT_OF_RANGE,
        () -> admin().restoreDatabase(restoreRequest().setAtVersion(2).build()));
    refused(
        "NO_SUCH_VERSION",
        Status.Code.OUT_OF_RANGE,
        () ->
            admin()
                .restoreDatabase(
                    restoreRequest().setAtTime(Timestamp.newBuilder().setSeconds(1)).build()));
    client.acquire();
    client.release();
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () -> admin().restoreDatabase(restoreRequest().build()));
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () ->
            admin()
                .restoreDatabase(
                    restoreRequest().setAtVersion(0).setCommitId(ByteString.EMPTY).build()));
    refused(
        "NO_SUCH_DATABASE",
        Status.Code.NOT_FOUND,
        () -> admin().restoreDatabase(restoreRequest().setName("none").setAtVersion(0).build()));
    client.refresh(1, 1);
    setRetention(NAME, retention(0));
    await(() -> stat(NAME).getOldestVersion() == 1);
    refused(
        "SNAPSHOT_TOO_OLD",
        Status.Code.OUT_OF_RANGE,
        () -> admin().restoreDatabase(restoreRequest().setAtVersion(0).build()));
    assertEquals(1, stat(NAME).getHeadVersion());
  }

  // ---- PRAGMAs

  @Test
  void pragmasForkAndRestore() {
    Client client = new Client(NAME);
    client.commit(1, 1);
    client.commit(1, 1);
    assertEquals("copy", pragma("grpsqlite_fork", "copy", ""));
    assertEquals(2, stat("copy").getForkedAtVersion());
    assertEquals("copy2", pragma("GRPSQLITE_Fork", "copy2", ""));
    refused(
        "ALREADY_EXISTS", Status.Code.ALREADY_EXISTS, () -> pragma("grpsqlite_fork", "copy", ""));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> pragma("grpsqlite_fork", "", ""));

    refused(
        "LEASE_HELD", Status.Code.FAILED_PRECONDITION, () -> pragma("grpsqlite_restore", "1", ""));
    client.release();
    assertEquals("3", pragma("grpsqlite_restore", "1", ""));
    assertEquals(content(1, 1), client.read(3, 1));
    // Under the caller's own lease, which it keeps.
    String lease =
        files()
            .acquireLease(AcquireLeaseRequest.newBuilder().setDatabase(NAME).build())
            .getLeaseId();
    assertEquals("4", pragma("grpsqlite_restore", "2", lease));
    batch(NAME, lease, new byte[PAGE_SIZE]);
    String lost = lease.replaceFirst("^.", lease.startsWith("0") ? "1" : "0");
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> pragma("grpsqlite_restore", "1", lost));
    assertEquals(content(1, 2), client.read(4, 1));
    for (String wrong : List.of("", "x", "-1", "1.5", "99999999999999999999")) {
      refused(
          "INVALID_REQUEST",
          Status.Code.INVALID_ARGUMENT,
          () -> pragma("grpsqlite_restore", wrong, ""));
    }
    refused(
        "NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> pragma("grpsqlite_restore", "6", lease));
    // NOT_FOUND would be "no pragma of this server's".
    PragmaRequest ofNothing =
        PragmaRequest.newBuilder()
            .setDatabase("none")
            .setPragmaName("grpsqlite_fork")
            .setPragmaValue("new")
            .build();
    refused("NO_SUCH_DATABASE", Status.Code.FAILED_PRECONDITION, () -> files().pragma(ofNothing));
  }

  // ---- The file service's timestamped reads

  @Test
  void p6_aTimeNamesASnapshotOfTheFileService() {
    String name = "file.db";
    String lease =
        files()
            .acquireLease(AcquireLeaseRequest.newBuilder().setDatabase(name).build())
            .getLeaseId();
    List<ReadResponse> newest = new ArrayList<>();
    newest.add(readFile(name, 0));
    int commits = 50;
    for (int i = 1; i <= commits; i++) {
      byte[] data = new byte[PAGE_SIZE * (1 + i % 3)];
      Arrays.fill(data, (byte) i);
      batch(name, lease, data);
      newest.add(readFile(name, 0));
    }
    for (int i = 1; i <= commits; i++) {
      assertTrue(newest.get(i).getTimeMillis() > newest.get(i - 1).getTimeMillis());
      assertEquals((byte) i, newest.get(i).getData().byteAt(0));
    }
    for (int i = 0; i <= commits; i++) {
      ReadResponse now = newest.get(i);
      assertEquals(now, readFile(name, now.getTimeMillis()));
    }
    ReadResponse last = newest.get(commits);
    assertEquals(last, readFile(name, last.getTimeMillis() + 3_600_000), "there is none so new");
    long created = newest.get(0).getTimeMillis();
    assertTrue(newest.get(0).getData().isEmpty());
    refused("NO_SUCH_VERSION", Status.Code.OUT_OF_RANGE, () -> readFile(name, created - 1));

    batch(name, lease, new byte[4 * PAGE_SIZE]);
    assertEquals(
        4L * PAGE_SIZE,
        files()
            .getFileSize(
                GetFileSizeRequest.newBuilder().setDatabase(name).setFileName(name).build())
            .getSize(),
        "a size is always the newest");
    assertEquals(last, readFile(name, last.getTimeMillis()));
    setRetention(name, retention(0));
    await(() -> stat(name).getOldestVersion() == commits + 1);
    refused(
        "SNAPSHOT_TOO_OLD", Status.Code.OUT_OF_RANGE, () -> readFile(name, last.getTimeMillis()));
    assertEquals(0, readFile(name, 0).getData().byteAt(0));
    assertEquals(0, readFile("none", 0).getTimeMillis());
  }

  // ---- Means

  /** A session that has a database open, and its lease from its first commit on. */
  private final class Client {
    final ByteString session = id();
    final ByteString database;
    long base;
    long floor;
    long epoch = -1;

    Client(String name) {
      assertNotEquals(
          0,
          pages()
              .openSession(OpenSessionRequest.newBuilder().setSessionId(session).build())
              .getTtlMs());
      OpenDatabaseResponse opened =
          pages()
              .openDatabase(
                  OpenDatabaseRequest.newBuilder()
                      .setSessionId(session)
                      .setName(name)
                      .setCreate(true)
                      .build());
      database = opened.getDatabaseId();
      base = opened.getHeadVersion();
    }

    void acquire() {
      dev.grpsqlite.proto.v1.AcquireLeaseResponse answer =
          pages()
              .acquireLease(
                  dev.grpsqlite.proto.v1.AcquireLeaseRequest.newBuilder()
                      .setSessionId(session)
                      .setDatabaseId(database)
                      .setHaveVersion(base)
                      .build());
      assertEquals(Outcome.OUTCOME_GRANTED, answer.getOutcome());
      epoch = answer.getEpoch();
    }

    /** Writes pages whose content tells the version that wrote them. */
    long commit(int pageCount, int... numbers) {
      if (epoch < 0) {
        acquire();
      }
      CommitRequest.Builder request =
          CommitRequest.newBuilder()
              .setSessionId(session)
              .setDatabaseId(database)
              .setEpoch(epoch)
              .setCommitId(id())
              .setBaseVersion(base)
              .setPageSize(PAGE_SIZE)
              .setPageCount(pageCount)
              .setFloorVersion(floor);
      for (int number : numbers) {
        ByteString content = content(number, base + 1);
        request.addPages(
            Page.newBuilder()
                .setNumber(number)
                .setChecksum(Pages.checksum(content))
                .setData(content));
      }
      base = pages().commit(request.build()).getVersion();
      return base;
    }

    void release() {
      assertEquals(
          dev.grpsqlite.proto.v1.ReleaseLeaseResponse.getDefaultInstance(),
          pages()
              .releaseLease(
                  ReleaseLeaseRequest.newBuilder()
                      .setSessionId(session)
                      .setDatabaseId(database)
                      .setEpoch(epoch)
                      .build()));
    }

    OpenDatabaseResponse openAt(int view, long version) {
      return pages().openDatabase(opening(view).setAtVersion(version).build());
    }

    OpenDatabaseResponse openAt(int view, Timestamp time) {
      return pages().openDatabase(opening(view).setAtTime(time).build());
    }

    private OpenDatabaseRequest.Builder opening(int view) {
      return OpenDatabaseRequest.newBuilder()
          .setSessionId(session)
          .setName(NAME)
          .setReadOnly(true)
          .setView(view);
    }

    ByteString read(long version, int page) {
      List<Page> result = new ArrayList<>();
      pages()
          .readPages(
              ReadPagesRequest.newBuilder()
                  .setSessionId(session)
                  .setDatabaseId(database)
                  .setVersion(version)
                  .addRanges(PageRange.newBuilder().setFirst(page).setCount(1))
                  .build())
          .forEachRemaining(part -> result.addAll(part.getPagesList()));
      return result.get(0).getData();
    }

    RefreshResponse refresh(long have, long newFloor) {
      return pages()
          .refresh(
              RefreshRequest.newBuilder()
                  .setSessionId(session)
                  .setDatabaseId(database)
                  .setHaveVersion(have)
                  .setFloorVersion(newFloor)
                  .build());
    }

    void closeView(int view) {
      assertEquals(
          0,
          pages()
              .keepAlive(
                  KeepAliveRequest.newBuilder()
                      .setSessionId(session)
                      .addViews(
                          View.newBuilder().setDatabaseId(database).setView(view).setClosed(true))
                      .build())
              .getLostLeasesCount());
    }

    void end() {
      assertEquals(
          dev.grpsqlite.proto.v1.CloseSessionResponse.getDefaultInstance(),
          pages().closeSession(CloseSessionRequest.newBuilder().setSessionId(session).build()));
    }
  }

  private static ByteString content(int page, long version) {
    return ByteString.copyFrom(TestPages.content(PAGE_SIZE, page + 1000 * version));
  }

  /** The whole history, in pages of a number of versions. */
  private List<VersionInfo> versions(String name, int limit) {
    List<VersionInfo> result = new ArrayList<>();
    String token = "";
    do {
      ListVersionsResponse answer =
          admin()
              .listVersions(
                  ListVersionsRequest.newBuilder()
                      .setName(name)
                      .setPageLimit(limit)
                      .setPageToken(token)
                      .build());
      assertTrue(limit == 0 || answer.getVersionsCount() <= limit);
      result.addAll(answer.getVersionsList());
      token = answer.getNextPageToken();
    } while (!token.isEmpty());
    return result;
  }

  private void openForOneCommit(ByteString session, String name) {
    assertEquals(
        0,
        pages()
            .openDatabase(
                OpenDatabaseRequest.newBuilder()
                    .setSessionId(session)
                    .setName(name)
                    .setCreate(true)
                    .setDropUnlessCommitted(true)
                    .build())
            .getSnapshot()
            .getVersion());
  }

  private List<Long> numbers(String name) {
    return versions(name, 0).stream().map(VersionInfo::getVersion).toList();
  }

  private DatabaseInfo stat(String name) {
    return admin()
        .statDatabase(StatDatabaseRequest.newBuilder().setName(name).build())
        .getDatabase();
  }

  private void setRetention(String name, dev.grpsqlite.proto.v1.Retention retention) {
    assertEquals(
        dev.grpsqlite.proto.v1.SetRetentionResponse.getDefaultInstance(),
        admin()
            .setRetention(
                SetRetentionRequest.newBuilder().setName(name).setRetention(retention).build()));
  }

  private static dev.grpsqlite.proto.v1.Retention retention(long versions) {
    return dev.grpsqlite.proto.v1.Retention.newBuilder()
        .setVersions(versions)
        .setDuration(com.google.protobuf.Duration.getDefaultInstance())
        .build();
  }

  private ForkDatabaseRequest.Builder forkRequest(String newName) {
    return ForkDatabaseRequest.newBuilder().setName(NAME).setNewName(newName).setCommitId(id());
  }

  private DatabaseInfo fork(String newName, long version) {
    return admin().forkDatabase(forkRequest(newName).setAtVersion(version).build()).getDatabase();
  }

  private RestoreDatabaseRequest.Builder restoreRequest() {
    return RestoreDatabaseRequest.newBuilder().setName(NAME).setCommitId(id());
  }

  private String pragma(String name, String value, String lease) {
    return files()
        .pragma(
            PragmaRequest.newBuilder()
                .setLeaseId(lease)
                .setDatabase(NAME)
                .setFileName(NAME)
                .setPragmaName(name)
                .setPragmaValue(value)
                .build())
        .getResponse();
  }

  private ReadResponse readFile(String name, long timeMillis) {
    return files()
        .read(
            ReadRequest.newBuilder()
                .setDatabase(name)
                .setFileName(name)
                .setLength(10_000)
                .setTimeMillis(timeMillis)
                .build());
  }

  /** Makes the file as long as the data, with one commit. */
  private void batch(String name, String lease, byte[] data) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files()
            .atomicWriteBatch(
                AtomicWriteBatchRequest.newBuilder()
                    .setLeaseId(lease)
                    .setDatabase(name)
                    .setFileName(name)
                    .addWrites(AtomicWrite.newBuilder().setData(ByteString.copyFrom(data)))
                    .build()));
  }

  private ByteString id() {
    byte[] bytes = new byte[16];
    random.nextBytes(bytes);
    return ByteString.copyFrom(bytes);
  }

  private static long millis(VersionInfo info) {
    assertEquals(0, info.getCommittedAt().getNanos() % 1_000_000, "whole milliseconds");
    return info.getCommittedAt().getSeconds() * 1000 + info.getCommittedAt().getNanos() / 1_000_000;
  }

  private static Timestamp timestamp(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }

  private static void await(BooleanSupplier condition) {
    long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        throw new AssertionError("not in time");
      }
      LockSupport.parkNanos(5_000_000);
    }
  }
}
