package dev.grpsqlite.server.predict;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What comes with a database that is opened: the pages of its schema, with what its entries have
 * elsewhere, then the interior pages of all its b-trees, level by level; but of no level of which
 * most would have to stay behind, for then chances are that what is read next is not among them,
 * and an open has to wait for all.
 */
final class Opening implements Plan {
  /** So many pages are in line at most. */
  private static final int MOST_IN_LINE = 4096;

  /** Entries of the schema of which pages are sent at most: those of a large one have few. */
  private static final int MOST_OVERFLOWS = 4096;

  /** Of a level that is sent at least so much fits: one in so many. */
  private static final int LEAST_PART = 2;

  /**
   * A page, how many levels of interior pages there are from it down, and about how many pages its
   * level has.
   */
  private record Place(long page, int levels, long width) {}

  /** The next overflow page of an entry of the schema, and how many there are from it on. */
  private record Overflow(long page, long left) {}

  private boolean schemaSent;
  private final Deque<Overflow> overflows = new ArrayDeque<>();
  private boolean measured;
  private int tree;
  private final Deque<Place> line = new ArrayDeque<>();

  @Override
  public boolean advance(Round round) {
    Hand hand = round.hand();
    if (!schemaSent) {
      Set<Long> pages = new LinkedHashSet<>();
      List<BtreePage> leaves = new ArrayList<>();
      if (Roots.schemaLeaves(hand, 1, 0, leaves, pages) == Step.BLOCKED) {
        return false;
      }
      pages.forEach(page -> sendIfNew(round, page));
      leaves.forEach(this::addOverflows);
      schemaSent = true;
    }
    if (!sendOverflows(round)) {
      return false;
    }
    if (!measured && !measure(round)) {
      return false;
    }
    measured = true;
    while (!line.isEmpty() && round.hasCredit()) {
      hand.makeRoom();
      boolean blocked = false;
      int seen = 0;
      for (Place place : line) {
        if (seen++ == hand.batch()) {
          break;
        }
        blocked |= !hand.look(place.page);
      }
      if (blocked) {
        return false;
      }
      for (int i = 0; i < seen && i < hand.batch() && !line.isEmpty(); i++) {
        take(round, line.removeFirst());
      }
    }
    return true;
  }

  private void addOverflows(BtreePage leaf) {
    int cell = 0;
    for (; cell < leaf.cells() && overflows.size() < MOST_OVERFLOWS; cell++) {
      long first = leaf.overflow(cell);
      if (first != 0) {
        overflows.add(new Overflow(first, leaf.overflowPages(cell)));
      }
    }
    leaf.work().spend(cell / Work.CELLS);
  }

  /** A page of each entry in turn, for where the next one is, only the one before it says. */
  private boolean sendOverflows(Round round) {
    Hand hand = round.hand();
    while (!overflows.isEmpty() && round.hasCredit()) {
      hand.makeRoom();
      int count = Math.min(overflows.size(), hand.batch());
      boolean blocked = false;
      for (Overflow each : overflows.stream().limit(count).toList()) {
        blocked |= !hand.look(each.page);
      }
      if (blocked) {
        return false;
      }
      for (int i = 0; i < count; i++) {
        Overflow each = overflows.removeFirst();
        long next = BtreePage.nextOverflow(hand.image(each.page), hand.shape.pageCount());
        if (round.knows(each.page) || !round.hasCredit()) {
          continue; // What was sent already: the database is not sound.
        }
        round.send(each.page);
        if (next != 0 && each.left > 1) {
          overflows.add(new Overflow(next, each.left - 1));
        }
      }
    }
    return true;
  }

  private static void sendIfNew(Round round, long page) {
    if (!round.knows(page) && round.hasCredit()) {
      round.send(page);
    }
  }

  private void take(Round round, Place place) {
    BtreePage page = round.hand().interior(place.page);
    if (page == null) {
      return;
    }
    sendIfNew(round, place.page);
    long width = place.width * (page.cells() + 1);
    if (place.levels == 1 || !round.hasCreditFor(width / LEAST_PART)) {
      return;
    }
    round.hand().work().spend(page.cells());
    for (int i = 0; i <= page.cells() && line.size() < MOST_IN_LINE; i++) {
      long child = page.child(i);
      if (child != 0) {
        line.add(new Place(child, place.levels - 1, width));
      }
    }
  }

  /** Finds out how deep each b-tree is, along its left edge. */
  private boolean measure(Round round) {
    Hand hand = round.hand();
    List<Roots.Tree> trees = round.roots().trees();
    for (; tree < trees.size(); ) {
      hand.makeRoom();
      int upTo = Math.min(trees.size(), tree + hand.batch() / 2);
      boolean blocked = false;
      for (int i = tree; i < upTo; i++) {
        blocked |= !measure(hand, trees.get(i));
      }
      if (blocked) {
        return false;
      }
      for (int i = tree; i < upTo; i++) {
        if (trees.get(i).levels > 0) {
          line.add(new Place(trees.get(i).root, trees.get(i).levels, 1));
        }
      }
      tree = upTo;
    }
    return true;
  }

  private static boolean measure(Hand hand, Roots.Tree tree) {
    long page = tree.root;
    for (int levels = 0; levels < 8; levels++) {
      if (page == 0 || page > hand.shape.pageCount()) {
        tree.levels = -1;
        return true;
      }
      if (!hand.look(page)) {
        return false;
      }
      BtreePage at = hand.interior(page);
      if (at == null) {
        tree.levels = levels;
        return true;
      }
      page = at.child(0);
    }
    return true;
  }
}
