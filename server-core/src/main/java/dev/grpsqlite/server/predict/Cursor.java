package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.predict.CellRecord.Order;
import java.util.Arrays;
import java.util.function.ToIntFunction;

/**
 * A place in a b-tree: a leaf, the way to it from the root, and an entry in it. Also pages that
 * were passed and come before it in the order of reading.
 */
final class Cursor {
  private static final int MOST_LEVELS = 20;

  /** The way to the leaf: interior pages and which of their children was taken. */
  private final long[] node = new long[MOST_LEVELS];

  private final int[] index = new int[MOST_LEVELS];

  /** 0: the leaf is the root, or the way is not known. */
  private int depth;

  long leaf;

  /** The entry that was passed last. */
  int cell;

  /** How many entries were passed on the whole way. */
  long entries;

  /** No entry of the leaf was passed yet. */
  boolean fresh;

  /** The entry between this leaf and the next was passed. */
  boolean separated;

  /** In the overflow pages of the entry: the one that was passed last, and how many may follow. */
  long chain;

  long chainLeft;

  /** Of what one row leads to, the first pages: 2 KiB of each walk that is kept, twice. */
  private static final int MOST_PASSED = 256;

  private long[] passed = new long[2 * MOST_LEVELS];
  private int passedFrom;
  private int passedTo;

  void set(Cursor other) {
    System.arraycopy(other.node, 0, node, 0, other.depth);
    System.arraycopy(other.index, 0, index, 0, other.depth);
    depth = other.depth;
    leaf = other.leaf;
    cell = other.cell;
    entries = other.entries;
    fresh = other.fresh;
    separated = other.separated;
    chain = other.chain;
    chainLeft = other.chainLeft;
    makeRoomFor(other.passedTo);
    System.arraycopy(other.passed, 0, passed, 0, other.passedTo);
    passedFrom = other.passedFrom;
    passedTo = other.passedTo;
  }

  Cursor copy() {
    Cursor copy = new Cursor();
    copy.set(this);
    return copy;
  }

  /** The next of the pages passed; 0: none. */
  long takePassed() {
    return passedFrom < passedTo ? passed[passedFrom++] : 0;
  }

  private void pass(long page) {
    if (passedFrom == passedTo) {
      passedFrom = 0;
      passedTo = 0;
    }
    makeRoomFor(passedTo + 1);
    if (passedTo < passed.length) {
      passed[passedTo++] = page;
    }
  }

  private void makeRoomFor(int pages) {
    if (pages > passed.length && passed.length < MOST_PASSED) {
      passed = Arrays.copyOf(passed, Math.min(Math.max(pages, 2 * passed.length), MOST_PASSED));
    }
  }

  /** As many as there may be were passed. */
  boolean isFull() {
    return passedTo == MOST_PASSED;
  }

  long lastPassed() {
    return passedTo == 0 ? 0 : passed[passedTo - 1];
  }

  void passAllOf(Cursor other) {
    for (long page = other.takePassed(); page != 0; page = other.takePassed()) {
      pass(page);
    }
  }

  /** All that was passed is taken back, for it is not all. */
  void passNothing() {
    passedFrom = 0;
    passedTo = 0;
  }

  /** The page above this one; 0: none. */
  long parent() {
    return depth == 0 ? 0 : node[depth - 1];
  }

  int indexInParent() {
    return depth == 0 ? 0 : index[depth - 1];
  }

  /**
   * Goes from a root down to a page, which may be of any level.
   *
   * @param choose which child to take
   */
  Step findPage(
      Hand hand, long root, long target, boolean inIndex, ToIntFunction<BtreePage> choose) {
    depth = 0;
    long page = root;
    while (page != target) {
      if (page == 0 || depth == MOST_LEVELS) {
        return Step.NONE;
      }
      if (!hand.look(page)) {
        return Step.BLOCKED;
      }
      BtreePage tree = hand.interior(page);
      if (tree == null || tree.isIndex() != inIndex) {
        return Step.NONE;
      }
      node[depth] = page;
      index[depth] = choose.applyAsInt(tree);
      page = tree.child(index[depth]);
      depth++;
    }
    settle(target);
    return Step.DONE;
  }

  private void settle(long page) {
    leaf = page;
    fresh = true;
    separated = false;
    chain = 0;
    chainLeft = 0;
  }

  /** The way is not known. */
  void atPage(long page) {
    depth = 0;
    settle(page);
  }

  /** About how many leaves the tree has, as far as its pages on the way here tell. */
  double leaves(Hand hand) {
    double leaves = 1;
    for (int level = 0; level < depth; level++) {
      BtreePage above = hand.look(node[level]) ? hand.interior(node[level]) : null;
      leaves *= above == null ? 1 : above.cells() + 1;
    }
    return leaves;
  }

  /** Moves to the next page of the same level; after BLOCKED it is to be thrown away. */
  Step next(Hand hand, int direction) {
    for (int level = depth - 1; level >= 0; level--) {
      if (!hand.look(node[level])) {
        return Step.BLOCKED;
      }
      BtreePage above = hand.interior(node[level]);
      if (above == null) {
        return Step.NONE;
      }
      int next = index[level] + direction;
      if (next >= 0 && next <= above.cells()) {
        index[level] = next;
        return down(hand, level, above.child(next), direction);
      }
    }
    return Step.NONE;
  }

  private Step down(Hand hand, int from, long child, int direction) {
    long page = child;
    for (int level = from + 1; level < depth; level++) {
      if (page == 0) {
        return Step.NONE;
      }
      if (!hand.look(page)) {
        return Step.BLOCKED;
      }
      BtreePage tree = hand.interior(page);
      if (tree == null) {
        return Step.NONE;
      }
      pass(page);
      node[level] = page;
      index[level] = direction > 0 ? 0 : tree.cells();
      page = tree.child(index[level]);
    }
    if (page == 0) {
      return Step.NONE;
    }
    settle(page);
    pass(page);
    return Step.DONE;
  }

  /**
   * The entry of an index between this leaf and the next: of which page. The cell is in {@link
   * #cellOfSeparator}.
   */
  Step separator(Hand hand, int direction) {
    for (int level = depth - 1; level >= 0; level--) {
      if (!hand.look(node[level])) {
        return Step.BLOCKED;
      }
      BtreePage above = hand.interior(node[level]);
      if (above == null) {
        return Step.NONE;
      }
      int entry = direction > 0 ? index[level] : index[level] - 1;
      if (entry >= 0 && entry < above.cells()) {
        separatorPage = node[level];
        separatorCell = entry;
        return Step.DONE;
      }
    }
    return Step.NONE;
  }

  private long separatorPage;
  private int separatorCell;

  long pageOfSeparator() {
    return separatorPage;
  }

  int cellOfSeparator() {
    return separatorCell;
  }

  /**
   * Passes the pages on the way to a row of another tree, which is a table.
   *
   * @param roots knows how deep that is
   */
  Step passRow(Hand hand, Roots roots, long table, long rowid) {
    int levels = roots.levels(table);
    hand.work().spend(Work.LOOK);
    long[] way = new long[MOST_LEVELS];
    long page = table;
    int level = 0;
    while (page != 0 && level < MOST_LEVELS) {
      way[level++] = page;
      if (level > levels && levels >= 0) {
        break;
      }
      if (!hand.look(page)) {
        return Step.BLOCKED;
      }
      BtreePage tree = hand.tree(page);
      if (tree == null || tree.isIndex()) {
        return Step.NONE;
      }
      if (tree.isLeaf()) {
        roots.setLevels(table, level - 1);
        break;
      }
      page = tree.child(tree.childFor(rowid));
    }
    if (page == 0) {
      return Step.NONE;
    }
    for (int i = 0; i < level; i++) {
      pass(way[i]);
    }
    return Step.DONE;
  }

  /**
   * Goes to the first entry of an index that has the key in its first column, or to where it would
   * be.
   */
  Step passKey(Hand hand, Roots.Tree of, long key) {
    depth = 0;
    long page = of.root;
    while (page != 0 && depth < MOST_LEVELS) {
      pass(page);
      if (depth == of.levels) {
        settle(page);
        return Step.DONE;
      }
      if (!hand.look(page)) {
        return Step.BLOCKED;
      }
      BtreePage tree = hand.tree(page);
      if (tree == null || !tree.isIndex()) {
        return Step.NONE;
      }
      if (tree.isLeaf()) {
        of.levels = depth;
        settle(page);
        return Step.DONE;
      }
      node[depth] = page;
      index[depth] = firstCell(tree, of, key);
      page = tree.child(index[depth]);
      depth++;
    }
    return Step.NONE;
  }

  /** The first cell of an index's page whose key is not before this one. */
  static int firstCell(BtreePage page, Roots.Tree of, long key) {
    int low = 0;
    int high = page.cells();
    while (low < high) {
      int middle = (low + high) >>> 1;
      CellRecord there = CellRecord.of(page, middle);
      int difference = there == null ? 1 : there.compareFirst(key);
      if ((of.order == Order.DESCENDING ? -difference : difference) < 0) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
}
