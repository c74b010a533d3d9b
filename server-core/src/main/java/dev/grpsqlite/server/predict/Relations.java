package dev.grpsqlite.server.predict;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/**
 * How the rows of a database lead its readers from one b-tree to another. What one session has
 * found out is of use to the next one, which asks the same: all sessions at a database may share
 * this.
 *
 * <p>A session that is sent what a relation leads to is not seen to want it. So a relation is
 * believed for a number of times only, and then it has to be seen again; each time it is, it is
 * believed twice as often, and where it is not, half as often.
 *
 * <p>Thread-safe. It holds a list of fixed size.
 */
public final class Relations {
  /** In place of a column: the rowid, which is an index's last column. */
  static final int ROWID = -1;

  /** 2 KiB. Of more, those that were seen last. */
  static final int MOST = 32;

  private static final int FIRST_BELIEF = 4;
  private static final int MOST_BELIEF = 64;

  /** Logarithms of how unlikely it is that all was chance. */
  private static final double ENOUGH_EVIDENCE = 3;

  private static final double SOME_EVIDENCE = 0.2;
  private static final double MOST_EVIDENCE = 6;
  private static final double LEAST_EVIDENCE = -6;

  /** From the column of a row of one tree to that rowid of a table, or that key of an index. */
  static final class Relation {
    final long source;
    final int column;
    final long target;

    private long seen;
    private volatile double evidence;

    /** How often it is believed once it was seen. */
    private int belief = FIRST_BELIEF;

    private int left = FIRST_BELIEF;

    private Relation(long source, int column, long target) {
      this.source = source;
      this.column = column;
      this.target = target;
    }

    /** It may be. */
    boolean isPlausible() {
      return evidence >= SOME_EVIDENCE;
    }

    /** It is no chance. */
    boolean isSure() {
      return evidence >= ENOUGH_EVIDENCE;
    }
  }

  /** Both change together, and are read on every row. */
  private record Schema(int cookie, List<Relation> list) {}

  private volatile Schema schema = new Schema(0, List.of());
  private long sights;

  /** Those of a schema, in the order in which they were seen first. */
  List<Relation> of(int schemaCookie) {
    Schema now = schema;
    return now.cookie == schemaCookie ? now.list : List.of();
  }

  /**
   * A session went this way by itself.
   *
   * @param evidence the logarithm of how unlikely it is that this was chance
   */
  synchronized Relation see(
      int schemaCookie, long source, int column, long target, double evidence) {
    List<Relation> list = of(schemaCookie);
    for (Relation known : list) {
      if (known.source == source && known.column == column && known.target == target) {
        known.seen = ++sights;
        known.evidence = Math.min(known.evidence + evidence, MOST_EVIDENCE);
        known.belief = Math.min(known.belief * 4, MOST_BELIEF);
        known.left = known.belief;
        return known;
      }
    }
    Relation added = new Relation(source, column, target);
    added.seen = ++sights;
    added.evidence = Math.min(evidence, MOST_EVIDENCE);
    List<Relation> longer = new ArrayList<>(list);
    if (longer.size() == MOST) {
      longer.remove(Collections.min(longer, Comparator.comparingLong(each -> each.seen)));
    }
    longer.add(added);
    schema = new Schema(schemaCookie, List.copyOf(longer));
    return added;
  }

  /** A session came to the target, and not this way, though it had been at the source. */
  synchronized void doubt(Relation relation, double evidence) {
    relation.evidence = Math.max(relation.evidence - evidence, LEAST_EVIDENCE);
  }

  /**
   * Whether a session may be sent what a relation leads to without having shown that it wants it.
   */
  synchronized boolean believe(Relation relation) {
    if (relation.left > 0) {
      relation.left--;
      return true;
    }
    relation.belief = Math.max(1, relation.belief / 2);
    return false;
  }
}
