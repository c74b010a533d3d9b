package dev.grpsqlite.server.predict;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Leaves of tables that were asked for last, with their first and last rows: what tells whether
 * another one may be a neighbour, without a look at a page.
 */
final class TableLeaves {
  private static final int MOST = 8;

  private final long[] page = new long[MOST];
  private final long[] firstRow = new long[MOST];
  private final long[] lastRow = new long[MOST];
  private int count;

  /**
   * A leaf that may be next to another.
   *
   * @param direction from it to the other one; 1: its rows come before
   */
  record Neighbour(long page, int direction) {}

  void clear() {
    Arrays.fill(page, 0);
  }

  void add(BtreePage leaf) {
    if (leaf.cells() > 0) {
      int i = count++ & (MOST - 1);
      page[i] = leaf.number;
      firstRow[i] = leaf.rowid(0);
      lastRow[i] = leaf.rowid(leaf.cells() - 1);
    }
  }

  @Nullable Neighbour neighbourOf(BtreePage leaf) {
    if (leaf.cells() == 0) {
      return null;
    }
    long first = leaf.rowid(0);
    long last = leaf.rowid(leaf.cells() - 1);
    for (int i = 0; i < MOST; i++) {
      int direction = page[i] == 0 ? 0 : direction(firstRow[i], lastRow[i], first, last);
      if (direction != 0) {
        return new Neighbour(page[i], direction);
      }
    }
    return null;
  }

  /** From one with other rows to one with rows from first to last; 0: they are no neighbours. */
  private static int direction(long otherFirst, long otherLast, long first, long last) {
    long spans = (otherLast - otherFirst) + (last - first) + 2;
    if (spans < 0) {
      return 0;
    }
    if (first > otherLast && first - otherLast <= spans) {
      return 1;
    }
    return last < otherFirst && otherFirst - last <= spans ? -1 : 0;
  }
}
