package dev.grpsqlite.server.versioned;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class PageTreeTest {
  private static final DatabaseId ID = new DatabaseId(1, 2);

  private static Page page(long number) {
    return new Page(ID, new PageImage(number, 1, 0, ByteBuffer.allocate(0)));
  }

  private static List<Page> pages(long from, long to) {
    List<Page> pages = new ArrayList<>();
    for (long number = from; number <= to; number++) {
      pages.add(page(number));
    }
    return pages;
  }

  /** Nodes and pages that a tree reaches and that are not in a set yet; they are added to it. */
  static int newObjects(PageTree tree, Set<Object> seen) {
    int before = seen.size();
    tree.visitObjects(seen::add);
    return seen.size() - before;
  }

  static Set<Object> identitySet() {
    return Collections.newSetFromMap(new IdentityHashMap<>());
  }

  @Test
  void holdsWhatAListWouldThroughRandomWritesAndCuts() {
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    PageTree tree = PageTree.EMPTY;
    List<Page> model = new ArrayList<>();
    List<PageTree> trees = new ArrayList<>(List.of(tree));
    List<List<Page>> models = new ArrayList<>(List.of(List.of()));
    for (int step = 0; step < 400; step++) {
      int count =
          switch (random.nextInt(4)) {
            case 0 -> random.nextInt(2000);
            case 1 -> model.size() + random.nextInt(40);
            case 2 -> Math.max(0, model.size() - random.nextInt(40));
            default -> model.size();
          };
      int kept = Math.min(model.size(), count);
      TreeSet<Long> numbers = new TreeSet<>();
      for (long number = kept + 1L; number <= count; number++) {
        numbers.add(number);
      }
      for (int i = random.nextInt(4); i > 0 && kept > 0; i--) {
        numbers.add(1L + random.nextInt(kept));
      }
      List<Page> written = numbers.stream().map(PageTreeTest::page).toList();
      tree = tree.cutTo(kept).with(written);
      model = new ArrayList<>(model.subList(0, kept));
      for (Page page : written) {
        int at = (int) page.number() - 1;
        if (at == model.size()) {
          model.add(page);
        } else {
          model.set(at, page);
        }
      }
      trees.add(tree);
      models.add(model);
    }
    for (int i = 0; i < trees.size(); i++) {
      List<Page> expected = models.get(i);
      for (int at = 0; at < expected.size(); at++) {
        assertSame(expected.get(at), trees.get(i).get(at + 1));
      }
      assertNull(trees.get(i).get(expected.size() + 1));
      assertNull(trees.get(i).get(1L << 40));
      int other = random.nextInt(trees.size());
      List<Page> newer = new ArrayList<>();
      trees.get(i).visitNewer(trees.get(other), newer::add);
      List<Page> older = models.get(other);
      List<Page> differing = new ArrayList<>();
      for (int at = 0; at < expected.size(); at++) {
        if (at >= older.size() || older.get(at) != expected.get(at)) {
          differing.add(expected.get(at));
        }
      }
      assertEquals(differing, newer, "tree " + i + " against " + other);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 31, 32, 33, 1023, 1024, 1025, 32768, 32769, 40000})
  void aChangeOfOnePageCopiesTheNodesOnTheWayToItAlone(int count) {
    int height = 1;
    for (long capacity = PageTree.WIDTH; capacity < count; capacity *= PageTree.WIDTH) {
      height++;
    }
    PageTree tree = PageTree.EMPTY.with(pages(1, count));
    for (int number : new int[] {1, (count + 1) / 2, count}) {
      Set<Object> seen = identitySet();
      newObjects(tree, seen);
      PageTree changed = tree.with(List.of(page(number)));
      assertEquals(height + 1, newObjects(changed, seen), "nodes and a page, of " + count);
    }
  }

  @Test
  void aDifferenceIsFoundWithoutLookingAtTheRest() {
    PageTree tree = PageTree.EMPTY.with(pages(1, 40_000));
    assertSame(tree, tree.cutTo(40_000));
    PageTree changed = tree.with(List.of(page(5), page(39_999)));
    List<Long> numbers = new ArrayList<>();
    changed.visitNewer(
        tree,
        page -> {
          numbers.add(page.number());
          return numbers.size() < 1;
        });
    assertEquals(List.of(5L), numbers, "the visit ends when the visitor says so");
  }

  @Test
  void cutsBackToTheHeightOfTheSmallerTree() {
    PageTree tree = PageTree.EMPTY.with(pages(1, 40_000));
    Set<Object> seen = identitySet();
    PageTree cut = tree.cutTo(20);
    assertTrue(newObjects(cut, seen) <= 21, "a node and 20 pages");
    assertSame(PageTree.EMPTY, tree.cutTo(0));
    assertNull(cut.get(21));
    assertNotNull(cut.get(20));
    assertNotNull(tree.get(40_000), "the tree that was cut is as before");
  }

  @Test
  void reachesThePageOfTheHighestNumber() {
    // A tree of 4294967294 pages does not fit; one with a gap shows the arithmetic.
    long last = 4_294_967_294L;
    Page page = page(last);
    PageTree tree = PageTree.EMPTY.with(List.of(page(1))).with(List.of(page));
    assertSame(page, tree.get(last));
    assertNull(tree.get(last + 1));
    assertNull(tree.get(last - 1));
    assertNotNull(tree.get(1));
  }
}
