package dev.grpsqlite.server.predict;

import java.util.BitSet;

/** A leaf of an index that was asked for: what is kept of it, so that it need not be looked at. */
final class IndexLeaf {
  /** 8 KiB. Of more entries, which only large pages have, the first ones. */
  private static final int MOST = 1024;

  /** Rows between two that were read may be on pages that the session had. */
  private static final int NEAR = 4;

  final long page;

  /** Of its tree; 0: not known yet. */
  long root;

  /** Its neighbours; 0: none, or not known. */
  long next;

  long previous;

  private final long[] rowids;

  /** Entries with the key of the one before. */
  private final BitSet same = new BitSet();

  /** The entries that the row which was read last may be of; -1: none was. */
  private int lowest = -1;

  private int highest = -1;

  IndexLeaf(BtreePage leaf) {
    page = leaf.number;
    rowids = new long[Math.min(leaf.cells(), MOST)];
    CellRecord before = null;
    for (int i = 0; i < rowids.length; i++) {
      CellRecord entry = CellRecord.of(leaf, i);
      rowids[i] = entry == null ? Long.MIN_VALUE : entry.rowid();
      same.set(i, entry != null && before != null && entry.hasKeyOf(before));
      before = entry;
    }
  }

  boolean hasSteps() {
    return lowest >= 0;
  }

  boolean isNextTo(long other) {
    return other != 0 && (next == other || previous == other);
  }

  /**
   * What an application does that read rows of this leaf's entries.
   *
   * @param first the entry, or the first of those that name rows of the same page
   * @param last the last of them
   * @param direction in which it goes
   * @param sameKeyOnly it is known to go on with the same key only
   * @param isOneKey all those entries have the same key; else it is not known which was used
   */
  record Way(int first, int last, int direction, boolean sameKeyOnly, boolean isOneKey) {}

  private Way way(int direction, boolean sameKeyOnly) {
    boolean isOneKey = same.nextClearBit(found + 1) > foundLast;
    return new Way(found, foundLast, direction, sameKeyOnly, isOneKey);
  }

  /** Whether a table's leaf has rows that entries name; if so, {@link #step} says what follows. */
  boolean names(BtreePage table) {
    found = -1;
    foundLast = -1;
    if (table.cells() == 0) {
      return false;
    }
    long least = table.rowid(0);
    long most = table.rowid(table.cells() - 1);
    table.work().spend(rowids.length);
    for (int i = 0; i < rowids.length; i++) {
      if (rowids[i] >= least && rowids[i] <= most && table.find(rowids[i]) >= 0) {
        found = found < 0 ? i : found;
        foundLast = i;
      }
    }
    return found >= 0;
  }

  /** Of the entries that {@link #names} found, the only one's rowid. */
  long onlyRow() {
    return found >= 0 && found == foundLast ? rowids[found] : Long.MIN_VALUE;
  }

  private int found;
  private int foundLast;

  /** Takes the step that {@link #names} found. Its direction is 0 if nothing follows. */
  Way step() {
    boolean known = lowest >= 0;
    boolean forward = known && found > lowest && found <= highest + NEAR;
    boolean backward = known && !forward && foundLast < highest && foundLast >= lowest - NEAR;
    boolean sameKey = forward && same.nextClearBit(Math.min(highest, found) + 1) > found;
    lowest = found;
    highest = foundLast;
    if (sameKey) {
      return way(1, true);
    }
    if (forward || backward) {
      return way(forward ? 1 : -1, false);
    }
    return way(same.get(foundLast + 1) ? 1 : 0, true);
  }
}
