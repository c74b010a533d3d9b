package dev.grpsqlite.server.predict;

import org.jspecify.annotations.Nullable;

/**
 * Which leaf the first overflow page of an entry is of, for leaves that a session has got lately.
 */
final class OverflowHeads {
  /** A leaf has eight such entries at most, for each takes an eighth of the page. */
  private static final int MOST = 128;

  private final long[] head = new long[MOST];
  private final long[] leaf = new long[MOST];
  private int count;

  void add(@Nullable BtreePage page) {
    if (page == null || !page.isLeaf()) {
      return;
    }
    int found = 0;
    int cell = 0;
    for (; cell < page.cells() && found < 8; cell++) {
      long first = page.overflow(cell);
      if (first != 0) {
        found++;
        int at = count++ & (MOST - 1);
        head[at] = first;
        leaf[at] = page.number;
      }
    }
    page.work().spend(cell / Work.CELLS);
  }

  /** The leaf, or 0. */
  long leafOf(long page) {
    for (int i = 0; i < MOST; i++) {
      if (head[i] == page) {
        return leaf[i];
      }
    }
    return 0;
  }
}
