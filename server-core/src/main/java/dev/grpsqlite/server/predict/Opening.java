package dev.grpsqlite.server.predict;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * What comes with a database that is opened: the pages of its schema, then the interior pages of
 * all its b-trees, level by level; but of no level of which most would have to stay behind, for
 * then chances are that what is read next is not among them, and an open has to wait for all.
 */
final class Opening implements Plan {
  /** So many pages are in line at most. */
  private static final int MOST_IN_LINE = 4096;

  /** Of a level that is sent at least so much fits: one in so many. */
  private static final int LEAST_PART = 2;

  /**
   * A page, how many levels of interior pages there are from it down, and about how many pages its
   * level has.
   */
  private record Place(long page, int levels, long width) {}

  private boolean schemaSent;
  private boolean measured;
  private int tree;
  private final Deque<Place> line = new ArrayDeque<>();

  @Override
  public boolean advance(Round round) {
    Hand hand = round.hand();
    if (!schemaSent) {
      List<Long> pages = new ArrayList<>();
      if (Roots.schemaLeaves(hand, 1, 0, new int[1], new ArrayList<>(), pages) == Step.BLOCKED) {
        return false;
      }
      pages.forEach(page -> sendIfNew(round, page));
      schemaSent = true;
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
