package dev.grpsqlite.server.predict;

import java.util.Arrays;

/** Leaves of any kind that a session asked for last, the newest first. */
final class RecentLeaves {
  static final int MOST = 8;

  final long[] page = new long[MOST];

  /** Of its tree; 0: not known yet. */
  final long[] root = new long[MOST];

  /** The cell of the row that was read there; -1: not known. */
  final int[] row = new int[MOST];

  /** The cell of the row that was last seen to lead to other leaves; -1: none was. */
  final int[] led = new int[MOST];

  void add(long number, int rowRead) {
    System.arraycopy(page, 0, page, 1, MOST - 1);
    System.arraycopy(root, 0, root, 1, MOST - 1);
    System.arraycopy(row, 0, row, 1, MOST - 1);
    System.arraycopy(led, 0, led, 1, MOST - 1);
    page[0] = number;
    root[0] = 0;
    row[0] = rowRead;
    led[0] = -1;
  }

  void clear() {
    Arrays.fill(page, 0);
  }

  /** Where a page is; -1: it is not among them. */
  int find(long number) {
    for (int i = 0; i < MOST; i++) {
      if (page[i] == number) {
        return i;
      }
    }
    return -1;
  }

  void setRoot(long number, long treeRoot) {
    int at = find(number);
    if (at >= 0) {
      root[at] = treeRoot;
    }
  }

  RecentLeaves copy() {
    RecentLeaves copy = new RecentLeaves();
    System.arraycopy(page, 0, copy.page, 0, MOST);
    System.arraycopy(root, 0, copy.root, 0, MOST);
    System.arraycopy(row, 0, copy.row, 0, MOST);
    System.arraycopy(led, 0, copy.led, 0, MOST);
    return copy;
  }
}
