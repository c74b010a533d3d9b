package dev.grpsqlite.server.predict;

/**
 * An application's way along the leaves of a b-tree, in either direction; with the rows that the
 * entries of an index name, or with the overflow pages of the entries, if it reads those.
 *
 * <p>The pages that it will read are generated in order. Those up to {@link #window} that the
 * session does not have are sent; the ones behind them are where the walk is expected to be seen
 * next.
 */
final class Walk implements Plan {
  private static final int FIRST_WINDOW = 4;

  /** From here on it grows by half, so that less is sent in vain behind the end of a range. */
  private static final int LARGE_WINDOW = 64;

  /** No client gives that much credit. */
  private static final int MOST_WINDOW = 1 << 20;

  /** An application that joins tables comes back to a walk after some demands of others. */
  private static final int PATIENCE = 64;

  /** How many pages are recognised as the next demand: the session may have some after all. */
  private static final int NEXT_PAGES = 4;

  /** Pages generated between two looks at the store. */
  private static final int MOST_STEPS = 4096;

  /** Entries between two whose overflow is read may have none. */
  private static final int NEAR = 8;

  private static final long END = 0;
  private static final long BLOCKED = -1;
  private static final long SKIPPED = -2;

  final Roots.Tree tree;
  private final Cursor position;
  private int direction = 1;
  private boolean withRows;
  private boolean withOverflow;

  /** Only the rows of entries with the same key, or the overflow pages of the same entry. */
  private boolean sameKeyOnly;

  /** The entry whose overflow was asked for last. */
  private int entry;

  /** How many overflow pages have followed one another, each the page behind. */
  private int straight;

  private int window = FIRST_WINDOW;
  private final long[] next = new long[NEXT_PAGES];
  private int nextCount;

  /** Pages that may still be sent in this round. */
  private int left;

  long lastUse;

  private Walk(Roots.Tree tree, Cursor position) {
    this.tree = tree;
    this.position = position;
  }

  /** Along the leaves, of which two neighbours were read. */
  static Walk along(Roots.Tree tree, Cursor position, int direction, boolean withRows) {
    Walk walk = new Walk(tree, position);
    walk.direction = direction;
    walk.withRows = withRows;
    walk.left = walk.window;
    return walk;
  }

  /** At a leaf whose entries lead to other pages. */
  static Walk at(Roots.Tree tree, Cursor position) {
    return new Walk(tree, position);
  }

  long leaf() {
    return position.leaf;
  }

  boolean expects(long page) {
    for (int i = 0; i < nextCount; i++) {
      if (next[i] == page) {
        return true;
      }
    }
    return false;
  }

  /**
   * The session is where it was expected: everything that was sent is used.
   *
   * @param demands how many there were since; after many, it may be there by chance
   */
  void goOn(long demands) {
    window =
        demands > PATIENCE
            ? FIRST_WINDOW
            : Math.min(window < LARGE_WINDOW ? window * 2 : window + window / 2, MOST_WINDOW);
    if (withRows) {
      sameKeyOnly = false;
    }
    left = window;
  }

  /** A row was read that an entry of this index's leaf names. */
  void readsRow(IndexLeaf.Way way) {
    withRows = true;
    begin(way.direction() > 0 ? way.first() : way.last(), way.direction(), way.sameKeyOnly());
  }

  /** The overflow of an entry was read, which begins with this page. */
  void readsOverflow(int cell, long head, long pages) {
    boolean another = withOverflow && cell > entry && cell <= entry + NEAR;
    withOverflow = true;
    entry = cell;
    begin(cell, 1, !another);
    position.chain = head;
    position.chainLeft = pages - 1;
  }

  private void begin(int cell, int towards, boolean noFurther) {
    position.fresh = false;
    position.cell = cell;
    direction = towards;
    sameKeyOnly = noFurther;
    window = FIRST_WINDOW;
    left = window;
  }

  @Override
  public boolean advance(Round round) {
    Hand hand = round.hand();
    hand.makeRoom();
    Cursor cursor = position.copy();
    boolean blocked = false;
    int ahead = 0;
    nextCount = 0;
    for (int steps = 0; steps < MOST_STEPS; steps++) {
      long page = generate(cursor, round);
      if (page == END) {
        return !blocked;
      }
      if (page == BLOCKED) {
        return nextCount > 0;
      }
      boolean missing = page == SKIPPED;
      if (!missing) {
        switch (round.has(page)) {
          case DONE -> {
            if (!blocked && nextCount == 0) {
              position.set(cursor);
            }
            continue;
          }
          case BLOCKED -> missing = true;
          case NONE -> {}
        }
      }
      if (!missing && !blocked && (left == 0 || !round.hasCredit())) {
        next[nextCount++] = page;
        if (nextCount == NEXT_PAGES) {
          return true;
        }
        continue;
      }
      if (nextCount > 0) {
        return true;
      }
      if (missing || blocked || !hand.look(page)) {
        if (!missing) {
          hand.look(page);
        }
        blocked = true;
        if (++ahead >= Math.min(Math.max(left, 1), hand.batch())) {
          return false;
        }
        continue;
      }
      round.send(page);
      left--;
      position.set(cursor);
    }
    return !blocked;
  }

  /** The next page in the order of reading, whether or not the session has it. */
  private long generate(Cursor cursor, Round round) {
    Hand hand = round.hand();
    while (true) {
      long passed = cursor.takePassed();
      if (passed != 0) {
        return passed;
      }
      if (cursor.chainLeft > 0) {
        if (!hand.look(cursor.chain)) {
          lookBehind(cursor, hand);
          return BLOCKED;
        }
        long after = BtreePage.nextOverflow(hand.image(cursor.chain), hand.shape.pageCount());
        straight = after == cursor.chain + 1 ? Math.min(straight + 1, hand.batch()) : 0;
        cursor.chain = after;
        cursor.chainLeft = after == 0 ? 0 : cursor.chainLeft - 1;
        if (after != 0) {
          return after;
        }
      }
      if (withRows || withOverflow) {
        if (sameKeyOnly && withOverflow) {
          return END;
        }
        if (!hand.look(cursor.leaf)) {
          return BLOCKED;
        }
        BtreePage leaf = hand.tree(cursor.leaf);
        if (leaf == null || !leaf.isLeaf()) {
          return END;
        }
        if (cursor.fresh) {
          cursor.fresh = false;
          cursor.cell = direction > 0 ? -1 : leaf.cells();
        }
        int cell = cursor.cell + direction;
        if (cell >= 0 && cell < leaf.cells()) {
          if (sameKeyOnly && !sameKey(leaf, cell)) {
            return END;
          }
          cursor.cell = cell;
          long page = entry(cursor, round, leaf, cell);
          if (page != END) {
            return page;
          }
          continue;
        }
        if (sameKeyOnly) {
          return END;
        }
        if (withRows && !cursor.separated) {
          Step step = separator(cursor, round);
          if (step == Step.BLOCKED) {
            return BLOCKED;
          }
          cursor.separated = true;
          continue;
        }
      }
      Step step = cursor.next(hand, direction);
      if (step != Step.DONE) {
        return step == Step.BLOCKED ? BLOCKED : END;
      }
    }
  }

  /**
   * Only an overflow page tells the next one. Where they have come in a row, as many more are
   * looked at together, for one at a time is slow in a store that is far away.
   */
  private void lookBehind(Cursor cursor, Hand hand) {
    long most = Math.min(Math.min(straight, left), cursor.chainLeft);
    long last = Math.min(cursor.chain + most, hand.shape.pageCount());
    for (long page = cursor.chain + 1; page <= last; page++) {
      hand.look(page);
    }
  }

  private boolean sameKey(BtreePage leaf, int cell) {
    int before = cell - direction;
    CellRecord here = CellRecord.of(leaf, cell);
    CellRecord there = before >= 0 && before < leaf.cells() ? CellRecord.of(leaf, before) : null;
    return here != null && there != null && here.hasKeyOf(there);
  }

  /** The first page that an entry leads to; or END, if it is to be found in what was passed. */
  private long entry(Cursor cursor, Round round, BtreePage leaf, int cell) {
    if (withOverflow) {
      long head = leaf.overflow(cell);
      if (head != 0) {
        cursor.chain = head;
        cursor.chainLeft = leaf.overflowPages(cell) - 1;
      }
      return head;
    }
    CellRecord record = CellRecord.of(leaf, cell);
    long rowid = record == null ? Long.MIN_VALUE : record.rowid();
    if (rowid == Long.MIN_VALUE) {
      return END;
    }
    return cursor.passRow(round.hand(), round.roots(), tree.table, rowid) == Step.BLOCKED
        ? SKIPPED
        : END;
  }

  private Step separator(Cursor cursor, Round round) {
    Hand hand = round.hand();
    Step step = cursor.separator(hand, direction);
    if (step != Step.DONE) {
      return step;
    }
    BtreePage above = hand.interior(cursor.pageOfSeparator());
    CellRecord record = above == null ? null : CellRecord.of(above, cursor.cellOfSeparator());
    long rowid = record == null ? Long.MIN_VALUE : record.rowid();
    return rowid == Long.MIN_VALUE
        ? Step.NONE
        : cursor.passRow(hand, round.roots(), tree.table, rowid);
  }
}
