package dev.grpsqlite.server.predict;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Which column of a row on one leaf may have led to another leaf: one whose values are rowids
 * there, or keys.
 *
 * @param column as a relation has it
 * @param cell the first of the rows that it may have been
 * @param isOnly there is no other row
 * @param values how many were compared, of which any may be the same by chance
 */
record Explanation(int column, int cell, boolean isOnly, int values) {
  private static final int MOST_COLUMNS = 16;

  /** Where more columns may have led there, it is chance that any did. */
  private static final int MOST_FOUND = 3;

  /** Of a value among the keys of a page. */
  private static final int SEARCH = 4;

  /** Rows between two that lead to other leaves may lead to such as the session has. */
  private static final int NEAR = 4;

  /**
   * Finds all that may have.
   *
   * @param row the cell of the only row that it may have been; -1: any
   * @param led the cell of the row that led anywhere last; -1: none did. That one or the next ones
   *     are more likely than others
   */
  static List<Explanation> of(
      BtreePage from, Roots.Tree fromTree, int row, int led, BtreePage to, Roots.Tree toTree) {
    if (fromTree.isIndex && fromTree == toTree) {
      return List.of();
    }
    long[] keys = to.isIndex() ? firstColumns(to) : new long[0];
    long[] values = new long[MOST_COLUMNS + 1];
    int[] first = new int[MOST_COLUMNS + 1];
    int[] next = new int[MOST_COLUMNS + 1];
    Arrays.fill(next, -1);
    int[] count = new int[MOST_COLUMNS + 1];
    boolean ofIndex = fromTree.isIndex && fromTree.table == toTree.root;
    long[] read = new long[MOST_COLUMNS];
    int compared = 0;
    for (int cell = Math.max(row, 0); cell < (row < 0 ? from.cells() : row + 1); cell++) {
      int columns = 1 + columns(from, cell, values, read, ofIndex);
      for (int i = 0; i < columns; i++) {
        if (values[i] == Long.MIN_VALUE) {
          continue;
        }
        compared++;
        from.work().spend(SEARCH);
        boolean leads =
            to.isIndex() ? Arrays.binarySearch(keys, values[i]) >= 0 : to.find(values[i]) >= 0;
        if (leads) {
          first[i] = count[i]++ == 0 ? cell : first[i];
          boolean near = led >= 0 && cell >= led && cell <= led + NEAR;
          next[i] = near && next[i] < 0 ? cell : next[i];
        }
      }
    }
    List<Explanation> found = new ArrayList<>();
    for (int i = 0; i < count.length && found.size() <= MOST_FOUND; i++) {
      if (count[i] == 0) {
        continue;
      }
      boolean goesOn = next[i] >= 0;
      int likely = goesOn ? compared * (NEAR + 1) / Math.max(NEAR + 1, from.cells()) : compared;
      found.add(
          new Explanation(
              i - 1, goesOn ? next[i] : first[i], goesOn || count[i] == 1, Math.max(1, likely)));
    }
    return found.size() > MOST_FOUND ? List.of() : found;
  }

  /** Fills in the rowid and the columns behind it; returns how many of those there are. */
  private static int columns(BtreePage page, int cell, long[] row, long[] read, boolean rowidOnly) {
    CellRecord record = CellRecord.of(page, cell);
    row[0] = Long.MIN_VALUE;
    if (record == null) {
      return 0;
    }
    row[0] = page.isIndex() ? record.rowid() : page.rowid(cell);
    if (rowidOnly) {
      return 0;
    }
    int all = record.numbers(read);
    // An index has it there too.
    int count = page.isIndex() ? Math.max(0, all - 1) : all;
    System.arraycopy(read, 0, row, 1, count);
    return count;
  }

  private static long[] firstColumns(BtreePage index) {
    index.work().spend(SEARCH * index.cells()); // To sort them.
    long[] keys = new long[index.cells()];
    for (int cell = 0; cell < keys.length; cell++) {
      CellRecord record = CellRecord.of(index, cell);
      keys[cell] = record == null ? Long.MIN_VALUE : record.number(0);
    }
    Arrays.sort(keys);
    return keys;
  }
}
