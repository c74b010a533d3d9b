package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageServiceContract.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.Changes;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.WatchResponse.HeadMoved;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What clients see when a server's folder was replaced by an older copy of it, and went on from
 * there: for stores that keep all they have in a folder.
 */
@Timeout(120)
public abstract class ReplacedDataContract {
  private static final String NAME = "main.db";

  /** Versions that are in the copy. */
  private static final int COMMON = 3;

  private static final int LOST = 5;

  @TempDir @Nullable Path parent;

  private @Nullable ServedStore serving;

  /** By version, as the client knew them that saw what was lost. */
  private final List<Long> marks = new ArrayList<>(List.of(0L));

  /** Opens the store that is in this folder, or an empty one. */
  protected abstract PageStore open(
      Retention retention, SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @AfterEach
  void stop() {
    if (serving != null) {
      serving.close();
    }
  }

  private ServedStore serve(Retention retention, String folder) throws Exception {
    stop();
    Path data = parent == null ? Path.of(folder) : parent.resolve(folder);
    ServedStore started =
        new ServedStore(
            ServerOptions.DEFAULTS,
            pins -> {
              try {
                return open(retention, pins, Clock.systemUTC(), data);
              } catch (Exception e) {
                throw new AssertionError(e);
              }
            });
    serving = started;
    // Who had a lease before is gone by then.
    started.pass(ServedContract.TTL_MS + 1);
    return started;
  }

  private void copy(String from, String to) throws IOException {
    Path source = parent == null ? Path.of(from) : parent.resolve(from);
    try (Stream<Path> files = Files.walk(source)) {
      for (Path file : files.toList()) {
        Files.copy(file, source.resolveSibling(to).resolve(source.relativize(file)));
      }
    }
  }

  private TestClient client(ServedStore served) {
    return new TestClient(served.channel, NAME);
  }

  private TestClient writer(ServedStore served) {
    TestClient client = client(served);
    assertEquals(Outcome.OUTCOME_GRANTED, client.acquire(0));
    return client;
  }

  /** A server with the older copy, while the versions behind it are known to somebody. */
  private ServedStore replaced(Retention retention) throws Exception {
    TestClient writer = writer(serve(retention, "data"));
    for (int i = 1; i <= COMMON; i++) {
      writer.commit(1, 2);
      marks.add(writer.mark);
    }
    stop();
    copy("data", "copy");
    writer = writer(serve(retention, "data"));
    assertEquals(writer.head, COMMON);
    for (int i = COMMON + 1; i <= LOST; i++) {
      writer.commit(1, 2);
      marks.add(writer.mark);
    }
    for (int i = 1; i <= LOST; i++) {
      assertFalse(refresh(writer, i, marks.get(i)).getChanges().getOtherHistory());
    }
    return serve(retention, "copy");
  }

  private static RefreshResponse refresh(TestClient client, long have, long mark) {
    return refresh(client, have, mark, 0);
  }

  private static RefreshResponse refresh(TestClient client, long have, long mark, long floor) {
    return client
        .pages()
        .refresh(
            RefreshRequest.newBuilder()
                .setSessionId(client.session)
                .setDatabaseId(client.database)
                .setHaveVersion(have)
                .setHaveMark(mark)
                .setFloorVersion(floor)
                .build());
  }

  private static void read(TestClient client, long version, long mark) {
    client
        .pages()
        .readPages(
            ReadPagesRequest.newBuilder()
                .setSessionId(client.session)
                .setDatabaseId(client.database)
                .setVersion(version)
                .setMark(mark)
                .addRanges(PageRange.newBuilder().setFirst(1).setCount(1))
                .build())
        .forEachRemaining(part -> assertEquals(1, part.getPagesCount()));
  }

  private static void raiseFloor(TestClient client) {
    RefreshResponse unused =
        client
            .pages()
            .refresh(
                RefreshRequest.newBuilder()
                    .setSessionId(client.session)
                    .setDatabaseId(client.database)
                    .setHaveVersion(client.head)
                    .setFloorVersion(client.head)
                    .build());
  }

  private static boolean isReadable(TestClient client, long version) {
    try {
      read(client, version, 0);
      return true;
    } catch (StatusRuntimeException e) {
      refused(
          "SNAPSHOT_TOO_OLD",
          Status.Code.OUT_OF_RANGE,
          () -> {
            throw e;
          });
      return false;
    }
  }

  private static void assertOtherHistory(Changes changes) {
    assertTrue(changes.getAll());
    assertTrue(changes.getOtherHistory());
    assertEquals(0, changes.getPagesCount());
  }

  @Test
  void whoHasALostVersionIsToldBeforeAndAfterAnotherTookItsNumber() throws Exception {
    TestClient writer = writer(replaced(Retention.FOREVER));
    assertEquals(COMMON, writer.head);
    for (long head = COMMON; head <= LOST + 2; head++) {
      for (int have = COMMON + 1; have <= LOST; have++) {
        RefreshResponse refreshed = refresh(writer, have, marks.get(have));
        assertOtherHistory(refreshed.getChanges());
        assertEquals(head, refreshed.getHead().getVersion());
        int version = have;
        refused(
            "NO_SUCH_VERSION",
            Status.Code.OUT_OF_RANGE,
            () -> read(writer, version, marks.get(version)));
      }
      for (int have = 1; have <= COMMON; have++) {
        RefreshResponse refreshed = refresh(writer, have, marks.get(have));
        assertFalse(refreshed.getChanges().getAll(), "since " + have + " at " + head);
        assertFalse(refreshed.getChanges().getOtherHistory());
        assertEquals(refresh(writer, have, 0).getChanges(), refreshed.getChanges());
        read(writer, have, marks.get(have));
      }
      writer.commit(1, 2);
      read(writer, writer.head, writer.mark);
    }
  }

  @Test
  void theLeaseIsNotHadByWhoHasALostVersion() throws Exception {
    ServedStore served = replaced(Retention.FOREVER);
    TestClient first = writer(served);
    first.commit(1, 2);
    first.commit(1, 2);
    assertEquals(LOST, first.head);
    first.release();
    TestClient client = client(served);
    AcquireLeaseResponse moved =
        client.pages().acquireLease(client.lease(0).setHaveMark(marks.get(LOST)).build());
    assertEquals(Outcome.OUTCOME_HEAD_MOVED, moved.getOutcome());
    assertEquals(first.mark, moved.getHead().getMark());
    AcquireLeaseResponse granted =
        client
            .pages()
            .acquireLease(
                client.lease(0).setHaveMark(marks.get(LOST)).setAtAnyVersion(true).build());
    assertEquals(Outcome.OUTCOME_GRANTED, granted.getOutcome());
    assertOtherHistory(granted.getChanges());
  }

  @Test
  void aWatchFromALostVersionIsToldOfTheOneThatHasItsNumber() throws Exception {
    ServedStore served = replaced(Retention.FOREVER);
    TestClient writer = writer(served);
    for (int head = COMMON; head <= LOST + 1; head++) {
      TestClient reader = client(served);
      TestWatch watch =
          reader.watch(
              reader
                  .watchRequest()
                  .addDatabases(
                      TestClient.watched(reader.database, LOST).toBuilder()
                          .setHaveMark(marks.get(LOST)))
                  .build());
      HeadMoved moved = watch.headMovedAtOnce();
      assertOtherHistory(moved.getChanges());
      assertEquals(head, moved.getHead().getVersion());
      writer.commit(1, 2);
      HeadMoved next = watch.headMoved();
      assertEquals(head + 1, next.getHead().getVersion());
      assertFalse(next.getChanges().getOtherHistory());
      assertEquals(List.of(1, 2), next.getChanges().getPagesList());
    }
  }

  /** It had told that it reads nothing below a version that is lost. */
  @Test
  void p6_whoGoesOnReadsTheHeadThatItWasTold() throws Exception {
    ServedStore served = replaced(Retention.NONE);
    TestClient writer = writer(served);
    TestClient reader = client(served);
    assertOtherHistory(refresh(reader, LOST, marks.get(LOST), LOST).getChanges());
    for (int i = 0; i < 5; i++) {
      writer.commit(1, 2);
      refresh(writer, writer.head, writer.mark, writer.head);
    }
    read(reader, COMMON, marks.get(COMMON));
    refresh(reader, COMMON, marks.get(COMMON), COMMON + 1);
    awaitGone(writer, reader, COMMON);
  }

  /** Commits until what nobody is to read any more is collected. */
  private static void awaitGone(TestClient writer, TestClient reader, int version)
      throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (isReadable(reader, version)) {
      assertTrue(System.nanoTime() < deadline, "nothing is collected");
      writer.commit(1, 2);
      raiseFloor(writer);
    }
  }

  /** Nobody can read the version any more whose number is asked about. */
  @Test
  void whoComesLateIsToldToo() throws Exception {
    TestClient writer = writer(replaced(Retention.NONE));
    for (int i = 0; i < 20; i++) {
      writer.commit(1, 2);
    }
    raiseFloor(writer);
    awaitGone(writer, writer, LOST);
    for (int have = COMMON + 1; have <= LOST; have++) {
      assertOtherHistory(refresh(writer, have, marks.get(have)).getChanges());
    }
    assertEquals(
        List.of(1, 2), refresh(writer, COMMON, marks.get(COMMON)).getChanges().getPagesList());
  }
}
