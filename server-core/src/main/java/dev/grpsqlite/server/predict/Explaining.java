package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.predict.Relations.Relation;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds out which of the leaves that were read before led to one that no walk expected. If it is
 * known that such rows lead there, the other pages that this row leads to are sent.
 */
final class Explaining implements Plan {
  private static final double NOT_THIS_TIME = 1;
  private static final double NOTHING_LED_THERE = 3;
  private static final double LEAST_EVIDENCE = 0.3;

  private final Predictor predictor;
  private final Joins joins;
  private final RecentLeaves recent;
  private final RecentLeaves before;
  private final BtreePage leaf;
  private boolean began;
  private @Nullable Source source;
  private @Nullable Walk walk;

  /** A leaf that may have led there. */
  private record Source(BtreePage page, Roots.Tree tree, Explanation how) {
    boolean isOf(Relation relation) {
      return relation.source == tree.root && relation.column == how.column();
    }
  }

  Explaining(Predictor predictor, Joins joins, RecentLeaves recent, BtreePage leaf) {
    this.predictor = predictor;
    this.joins = joins;
    this.recent = recent;
    this.before = recent.copy();
    this.leaf = leaf;
  }

  @Override
  public boolean advance(Round round) {
    if (walk != null) {
      return walk.advance(round);
    }
    if (!began && !predictor.isWorthExplaining()) {
      round.onlyLearns();
      return true;
    }
    began = true;
    if (source == null && explain(round) == Step.BLOCKED) {
      return false;
    }
    if (source != null && follow(round, source) == Step.BLOCKED) {
      return false;
    }
    if (walk == null) {
      round.onlyLearns();
      return true;
    }
    return walk.advance(round);
  }

  private Step explain(Round round) {
    Hand hand = round.hand();
    boolean missing = !hand.look(leaf.number);
    for (long each : before.page) {
      missing |= hand.exists(each) && !hand.look(each);
    }
    Cursor cursor = new Cursor();
    Step step = missing ? Step.BLOCKED : predictor.locate(hand, leaf.number, cursor);
    if (step != Step.DONE) {
      return step;
    }
    Roots.Tree target = round.roots().located();
    recent.setRoot(leaf.number, target.root);
    if (!joins.leadTo(target.root)) {
      round.onlyLearns();
    }
    Set<Long> trees = new HashSet<>();
    List<Source> sources = new ArrayList<>();
    for (int i = 0; i < RecentLeaves.MOST; i++) {
      long page = before.page[i];
      if (!hand.exists(page) || page == leaf.number || before.find(page) < i) {
        continue;
      }
      Roots.Tree tree = round.roots().tree(before.root[i]);
      if (tree == null) {
        step = predictor.locate(hand, page, new Cursor());
        if (step == Step.BLOCKED) {
          return step;
        }
        tree = step == Step.DONE ? round.roots().located() : null;
      }
      BtreePage from = tree == null ? null : hand.tree(page);
      if (from == null || tree == null || !from.isLeaf() || from.isIndex() != tree.isIndex) {
        continue;
      }
      recent.setRoot(page, tree.root);
      before.root[i] = tree.root;
      trees.add(tree.root);
      for (Explanation how :
          Explanation.of(from, tree, before.row[i], before.led[i], leaf, target)) {
        sources.add(new Source(from, tree, how));
      }
    }
    source = judge(target, cursor.leaves(hand), sources, trees);
    if (source != null && !isWorthFollowing(source, target)) {
      source = null;
    }
    return Step.DONE;
  }

  /** Returns what led there most likely. */
  private @Nullable Source judge(
      Roots.Tree target, double leaves, List<Source> sources, Set<Long> trees) {
    joins.doubt(
        target.root,
        relation ->
            trees.contains(relation.source)
                && sources.stream().noneMatch(each -> each.isOf(relation)),
        sources.isEmpty() ? NOTHING_LED_THERE : NOT_THIS_TIME);
    Source own = null;
    Source sure = null;
    for (Source each : sources) {
      if (own == null && each.tree.isIndex && each.tree.table == target.root) {
        own = each; // An index that was read leads to its table, whatever else might.
      }
      if (sure == null && joins.isSure(each.tree.root, each.how.column(), target.root)) {
        sure = each;
      }
    }
    List<Source> likely = own == null ? sources : List.of(own);
    double chances = likely.stream().mapToDouble(each -> 1.0 / each.how.values()).sum();
    for (Source each : likely) {
      double evidence = Math.max(LEAST_EVIDENCE, Math.log(leaves / each.how.values()));
      double share = 1.0 / each.how.values() / chances;
      joins.see(
          each.tree.root, each.how.column(), target.root, evidence * share, predictor.demands());
    }
    if (own != null || sure != null) {
      return own != null ? own : sure;
    }
    return sources.isEmpty() ? null : sources.get(0);
  }

  /** Notes which row led there. */
  private boolean isWorthFollowing(Source from, Roots.Tree target) {
    int cell = from.how.cell();
    int column = from.how.column();
    int at = recent.find(from.page.number);
    if (at >= 0) {
      recent.led[at] = cell;
    }
    at = recent.find(leaf.number);
    if (from.how.isOnly() && !leaf.isIndex() && at >= 0) {
      recent.row[at] = leaf.find(Joins.value(from.page, cell, column));
    }
    if (from.tree.isIndex && from.tree.table == target.root) {
      return false; // An index is read with its rows: see IndexLeaf.
    }
    if (joins.isSure(from.tree.root, column, target.root)) {
      predictor.lookAgain();
    }
    return from.how.isOnly() || !from.tree.isIndex;
  }

  /** Finds or begins the walk that goes over such rows. */
  private Step follow(Round round, Source from) {
    Hand hand = round.hand();
    int cell = from.how.cell();
    long rowid = from.page.isIndex() ? Long.MIN_VALUE : from.page.rowid(cell);
    Walk found = null;
    for (Walk each : predictor.newestWalks()) {
      boolean goesThere = each.tree == from.tree && each.leaf() == from.page.number;
      if ((goesThere && each.goesOverRows()) || each.names(hand, from.tree.root, rowid)) {
        return Step.DONE; // That walk will be at it when it is seen again.
      }
      found = goesThere && each.joinsRow(cell) ? each : found;
    }
    boolean follows = from.how.isOnly() && round.maySend() && joins.mayLeadFrom(from.tree.root);
    if (found == null) {
      Cursor cursor = new Cursor();
      Step step = predictor.locate(hand, from.page.number, cursor);
      if (step != Step.DONE) {
        return step;
      }
      found = Walk.at(from.tree, cursor, joins);
      found.joins(cell, follows, predictor.demands());
    }
    predictor.keep(found);
    walk = follows ? found : null;
    return Step.DONE;
  }
}
