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

  /** Pages that the session does not have, and passes by, between two that it is seen at. */
  private static final int PASSED_BY = 8;

  /** Pages generated to find the one that the session is at. */
  private static final int MOST_SOUGHT = 1024;

  final Roots.Tree tree;
  private final Joins joins;
  private final Joins.Use use = new Joins.Use();
  private final Cursor position;

  /** Where the session was seen last. */
  private final Cursor seen = new Cursor();

  private int direction = 1;
  private boolean withRows;
  private boolean withOverflow;

  /** With the pages that its own rows lead to, by relations. */
  private boolean withJoins;

  /** It does not go beyond the row that was read. */
  private boolean rowOnly;

  /** The entries of that row: where it begins. */
  private long rowLeaf;

  private int rowFirst;
  private int rowLast;
  private boolean seeking;

  /** What is sent may reach up to this entry. */
  private long upTo = Long.MAX_VALUE;

  /** In seeking, entries of another key were passed. */
  private boolean beyondKey;

  /** Only the rows of entries with the same key, or the overflow pages of the same entry. */
  private boolean sameKeyOnly;

  /** The entry whose overflow was asked for last. */
  private int entry;

  /** How many overflow pages have followed one another, each the page behind. */
  private int straight;

  /** Relations that a row is followed by, and that lead to other trees. */
  private int ways;

  private int window = FIRST_WINDOW;
  private final long[] next = new long[NEXT_PAGES];
  private int nextCount;

  /** Pages that may still be sent in this round. */
  private int left;

  long lastUse;

  private Walk(Roots.Tree tree, Cursor position, Joins joins) {
    this.tree = tree;
    this.position = position;
    this.joins = joins;
  }

  /** Along the leaves, of which two neighbours were read. */
  static Walk along(
      Roots.Tree tree, Cursor position, int direction, boolean withRows, Joins joins) {
    Walk walk = new Walk(tree, position, joins);
    walk.direction = direction;
    walk.withRows = withRows;
    walk.seen.set(position);
    walk.left = walk.window;
    return walk;
  }

  /** At a leaf whose entries lead to other pages. */
  static Walk at(Roots.Tree tree, Cursor position, Joins joins) {
    return new Walk(tree, position, joins);
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
    upTo = Long.MAX_VALUE;
    fill();
    if (withRows && left == window) {
      sameKeyOnly = false; // What is joined is more seldom a range.
    }
  }

  /** Each row counts as many pages as it leads to. */
  private void fill() {
    ways = joins.count(tree.root, use) + (withRows ? joins.count(tree.table, use) : 0);
    left = Math.min(window * (1 + ways), MOST_WINDOW);
    seen.set(position);
  }

  /** A row was read that an entry of this index's leaf names. */
  void readsRow(IndexLeaf.Way way, long demands) {
    withRows = true;
    rowOnly = way.direction() == 0;
    int towards = rowOnly ? 1 : way.direction();
    if (way.sameKeyOnly()) {
      joins.begin(use, tree.root, demands);
    }
    if (way.isOneKey()) {
      // What the row leads to comes first.
      begin(towards > 0 ? way.first() - 1 : way.last() + 1, towards, way.sameKeyOnly());
      readsEntries(way.first(), way.last());
    } else {
      begin(towards > 0 ? way.first() : way.last(), towards, way.sameKeyOnly());
      readsEntries(-1, -1);
    }
  }

  private void readsEntries(int first, int last) {
    upTo = Long.MAX_VALUE;
    rowLeaf = position.leaf;
    rowFirst = first;
    rowLast = last;
    fill();
  }

  /** A row of this leaf was read, and what it leads to. */
  void joins(int cell, boolean maySend, long demands) {
    withJoins = true;
    rowOnly = true;
    if (maySend) {
      joins.begin(use, tree.root, demands);
    } else {
      joins.beginAnew(use, demands);
    }
    begin(cell - 1, 1, tree.isIndex);
    readsEntries(cell, cell);
  }

  /** Whether it is with what this row leads to. */
  boolean joinsRow(int cell) {
    return withJoins && isOfRow(position, cell);
  }

  /** Whether it goes over the rows of an index's entries. */
  boolean goesOverRows() {
    return withRows;
  }

  /** Whether its rows may lead to pages of other trees. */
  boolean leads() {
    return withRows || withJoins;
  }

  /** Whether the entries of the leaf that it is at name the row. */
  boolean names(Hand hand, long table, long rowid) {
    if (!withRows || tree.table != table || !hand.look(position.leaf)) {
      return false;
    }
    BtreePage leaf = hand.tree(position.leaf);
    for (int cell = 0; leaf != null && leaf.isLeaf() && cell < leaf.cells(); cell++) {
      CellRecord record = CellRecord.of(leaf, cell);
      if (record != null && record.rowid() == rowid) {
        return true;
      }
    }
    return false;
  }

  /** Finds a page that was read in what the rows lead to, from where the session was seen last. */
  Step seek(Round round, long page, double leaves, long demands) {
    Cursor cursor = seen.copy();
    seeking = true;
    beyondKey = false;
    use.seek(page);
    try {
      int passedBy = 0;
      for (int steps = 0; steps < MOST_SOUGHT; steps++) {
        long at = generate(cursor, round);
        if (at == BLOCKED || at == SKIPPED) {
          return Step.BLOCKED;
        }
        if (at == page && use.hasFound()) {
          rowOnly = rowOnly && isOfRow(cursor, cursor.cell);
          sameKeyOnly = sameKeyOnly && !beyondKey;
          joins.seeFound(use, Math.max(1, Math.log(leaves / (1 + steps))), demands);
          resume(cursor, demands);
          return Step.DONE;
        }
        if (at == END || (round.has(at) != Step.DONE && ++passedBy > PASSED_BY)) {
          return Step.NONE;
        }
      }
      return Step.NONE;
    } finally {
      seeking = false;
      use.seek(0);
    }
  }

  /** Goes on from where the session was found. */
  private void resume(Cursor cursor, long demands) {
    long reached = position.entries;
    position.set(cursor);
    if (cursor.entries < reached) {
      // Of what was sent, some was missing. It is no sign that more is wanted.
      fill();
      upTo = reached;
    } else {
      goOn(demands - lastUse);
    }
  }

  private boolean isOfRow(Cursor cursor, int cell) {
    return cursor.leaf == rowLeaf && cell >= rowFirst && cell <= rowLast;
  }

  /** The overflow of an entry was read, which begins with this page. */
  void readsOverflow(int cell, long head, long pages) {
    rowOnly = false;
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
    seen.set(position);
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
      boolean isEnough = left == 0 || cursor.entries > upTo || !round.hasCredit();
      if (!missing && !blocked && isEnough) {
        next[nextCount++] = page;
        if (nextCount == NEXT_PAGES) {
          return true;
        }
        continue;
      }
      if (nextCount > 0) {
        return true;
      }
      boolean isHere = !missing && hand.look(page);
      if (!isHere || blocked) {
        blocked = true;
        // An entry of which something is missing stands for all that it leads to.
        ahead += page == SKIPPED ? 1 + ways : 1;
        if (ahead >= Math.min(Math.max(left, 1), hand.batch())) {
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
      hand.work().spend(1);
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
      if (withRows || withOverflow || withJoins) {
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
          boolean ofRow = isOfRow(cursor, cell);
          boolean ofKey = !sameKeyOnly || ofRow || sameKey(leaf, cell);
          beyondKey |= !ofKey;
          if (!seeking && (!ofKey || (rowOnly && !ofRow))) {
            return END;
          }
          cursor.cell = cell;
          cursor.entries++;
          long page = entry(cursor, round, leaf, cell);
          if (page != END) {
            return page;
          }
          continue;
        }
        beyondKey |= sameKeyOnly;
        if (!seeking && (sameKeyOnly || rowOnly)) {
          return END;
        }
        if (tree.isIndex && !withOverflow && !cursor.separated) {
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
    return rowAndJoins(cursor, round, leaf, cell) == Step.BLOCKED ? SKIPPED : END;
  }

  /** The way to the row that an entry names, and what both lead to; all of it or nothing. */
  private Step rowAndJoins(Cursor cursor, Round round, BtreePage page, int cell) {
    cursor.passNothing();
    Step step = Step.DONE;
    if (withRows) {
      CellRecord record = CellRecord.of(page, cell);
      step = row(cursor, round, record == null ? Long.MIN_VALUE : record.rowid());
    }
    if (joins.passRow(round, cursor, use, tree.root, page, cell) == Step.BLOCKED
        || step == Step.BLOCKED) {
      cursor.passNothing();
      return Step.BLOCKED;
    }
    return Step.DONE;
  }

  /** The way to a row, and what it leads to. */
  private Step row(Cursor cursor, Round round, long rowid) {
    if (rowid == Long.MIN_VALUE) {
      return Step.NONE;
    }
    Step step = cursor.passRow(round.hand(), round.roots(), tree.table, rowid);
    return step == Step.DONE ? joins.ofRow(round, cursor, use, tree.table, rowid) : step;
  }

  private Step separator(Cursor cursor, Round round) {
    Hand hand = round.hand();
    Step step = cursor.separator(hand, direction);
    if (step != Step.DONE) {
      return step;
    }
    BtreePage above = hand.interior(cursor.pageOfSeparator());
    return above == null ? Step.NONE : rowAndJoins(cursor, round, above, cursor.cellOfSeparator());
  }
}
