package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static dev.grpsqlite.server.versioned.Fixture.assertFails;
import static dev.grpsqlite.server.versioned.Fixture.page;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.spi.VersionInfo;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Times, history and restore. */
final class HistoryTest {
  private final Fixture fixture = new Fixture(Retention.FOREVER);
  private final VersionedPageStore store = fixture.store;
  private final Instant start = fixture.clock.instant();

  @Test
  void eachCommitHasAMillisecondOfItsOwnAndTimeNeverGoesBack() {
    DatabaseId id = fixture.create("main");
    for (int i = 1; i <= 5; i++) {
      fixture.write(id, i, 1);
    }
    fixture.clock.advance(Duration.ofHours(-1));
    fixture.write(id, 6, 1);
    fixture.clock.advance(Duration.ofHours(2));
    fixture.write(id, 7, 1);
    List<Instant> times =
        answer(store.history(id, Long.MAX_VALUE, 100)).stream()
            .map(VersionInfo::committedAt)
            .toList();
    List<Instant> expected = new ArrayList<>();
    expected.add(start.plus(Duration.ofHours(1)));
    for (int i = 6; i >= 0; i--) {
      expected.add(start.plusMillis(i));
    }
    assertEquals(expected, times);
    for (int v = 0; v <= 7; v++) {
      assertEquals(v, answer(store.snapshotAt(id, times.get(7 - v))).version());
    }
  }

  @Test
  void aTimeNamesTheNewestVersionNotAfterIt() {
    DatabaseId id = fixture.create("main");
    for (int i = 1; i <= 50; i++) {
      fixture.clock.advance(Duration.ofMinutes(1));
      fixture.write(id, i, 1);
    }
    for (int minute = 0; minute < 50; minute++) {
      Instant time = start.plus(Duration.ofMinutes(minute));
      assertEquals(minute, answer(store.snapshotAt(id, time)).version());
      assertEquals(minute, answer(store.snapshotAt(id, time.plusSeconds(59))).version());
      assertEquals(minute, answer(store.snapshotAt(id, time.plusNanos(1))).version());
    }
    assertEquals(50, answer(store.snapshotAt(id, Instant.MAX)).version());
    assertFails(Code.NO_SUCH_VERSION, store.snapshotAt(id, start.minusMillis(1)));
    assertFails(Code.NO_SUCH_VERSION, store.snapshotAt(id, Instant.MIN));
    assertFails(Code.NO_SUCH_DATABASE, store.snapshotAt(new DatabaseId(0, 0), start));

    answer(store.setRetention(id, Optional.of(Retention.parse("10versions"))));
    store.collect();
    Instant oldest = start.plus(Duration.ofMinutes(40));
    assertEquals(40, answer(store.snapshotAt(id, oldest)).version());
    assertFails(Code.SNAPSHOT_TOO_OLD, store.snapshotAt(id, oldest.minusMillis(1)));
    assertFails(Code.SNAPSHOT_TOO_OLD, store.snapshotAt(id, start));
    assertFails(Code.NO_SUCH_VERSION, store.snapshotAt(id, start.minusMillis(1)));
  }

  @Test
  void historyTellsRetainedVersionsNewestFirst() {
    DatabaseId id = fixture.createOfSize("main", 3);
    fixture.clock.advance(Duration.ofMinutes(1));
    fixture.write(id, 2, 1, 2, 3, 4, 5);
    answer(store.commit(fixture.commitOf(id, Fixture.PAGE_SIZE, 1, List.of())));
    List<VersionInfo> all =
        List.of(
            new VersionInfo(
                new Snapshot(3, Fixture.PAGE_SIZE, 1, 3), start.plusMillis(1).plusSeconds(60), 0),
            new VersionInfo(new Snapshot(2, Fixture.PAGE_SIZE, 5, 2), start.plusSeconds(60), 5),
            new VersionInfo(new Snapshot(1, Fixture.PAGE_SIZE, 3, 1), start.plusMillis(1), 3),
            new VersionInfo(Snapshot.EMPTY, start, 0));
    assertEquals(all, answer(store.history(id, Long.MAX_VALUE, 100)));
    assertEquals(all.subList(0, 2), answer(store.history(id, Long.MAX_VALUE, 2)));
    assertEquals(all.subList(2, 4), answer(store.history(id, 2, 100)));
    assertEquals(List.of(), answer(store.history(id, 0, 100)));
    answer(store.setRetention(id, Optional.of(Retention.parse("1version"))));
    store.collect();
    assertEquals(all.subList(0, 2), answer(store.history(id, Long.MAX_VALUE, 100)));
    assertFails(Code.NO_SUCH_DATABASE, store.history(new DatabaseId(0, 0), 1, 1));
  }

  @Test
  void aRestoreIsACommitOfThePagesThatDiffer() {
    DatabaseId id = fixture.createOfSize("main", 40);
    fixture.write(id, 2, 3);
    fixture.write(id, 3, 3, 7, 41);
    long restored = fixture.restore(id, 2);
    assertEquals(4, restored);
    assertEquals(new Snapshot(4, Fixture.PAGE_SIZE, 40, 4), answer(store.head(id)));
    assertEquals(2, fixture.fillOf(id, 4, 3));
    assertEquals(1, fixture.fillOf(id, 4, 7));
    assertEquals(3, fixture.fillOf(id, 3, 7), "what was the head is in the history");
    Changes changes = answer(store.changes(id, 3, 4, 100));
    assertArrayEquals(new long[] {3, 7}, changes.pages());
    assertEquals(2, answer(store.history(id, 5, 1)).get(0).pagesChanged());
    // In between page 3 was something else, so it is not that of version 2.
    List<PageImage> pages = answer(store.read(id, 4, new long[] {3, 7, 8}));
    assertEquals(List.of(4L, 4L, 1L), pages.stream().map(PageImage::version).toList());
  }

  @Test
  void aRestoreBringsBackPagesThatWereCutOff() {
    DatabaseId id = fixture.createOfSize("main", 1100);
    answer(store.commit(fixture.commitOf(id, Fixture.PAGE_SIZE, 10, List.of())));
    assertEquals(3, fixture.restore(id, 1));
    assertEquals(1100, fixture.readAll(id, 3).size());
    Changes changes = answer(store.changes(id, 2, 3, 2000));
    assertEquals(1090, changes.pages().length);
    assertEquals(11, changes.pages()[0]);
    assertEquals(4, fixture.restore(id, 2));
    assertEquals(10, answer(store.head(id)).pageCount());
    assertFails(Code.INVALID_REQUEST, store.read(id, 2, new long[] {11}));
    assertFails(Code.INVALID_REQUEST, store.read(id, 4, new long[] {11}));
    assertArrayEquals(new long[0], answer(store.changes(id, 3, 4, 100)).pages());
    assertEquals(5, fixture.restore(id, 4), "of the head itself");
    assertEquals(10, fixture.readAll(id, 5).size());
  }

  @Test
  void aRestoreOfAnotherPageSizeWritesEveryPage() {
    DatabaseId id = fixture.createOfSize("main", 3);
    answer(store.commit(fixture.commitOf(id, 1024, 1, List.of(page(1, new byte[1024])))));
    assertEquals(3, fixture.restore(id, 1));
    assertEquals(new Snapshot(3, Fixture.PAGE_SIZE, 3, 3), answer(store.head(id)));
    assertTrue(answer(store.changes(id, 2, 3, 100)).all());
    assertTrue(answer(store.changes(id, 1, 3, 100)).all(), "there and back");
    fixture.readAll(id, 3).forEach(page -> assertEquals(3, page.version()));
  }

  @Test
  void aRestoreOfNothingLeavesNothing() {
    DatabaseId id = fixture.createOfSize("main", 3);
    assertEquals(2, fixture.restore(id, 0));
    assertEquals(new Snapshot(2, Fixture.PAGE_SIZE, 0, 2), answer(store.head(id)));
    assertEquals(3, fixture.write(id, 5, 1));
    assertEquals(5, fixture.fillOf(id, 3, 1));
  }

  @Test
  void p3_aRestoreNeedsTheLease() {
    DatabaseId id = fixture.createOfSize("main", 3);
    fixture.write(id, 2, 1);
    long epoch = answer(store.lease(id)).epoch();
    CommitId commit = fixture.nextCommitId();
    assertFails(Code.LEASE_LOST, store.restore(id, fixture.session, epoch - 1, commit, 1));
    assertFails(Code.LEASE_LOST, store.restore(id, new SessionId(8, 8), epoch, commit, 1));
    assertFails(Code.NO_SUCH_VERSION, store.restore(id, fixture.session, epoch, commit, 3));
    assertFails(
        Code.NO_SUCH_DATABASE,
        store.restore(new DatabaseId(0, 0), fixture.session, epoch, commit, 1));
    assertEquals(2, answer(store.head(id)).version());
    answer(store.setRetention(id, Optional.of(Retention.NONE)));
    store.collect();
    assertFails(Code.SNAPSHOT_TOO_OLD, store.restore(id, fixture.session, epoch, commit, 1));
  }

  @Test
  void p5_aRestoreIsAppliedOnceHoweverOftenItIsSent() {
    DatabaseId id = fixture.createOfSize("main", 3);
    fixture.write(id, 2, 1);
    long epoch = answer(store.lease(id)).epoch();
    CommitId commit = fixture.nextCommitId();
    assertEquals(3, answer(store.restore(id, fixture.session, epoch, commit, 1)));
    assertEquals(3, answer(store.restore(id, fixture.session, epoch, commit, 1)));
    fixture.write(id, 4, 1);
    answer(store.releaseLease(id, fixture.session, epoch));
    assertEquals(3, answer(store.restore(id, fixture.session, epoch, commit, 1)));
    assertEquals(4, answer(store.head(id)).version());
    assertEquals(4, fixture.fillOf(id, 4, 1));
  }
}
