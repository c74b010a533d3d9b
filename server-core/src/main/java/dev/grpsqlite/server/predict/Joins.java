package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.predict.Relations.Relation;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * What a session has shown of how rows lead it from tree to tree, and which pages a row so leads
 * to.
 */
final class Joins {
  /** Trees on the way from a row, one after the other. */
  private static final int MOST_DEPTH = 8;

  /** Of the entries of an index that have one key. */
  private static final int MOST_ENTRIES = 64;

  private final Relations shared;
  private final Roots roots;

  /** A relation was held back, to see whether the session still goes that way. */
  private boolean isTesting;

  /** At which demand the session itself was last seen to go that way. */
  private final IdentityHashMap<Relation, Long> seenAt = new IdentityHashMap<>();

  Joins(Relations shared, Roots roots) {
    this.shared = shared;
    this.roots = roots;
  }

  /** Which relations may be used for the rows of one walk. */
  static final class Use {
    /** Those that the session goes since this demand. */
    private long since;

    /** Others that are believed. */
    private final Set<Relation> believed = new HashSet<>();

    /** The page that is looked for, with all relations that may be; 0: none is. */
    private long sought;

    /** What led to it. */
    private @Nullable Relation found;

    void seek(long page) {
      sought = page;
      found = null;
    }

    boolean hasFound() {
      return found != null;
    }

    private void passed(long page, Relation relation) {
      if (page == sought && found == null) {
        found = relation;
      }
    }
  }

  List<Relation> known() {
    return shared.of(roots.cookie());
  }

  /** Whether rows of tables lead anywhere. */
  boolean isAny() {
    for (Relation each : known()) {
      if (each.isPlausible()
          && (each.column != Relations.ROWID || !isIndexOf(each.source, each.target))) {
        return true;
      }
    }
    return false;
  }

  private boolean isIndexOf(long index, long table) {
    Roots.Tree tree = roots.tree(index);
    return tree != null && tree.isIndex && tree.table == table;
  }

  /** Whether it may be that rows lead to a tree, other than from its own indexes. */
  boolean mayLeadTo(long root) {
    List<Relation> known = known();
    for (Relation each : known) {
      if (each.target != root || !each.isPlausible()) {
        continue;
      }
      if (!isIndexOf(each.source, root)) {
        return true;
      }
      for (Relation other : known) {
        if (other.target == each.source && other.isPlausible()) {
          return true;
        }
      }
    }
    return false;
  }

  /** Whether it is known that they do. */
  boolean leadTo(long root) {
    for (Relation each : known()) {
      if (each.target == root && each.isSure()) {
        return true;
      }
    }
    return false;
  }

  boolean mayLeadFrom(long root) {
    for (Relation each : known()) {
      if (each.source == root && each.isSure()) {
        return true;
      }
    }
    return false;
  }

  /**
   * The session went this way.
   *
   * @param evidence of that it is no chance
   */
  void see(long source, int column, long target, double evidence, long demands) {
    if (seenAt.size() > 2 * Relations.MOST) {
      seenAt.clear();
    }
    seenAt.put(shared.see(roots.cookie(), source, column, target, evidence), demands);
  }

  /**
   * The session came to a tree.
   *
   * @param which of the relations that lead there did not, this time
   */
  void doubt(long target, Predicate<Relation> which, double evidence) {
    for (Relation each : known()) {
      if (each.target == target && which.test(each)) {
        shared.doubt(each, evidence);
      }
    }
  }

  boolean isSure(long source, int column, long target) {
    for (Relation each : known()) {
      if (each.source == source && each.column == column && each.target == target) {
        return each.isSure();
      }
    }
    return false;
  }

  /** The session was found on a walk, at a page that was as likely as that by chance. */
  void seeFound(Use use, double evidence, long demands) {
    Relation found = use.found;
    if (found != null) {
      see(found.source, found.column, found.target, evidence, demands);
    }
  }

  /** What may be used for rows of a tree, in a walk that begins. */
  void begin(Use use, long root, long demands) {
    beginAnew(use, demands);
    boolean heldOut = false;
    Set<Long> reached = new HashSet<>();
    Deque<Long> line = new ArrayDeque<>();
    line.add(root);
    while (!line.isEmpty()) {
      long from = line.remove();
      for (Relation each : known()) {
        if (each.source != from || !each.isSure()) {
          continue;
        }
        if (!shared.believe(each) && !heldOut) {
          heldOut = true; // One at a time, so that the others need not be seen again too.
          isTesting = true;
          continue;
        }
        use.believed.add(each);
        if (reached.add(each.target)) {
          line.add(each.target);
        }
      }
    }
  }

  /** Whether a relation was held back since this was asked last. */
  boolean wasTesting() {
    boolean was = isTesting;
    isTesting = false;
    return was;
  }

  /** The same, when nothing is sent yet. */
  void beginAnew(Use use, long demands) {
    use.since = demands;
    use.believed.clear();
  }

  private boolean uses(Use use, Relation relation) {
    if (use.sought != 0 ? relation.isPlausible() : use.believed.contains(relation)) {
      return true;
    }
    Long at = relation.isSure() ? seenAt.get(relation) : null;
    return at != null && at >= use.since;
  }

  boolean leadFrom(long root, Use use) {
    for (Relation each : known()) {
      if (each.source == root && uses(use, each)) {
        return true;
      }
    }
    return false;
  }

  /** How many ways lead from a row; of an index's entry, besides that to its table. */
  int count(long root, Use use) {
    int count = 0;
    for (Relation each : known()) {
      boolean leads = each.source == root && uses(use, each);
      count += leads && !isIndexOf(each.source, each.target) ? 1 : 0;
    }
    return count;
  }

  /**
   * Passes the pages that a row leads to, in the order in which the session reads them.
   *
   * @param root the tree that the row is of
   */
  Step passRow(Round round, Cursor out, Use use, long root, BtreePage page, int cell) {
    return passRow(round, out, use, root, page, cell, 0);
  }

  private Step passRow(
      Round round, Cursor out, Use use, long root, BtreePage page, int cell, int depth) {
    Step result = Step.DONE;
    if (depth == MOST_DEPTH) {
      return result;
    }
    List<Relation> known = known();
    round.hand().work().spend(1 + known.size());
    for (Relation each : known) {
      if (each.source != root || !uses(use, each) || out.isFull()) {
        continue;
      }
      long value = value(page, cell, each.column);
      Roots.Tree target = roots.tree(each.target);
      if (value == Long.MIN_VALUE || target == null) {
        continue;
      }
      Step step =
          target.isIndex
              ? entries(round, out, use, each, target, value, depth)
              : row(round, out, use, each, value, depth);
      // What is missing for others is wanted at the same time.
      result = step == Step.BLOCKED ? step : result;
    }
    return result;
  }

  static long value(BtreePage page, int cell, int column) {
    if (column == Relations.ROWID && !page.isIndex()) {
      return page.rowid(cell);
    }
    CellRecord record = CellRecord.of(page, cell);
    if (record == null) {
      return Long.MIN_VALUE;
    }
    return column == Relations.ROWID ? record.rowid() : record.number(column);
  }

  /** The way to a row of a table, and what that row leads to. */
  private Step row(Round round, Cursor out, Use use, Relation relation, long rowid, int depth) {
    Step step = out.passRow(round.hand(), roots, relation.target, rowid);
    use.passed(out.lastPassed(), relation);
    return step == Step.DONE ? ofRow(round, out, use, relation.target, rowid, depth) : step;
  }

  /** What a row leads to whose leaf was passed last. */
  Step ofRow(Round round, Cursor out, Use use, long table, long rowid) {
    return ofRow(round, out, use, table, rowid, 0);
  }

  private Step ofRow(Round round, Cursor out, Use use, long table, long rowid, int depth) {
    if (out.isFull() || !leadFrom(table, use)) {
      return Step.DONE;
    }
    Hand hand = round.hand();
    long leaf = out.lastPassed();
    if (!hand.look(leaf)) {
      return Step.BLOCKED;
    }
    BtreePage page = hand.tree(leaf);
    if (page == null || page.isIndex() || !page.isLeaf() || page.find(rowid) < 0) {
      return Step.DONE;
    }
    return passRow(round, out, use, table, page, page.find(rowid), depth + 1);
  }

  /** The way to the entries of an index for a key, and what they lead to. */
  private Step entries(
      Round round, Cursor out, Use use, Relation relation, Roots.Tree index, long key, int depth) {
    Hand hand = round.hand();
    Cursor at = new Cursor();
    Step step = at.passKey(hand, index, key);
    out.passAllOf(at);
    use.passed(out.lastPassed(), relation);
    if (step != Step.DONE || !leadFrom(index.root, use)) {
      return step;
    }
    Step result = Step.DONE;
    boolean first = true;
    for (int entries = 0; entries < MOST_ENTRIES && !out.isFull(); ) {
      if (!hand.look(at.leaf)) {
        return Step.BLOCKED;
      }
      BtreePage page = hand.tree(at.leaf);
      if (page == null || !page.isLeaf() || !page.isIndex()) {
        return result;
      }
      int cell = first ? Cursor.firstCell(page, index, key) : 0;
      first = false;
      for (; cell < page.cells() && entries < MOST_ENTRIES; cell++, entries++) {
        if (!hasKey(page, cell, key)) {
          return result;
        }
        if (passRow(round, out, use, index.root, page, cell, depth + 1) == Step.BLOCKED) {
          result = Step.BLOCKED;
        }
      }
      step = at.separator(hand, 1);
      if (step != Step.DONE) {
        return step == Step.BLOCKED ? step : result;
      }
      BtreePage above = hand.interior(at.pageOfSeparator());
      if (above == null || !hasKey(above, at.cellOfSeparator(), key)) {
        return result;
      }
      if (passRow(round, out, use, index.root, above, at.cellOfSeparator(), depth + 1)
          == Step.BLOCKED) {
        result = Step.BLOCKED;
      }
      entries++;
      step = at.next(hand, 1);
      out.passAllOf(at);
      if (step != Step.DONE) {
        return step == Step.BLOCKED ? step : result;
      }
    }
    return result;
  }

  private static boolean hasKey(BtreePage page, int cell, long key) {
    CellRecord record = CellRecord.of(page, cell);
    return record != null && record.compareFirst(key) == 0;
  }
}
