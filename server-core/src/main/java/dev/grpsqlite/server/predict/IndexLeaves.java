package dev.grpsqlite.server.predict;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Leaves of indexes that were asked for last. */
final class IndexLeaves {
  private static final int MOST = 3;

  private final @Nullable IndexLeaf[] leaves = new @Nullable IndexLeaf[MOST];
  private int at;

  void clear() {
    Arrays.fill(leaves, null);
  }

  /** One of which it is known that a page is its neighbour. */
  @Nullable IndexLeaf nextTo(long page) {
    for (IndexLeaf each : leaves) {
      if (each != null && each.isNextTo(page)) {
        return each;
      }
    }
    return null;
  }

  List<IndexLeaf> newestFirst() {
    List<IndexLeaf> result = new ArrayList<>(MOST);
    for (int back = 1; back <= MOST; back++) {
      IndexLeaf each = leaves[(at + MOST - back) % MOST];
      if (each != null) {
        result.add(each);
      }
    }
    return result;
  }

  /** Returns it if it was not among them. */
  @Nullable IndexLeaf add(BtreePage leaf) {
    for (IndexLeaf known : leaves) {
      if (known != null && known.page == leaf.number) {
        return null;
      }
    }
    IndexLeaf added = new IndexLeaf(leaf);
    leaves[at] = added;
    at = (at + 1) % MOST;
    return added;
  }

  /** Finds out which are the neighbours of one of them. False: pages are missing for it. */
  boolean findNeighbours(Round round, IndexLeaf leaf) {
    Hand hand = round.hand();
    if (!hand.look(leaf.page)) {
      return false;
    }
    BtreePage page = hand.tree(leaf.page);
    Cursor cursor = new Cursor();
    Step step = page == null ? Step.NONE : round.roots().locate(hand, page, cursor);
    if (step != Step.DONE) {
      return step == Step.NONE;
    }
    Cursor after = cursor.copy();
    Cursor before = cursor.copy();
    Step next = after.next(hand, 1);
    Step previous = before.next(hand, -1);
    // Of each tree, the last leaf alone is where a walk may go on.
    leaf.root = round.roots().located().root;
    for (IndexLeaf other : leaves) {
      if (other != null && other != leaf && other.root == leaf.root) {
        other.next = 0;
        other.previous = 0;
      }
    }
    leaf.next = next == Step.DONE ? after.leaf : leaf.next;
    leaf.previous = previous == Step.DONE ? before.leaf : leaf.previous;
    return next != Step.BLOCKED && previous != Step.BLOCKED;
  }
}
