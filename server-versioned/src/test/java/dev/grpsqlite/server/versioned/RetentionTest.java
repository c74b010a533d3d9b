package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static dev.grpsqlite.server.versioned.Fixture.assertFails;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
final class RetentionTest {
  private static long oldest(Fixture fixture, DatabaseId id) {
    return answer(fixture.store.info(id)).oldestVersion();
  }

  @Test
  void aVersionIsKeptForAsLongAsItWasTheHeadLessThanThisAgo() {
    Fixture fixture = new Fixture(Retention.parse("10m"));
    DatabaseId id = fixture.create("main");
    for (int minute = 1; minute <= 5; minute++) {
      fixture.clock.advance(Duration.ofMinutes(1));
      assertEquals(minute, fixture.write(id, minute, 1));
    }
    // Version v was the head until minute v + 1.
    fixture.clock.advance(Duration.ofMinutes(6).minusMillis(1));
    fixture.store.collect();
    assertEquals(0, oldest(fixture, id));
    fixture.clock.advance(Duration.ofMillis(1));
    fixture.store.collect();
    assertEquals(1, oldest(fixture, id));
    assertEquals(1, fixture.fillOf(id, 1, 1));
    assertFails(Code.SNAPSHOT_TOO_OLD, fixture.store.snapshot(id, 0));
    fixture.clock.advance(Duration.ofMinutes(2));
    fixture.store.collect();
    assertEquals(3, oldest(fixture, id));
    assertFails(Code.SNAPSHOT_TOO_OLD, fixture.store.read(id, 2, new long[] {1}));
    assertEquals(3, fixture.fillOf(id, 3, 1));
    fixture.clock.advance(Duration.ofDays(1000));
    fixture.store.collect();
    assertEquals(5, oldest(fixture, id), "the head stays");
    assertEquals(5, fixture.fillOf(id, 5, 1));
    assertFails(Code.NO_SUCH_VERSION, fixture.store.snapshot(id, 6));
  }

  @Test
  void aNumberOfVersionsBehindTheHeadIsKept() {
    Fixture fixture = new Fixture(Retention.parse("3versions"));
    DatabaseId id = fixture.create("main");
    for (int i = 1; i <= 10; i++) {
      fixture.write(id, i, 1);
      fixture.store.collect();
      assertEquals(Math.max(0, i - 3), oldest(fixture, id));
    }
  }

  @Test
  void whatEitherRuleKeepsIsKept() {
    Fixture fixture = new Fixture(Retention.parse("10m,3versions"));
    DatabaseId id = fixture.create("main");
    for (int i = 1; i <= 10; i++) {
      fixture.write(id, i, 1);
    }
    fixture.store.collect();
    assertEquals(0, oldest(fixture, id));
    fixture.clock.advance(Duration.ofMinutes(11));
    fixture.store.collect();
    assertEquals(7, oldest(fixture, id));
    fixture.write(id, 11, 1);
    fixture.store.collect();
    assertEquals(8, oldest(fixture, id), "a commit pushed one out that is old enough");
  }

  @Test
  void noneAndForever() {
    Fixture none = new Fixture(Retention.parse("0"));
    DatabaseId id = none.create("main");
    none.write(id, 1, 1);
    none.write(id, 2, 1);
    none.store.collect();
    assertEquals(2, oldest(none, id));

    Fixture forever = new Fixture(Retention.FOREVER);
    id = forever.create("main");
    forever.write(id, 1, 1);
    forever.write(id, 2, 1);
    forever.clock.advance(Duration.ofDays(100_000));
    forever.store.collect();
    assertEquals(0, oldest(forever, id));
  }

  @Test
  void aDatabaseCanHaveItsOwnRule() {
    Fixture fixture = new Fixture(Retention.parse("10m"));
    DatabaseId own = fixture.create("own");
    DatabaseId other = fixture.create("other");
    for (int i = 1; i <= 10; i++) {
      fixture.write(own, i, 1);
      fixture.write(other, i, 1);
    }
    answer(fixture.store.setRetention(own, Optional.of(Retention.parse("2versions"))));
    fixture.store.collect();
    assertEquals(8, oldest(fixture, own));
    assertEquals(0, oldest(fixture, other));

    answer(fixture.store.setRetention(own, Optional.of(Retention.FOREVER)));
    answer(fixture.store.setRetention(other, Optional.of(Retention.FOREVER)));
    fixture.clock.advance(Duration.ofHours(1));
    fixture.store.collect();
    assertEquals(8, oldest(fixture, own));
    assertEquals(0, oldest(fixture, other));

    answer(fixture.store.setRetention(other, Optional.empty()));
    fixture.store.collect();
    assertEquals(8, oldest(fixture, own));
    assertEquals(10, oldest(fixture, other), "the store's rule again");
    assertFails(
        Code.NO_SUCH_DATABASE,
        fixture.store.setRetention(new DatabaseId(0, 0), Optional.of(Retention.NONE)));
  }

  @Test
  void anOpenSnapshotIsKeptForAsLongAsItIsOpen() {
    Fixture fixture = new Fixture(Retention.NONE);
    DatabaseId id = fixture.create("main");
    fixture.write(id, 1, 1);
    fixture.write(id, 2, 1);
    fixture.pins.put(id, 2L);
    for (int i = 3; i <= 6; i++) {
      fixture.write(id, i, 1);
      fixture.store.collect();
      assertEquals(2, oldest(fixture, id));
      assertEquals(2, fixture.fillOf(id, 2, 1));
      assertEquals(3, fixture.fillOf(id, 3, 1), "from the oldest pinned one on all are there");
    }
    fixture.pins.put(id, 4L);
    fixture.clock.advance(Duration.ofSeconds(1));
    fixture.store.collect();
    assertEquals(4, oldest(fixture, id));
    fixture.pins.remove(id);
    fixture.clock.advance(Duration.ofSeconds(1));
    fixture.store.collect();
    assertEquals(6, oldest(fixture, id), "without another commit");
  }

  @Test
  void anOpenSnapshotCanBeLookedUpAlsoDuringCollection() {
    Fixture[] fixture = new Fixture[1];
    List<Long> found = new ArrayList<>();
    SnapshotPins pins =
        database -> {
          found.add(answer(fixture[0].store.snapshot(database, 1)).version());
          return 1;
        };
    fixture[0] = new Fixture(Retention.NONE, pins);
    DatabaseId id = fixture[0].create("main");
    for (int i = 1; i <= 3; i++) {
      fixture[0].write(id, i, 1);
    }
    fixture[0].store.collect();
    assertEquals(List.of(1L, 1L), found);
    assertEquals(1, oldest(fixture[0], id));
  }

  /** The view is entered while the collector is at work, and the version was found before that. */
  @Test
  void aSnapshotThatOpensDuringCollectionIsKeptOrNotFound() {
    DatabaseId[] id = new DatabaseId[1];
    Fixture[] fixture = new Fixture[1];
    int[] asked = new int[1];
    SnapshotPins pins =
        database -> {
          if (++asked[0] == 1) {
            return Long.MAX_VALUE;
          }
          assertEquals(1, fixture[0].fillOf(database, 1, 1), "who found it before can read it");
          assertFails(Code.SNAPSHOT_TOO_OLD, fixture[0].store.snapshot(database, 1));
          return 1;
        };
    fixture[0] = new Fixture(Retention.NONE, pins);
    id[0] = fixture[0].create("main");
    fixture[0].write(id[0], 1, 1);
    fixture[0].write(id[0], 2, 1);
    fixture[0].store.collect();
    assertEquals(2, asked[0]);
    assertEquals(1, oldest(fixture[0], id[0]));
    assertEquals(1, fixture[0].fillOf(id[0], 1, 1));
    assertEquals(1, answer(fixture[0].store.snapshot(id[0], 1)).version());
  }

  @Test
  void theCollectorLooksOnlyAtDatabasesThatHaveSomethingToDrop() {
    List<DatabaseId> asked = new ArrayList<>();
    Fixture fixture =
        new Fixture(
            Retention.parse("10m"),
            database -> {
              asked.add(database);
              return Long.MAX_VALUE;
            });
    for (int i = 0; i < 100; i++) {
      fixture.write(fixture.create("idle" + i), 1, 1);
    }
    fixture.clock.advance(Duration.ofMinutes(11));
    fixture.store.collect();
    assertEquals(100, Set.copyOf(asked).size());
    asked.clear();
    DatabaseId busy = fixture.create("busy");
    fixture.write(busy, 1, 1);
    fixture.write(busy, 2, 1);
    fixture.store.collect();
    assertEquals(List.of(), asked, "nothing is due");
    fixture.clock.advance(Duration.ofMinutes(11));
    fixture.store.collect();
    assertEquals(Set.of(busy), Set.copyOf(asked));
  }

  @Test
  void manyVersionsAreDroppedInOneGo() {
    Fixture fixture = new Fixture(Retention.parse("10m"));
    DatabaseId id = fixture.create("main");
    for (int i = 1; i <= 5000; i++) {
      fixture.write(id, i, 1);
    }
    fixture.clock.advance(Duration.ofHours(1));
    fixture.store.collect();
    assertEquals(5000, oldest(fixture, id));
    for (int v = 0; v < 5000; v++) {
      assertFails(Code.SNAPSHOT_TOO_OLD, fixture.store.read(id, v, new long[] {1}));
    }
  }

  @Test
  void p5_commitsStayKnownForTenThousandVersionsAndAreUnknownThereafter() {
    Fixture fixture = new Fixture(Retention.NONE);
    DatabaseId id = fixture.create("main");
    List<Commit> commits = new ArrayList<>();
    for (int i = 0; i <= VersionedDatabase.COMMITS_KNOWN; i++) {
      Commit commit =
          fixture.commitOf(id, Fixture.PAGE_SIZE, 1, List.of(Fixture.page(1, Fixture.filled(i))));
      commits.add(commit);
      assertEquals(i + 1, answer(fixture.store.commit(commit)));
    }
    fixture.store.collect();
    int head = commits.size();
    assertEquals(head, oldest(fixture, id));
    assertFails(Code.OUTCOME_UNKNOWN, fixture.store.commit(commits.get(0)));
    for (int i = 1; i < head; i++) {
      assertEquals(i + 1, answer(fixture.store.commit(commits.get(i))), "applied once");
    }
    assertEquals(head, answer(fixture.store.head(id)).version());
    Commit other = fixture.commitOf(id, Fixture.PAGE_SIZE, 1, List.of());
    Commit late =
        new Commit(id, other.holder(), other.epoch(), other.id(), 5, 512, 1, null, List.of());
    assertFails(Code.HEAD_MOVED, fixture.store.commit(late));
  }

  @Test
  void changesAreKnownForSomeVersionsBehindTheOldest() {
    Fixture fixture = new Fixture(Retention.NONE);
    DatabaseId id = fixture.createOfSize("main", 10);
    for (int i = 0; i < VersionedDatabase.CHANGES_KNOWN; i++) {
      fixture.write(id, i, 1 + i % 3);
      fixture.store.collect();
    }
    long head = answer(fixture.store.head(id)).version();
    Changes changes = answer(fixture.store.changes(id, 1, head, 10));
    assertEquals(List.of(1L, 2L, 3L), Arrays.stream(changes.pages()).boxed().toList());
    assertFalse(changes.all());
    assertTrue(answer(fixture.store.changes(id, 0, head, 10)).all(), "forgotten");
    fixture.write(id, 9, 9);
    fixture.store.collect();
    assertTrue(answer(fixture.store.changes(id, 1, head, 10)).all(), "forgotten");
    assertEquals(
        List.of(9L),
        Arrays.stream(answer(fixture.store.changes(id, head, head + 1, 10)).pages())
            .boxed()
            .toList());
  }

  @Test
  void changesOfCollectedAndOfRetainedVersionsTogetherCountOnce() {
    Fixture fixture = new Fixture(Retention.parse("1version"));
    DatabaseId id = fixture.createOfSize("main", 10);
    fixture.write(id, 2, 1, 2);
    fixture.write(id, 3, 1, 2);
    fixture.write(id, 4, 3, 4);
    fixture.store.collect();
    assertEquals(3, oldest(fixture, id));
    long[] expected = {1, 2, 3, 4};
    assertArrayEquals(expected, answer(fixture.store.changes(id, 1, 4, 4)).pages());
    assertTrue(answer(fixture.store.changes(id, 1, 4, 3)).all());
  }

  @Test
  void longListsOfChangesAreForgottenEarlier() {
    Fixture fixture = new Fixture(Retention.NONE);
    int pages = 1000;
    DatabaseId id = fixture.createOfSize("main", pages);
    long[] all = LongStream.rangeClosed(1, pages).toArray();
    for (int i = 0; i < 100; i++) {
      fixture.write(id, i, all);
    }
    fixture.store.collect();
    long head = answer(fixture.store.head(id)).version();
    int known = VersionedDatabase.CHANGED_PAGES_KNOWN / pages;
    assertEquals(
        pages, answer(fixture.store.changes(id, head - known, head, pages)).pages().length);
    assertTrue(answer(fixture.store.changes(id, head - known - 1, head, pages)).all());
  }

  /** What this store counts on: a page that no version has any more is garbage. */
  @Test
  void droppedPagesAreGarbage() throws InterruptedException {
    Fixture fixture = new Fixture(Retention.NONE);
    DatabaseId id = fixture.createOfSize("main", 100);
    WeakReference<ByteBuffer> dropped = new WeakReference<>(data(fixture, id, 7));
    WeakReference<ByteBuffer> kept = new WeakReference<>(data(fixture, id, 8));
    fixture.write(id, 2, 7);
    fixture.store.collect();
    awaitCleared(dropped);
    assertNotNull(kept.get());

    DatabaseId fork = answer(fixture.store.fork(id, 2, "fork", fixture.nextCommitId())).id();
    answer(fixture.store.drop(id));
    System.gc();
    assertNotNull(kept.get(), "the fork has it");
    answer(fixture.store.drop(fork));
    awaitCleared(kept);
  }

  @Test
  void aForkDoesNotKeepWhatItsParentDroppedAndItNeverSaw() throws InterruptedException {
    Fixture fixture = new Fixture(Retention.FOREVER);
    DatabaseId id = fixture.createOfSize("main", 10);
    DatabaseId fork = answer(fixture.store.fork(id, 1, "fork", fixture.nextCommitId())).id();
    fixture.write(id, 2, 3);
    WeakReference<ByteBuffer> later = new WeakReference<>(data(fixture, id, 3));
    answer(fixture.store.drop(id));
    awaitCleared(later);
    assertEquals(1, fixture.fillOf(fork, 0, 3));
  }

  private static ByteBuffer data(Fixture fixture, DatabaseId id, long number) {
    long head = answer(fixture.store.head(id)).version();
    return answer(fixture.store.read(id, head, new long[] {number})).get(0).data();
  }

  private static void awaitCleared(WeakReference<?> reference) throws InterruptedException {
    long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
    while (reference.get() != null && System.nanoTime() < deadline) {
      System.gc();
      Thread.sleep(5);
    }
    assertNull(reference.get(), "still reachable");
  }

  @Test
  void theServersStoreCollectsByItself() throws Exception {
    PageStoreProvider provider =
        ServiceLoader.load(PageStoreProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(found -> found.name().equals("versioned"))
            .findFirst()
            .orElseThrow();
    PageStoreProvider.Setting setting = provider.settings().get(0);
    assertEquals("retention", setting.name());
    assertEquals("", setting.check().problem(setting.defaultValue()));
    assertTrue(setting.check().problem("soon").contains("soon"));

    try (PageStore store =
        provider.open(
            Map.of("retention", "1versions"), database -> Long.MAX_VALUE, Clock.systemUTC())) {
      Fixture fixture = new Fixture((VersionedPageStore) store);
      DatabaseId id = fixture.create("main");
      for (int i = 1; i <= 5; i++) {
        fixture.write(id, i, 1);
      }
      long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (oldest(fixture, id) < 4 && System.nanoTime() < deadline) {
        Thread.sleep(5);
      }
      assertEquals(4, oldest(fixture, id));
    }
  }

  @Test
  void theDefaultIsTenMinutes() throws Exception {
    TestClock clock = new TestClock();
    try (PageStore store =
        new VersionedPageStoreProvider().open(Map.of(), database -> Long.MAX_VALUE, clock)) {
      VersionedPageStore opened = (VersionedPageStore) store;
      Fixture fixture = new Fixture(opened);
      DatabaseId id = fixture.create("main");
      fixture.write(id, 1, 1);
      long followed = answer(store.info(id)).committedAt().toEpochMilli();
      assertEquals(
          followed + Duration.ofMinutes(10).toMillis(),
          opened.get(id).collectableAtMillis(opened.retention()));
    }
  }
}
