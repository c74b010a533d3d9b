package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static dev.grpsqlite.server.versioned.Fixture.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class ForkTest {
  private final Fixture fixture = new Fixture(Retention.FOREVER);
  private final VersionedPageStore store = fixture.store;

  private DatabaseId fork(DatabaseId parent, long version, String name) {
    DatabaseId fork = answer(store.fork(parent, version, name, fixture.nextCommitId())).id();
    fixture.lease(fork);
    return fork;
  }

  @Test
  void aForkBeginsAtVersionZeroWithTheContentItWasMadeOf() {
    DatabaseId parent = fixture.createOfSize("parent", 3);
    fixture.write(parent, 2, 2);
    fixture.write(parent, 3, 2, 4);
    fixture.clock.advance(Duration.ofHours(1));
    DatabaseInfo fork = answer(store.fork(parent, 2, "fork", fixture.nextCommitId()));
    assertEquals("fork", fork.name());
    assertEquals(new Snapshot(0, Fixture.PAGE_SIZE, 3, 0), fork.head());
    assertEquals(0, fork.oldestVersion());
    assertEquals(fixture.clock.instant(), fork.createdAt());
    assertEquals(fixture.clock.instant(), fork.committedAt());
    assertEquals(Optional.of(fork), answer(store.find("fork")));
    assertNull(answer(store.lease(fork.id())).holder());
    List<PageImage> pages = fixture.readAll(fork.id(), 0);
    assertEquals(List.of(0L, 0L, 0L), pages.stream().map(PageImage::version).toList());
    assertEquals(1, Fixture.bytes(pages.get(0))[0]);
    assertEquals(2, Fixture.bytes(pages.get(1))[0]);
  }

  @Test
  void writesToEitherSideNeverShowOnTheOther() {
    DatabaseId parent = fixture.createOfSize("parent", 3);
    DatabaseId fork = fork(parent, 1, "fork");
    assertEquals(1, fixture.write(fork, 10, 1));
    assertEquals(2, fixture.write(parent, 20, 2));
    assertEquals(2, fixture.write(fork, 11, 3, 4));
    assertEquals(20, fixture.fillOf(parent, 2, 2));
    assertEquals(1, fixture.fillOf(parent, 2, 1));
    assertEquals(1, fixture.fillOf(parent, 2, 3));
    assertEquals(3, answer(store.head(parent)).pageCount());
    assertEquals(10, fixture.fillOf(fork, 2, 1));
    assertEquals(1, fixture.fillOf(fork, 2, 2));
    assertEquals(11, fixture.fillOf(fork, 2, 4));
    assertEquals(1, fixture.fillOf(fork, 0, 1), "the fork's own past");
  }

  /** Version numbers of parent and fork overlap: a page's version is this database's own. */
  @Test
  void pagesOfAForkNeverTellVersionsOfItsParent() {
    DatabaseId parent = fixture.createOfSize("parent", 3);
    for (int i = 0; i < 5; i++) {
      fixture.write(parent, i, 1);
    }
    DatabaseId fork = fork(parent, 6, "fork");
    fixture.write(fork, 50, 3);
    DatabaseId grandchild = fork(fork, 1, "grandchild");
    fixture.write(grandchild, 60, 2);
    assertEquals(List.of(0L, 0L, 1L), versions(fork, 1));
    assertEquals(List.of(0L, 1L, 0L), versions(grandchild, 1));
    assertEquals(List.of(6L, 1L, 1L), versions(parent, 6));
    assertEquals(4, fixture.fillOf(grandchild, 1, 1));
    assertEquals(60, fixture.fillOf(grandchild, 1, 2));
    assertEquals(50, fixture.fillOf(grandchild, 1, 3));
  }

  private List<Long> versions(DatabaseId id, long version) {
    return fixture.readAll(id, version).stream().map(PageImage::version).toList();
  }

  @Test
  void eitherSideCanBeDropped() {
    DatabaseId parent = fixture.createOfSize("parent", 40);
    DatabaseId fork = fork(parent, 1, "fork");
    DatabaseId grandchild = fork(fork, 0, "grandchild");
    DatabaseId sibling = fork(parent, 1, "sibling");
    answer(store.drop(sibling));
    assertEquals(40, fixture.readAll(parent, 1).size());
    answer(store.drop(parent));
    fixture.write(fork, 2, 40);
    answer(store.drop(fork));
    assertEquals(40, fixture.readAll(grandchild, 0).size());
    assertEquals(1, fixture.fillOf(grandchild, 0, 40));
    assertEquals(
        List.of("grandchild"),
        answer(store.list("", "", 10)).stream().map(DatabaseInfo::name).toList());
  }

  @Test
  void aForkNeedsARetainedVersionAndANameOfItsOwn() {
    DatabaseId parent = fixture.createOfSize("parent", 1);
    fixture.write(parent, 2, 1);
    assertFails(Code.ALREADY_EXISTS, store.fork(parent, 1, "parent", fixture.nextCommitId()));
    assertFails(Code.NO_SUCH_VERSION, store.fork(parent, 3, "fork", fixture.nextCommitId()));
    assertFails(
        Code.NO_SUCH_DATABASE, store.fork(new DatabaseId(1, 1), 1, "fork", fixture.nextCommitId()));
    answer(store.setRetention(parent, Optional.of(Retention.NONE)));
    store.collect();
    assertFails(Code.SNAPSHOT_TOO_OLD, store.fork(parent, 1, "fork", fixture.nextCommitId()));
    assertEquals(Optional.empty(), answer(store.find("fork")));
    assertTrue(store.capabilities().fork());
    assertTrue(store.capabilities().timeTravel());
  }

  @Test
  void aForkOfAnEmptyDatabaseIsEmpty() {
    DatabaseId parent = fixture.create("parent");
    DatabaseId fork = fork(parent, 0, "fork");
    assertEquals(Snapshot.EMPTY, answer(store.head(fork)));
    assertEquals(1, fixture.write(fork, 3, 1, 2));
    assertEquals(3, fixture.fillOf(fork, 1, 2));
  }

  @Test
  void aThousandForksShareEveryPageAndNodeUntilTheyAreWrittenTo() {
    DatabaseId parent = fixture.createOfSize("parent", 20_000);
    Set<Object> seen = PageTreeTest.identitySet();
    countNew(parent, seen);
    for (int i = 0; i < 1000; i++) {
      DatabaseId fork = fork(parent, 1, "fork" + i);
      assertEquals(0, countNew(fork, seen));
      if (i % 100 == 0) {
        fixture.write(fork, 2, 5000);
        assertEquals(3 + 1, countNew(fork, seen), "three nodes and the page");
      }
    }
  }

  @Test
  void aCommitTakesMemoryForThePagesItChangesNotForTheDatabase() {
    for (int pages : new int[] {1000, 20_000}) {
      DatabaseId id = fixture.createOfSize("of" + pages, pages);
      Set<Object> seen = PageTreeTest.identitySet();
      countNew(id, seen);
      for (int i = 0; i < 100; i++) {
        fixture.write(id, i, 1 + i * 7L % pages);
      }
      int levels = pages == 1000 ? 2 : 3;
      assertEquals(100 * (levels + 1), countNew(id, seen), "of " + pages + " pages");
    }
  }

  /** Nodes and pages that versions of a database reach and no one was seen to reach before. */
  private int countNew(DatabaseId id, Set<Object> seen) {
    VersionLog log = store.get(id).log();
    int count = 0;
    for (long v = log.first(); v <= log.head().number(); v++) {
      Version version = log.get(v);
      PageTree tree = version == null ? null : version.pages();
      count += tree == null || tree == PageTree.EMPTY ? 0 : PageTreeTest.newObjects(tree, seen);
    }
    return count;
  }

  @Test
  void aPageDoesNotKeepTheMessageItCameIn() {
    DatabaseId id = fixture.create("main");
    ByteBuffer message = ByteBuffer.wrap(new byte[1 << 20]);
    message.put(600, (byte) 7);
    PageImage slice =
        new PageImage(1, 0, 5, message.slice(512, Fixture.PAGE_SIZE).asReadOnlyBuffer());
    PageImage window = new PageImage(2, 0, 5, message.duplicate().position(512).limit(1024));
    answer(store.commit(fixture.commitOf(id, Fixture.PAGE_SIZE, 2, List.of(slice, window))));
    Set<Integer> sizes = new HashSet<>();
    for (PageImage page : fixture.readAll(id, 1)) {
      assertEquals(7, Fixture.bytes(page)[88]);
      sizes.add(page.data().capacity());
      assertTrue(page.data().hasArray());
      assertEquals(Fixture.PAGE_SIZE, page.data().array().length);
    }
    assertEquals(Set.of(Fixture.PAGE_SIZE), sizes);
  }
}
