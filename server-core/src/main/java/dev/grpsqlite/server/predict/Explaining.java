package dev.grpsqlite.server.predict;

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
  private static final double NOT_THIS_TIME = 0.5;
  private static final double NOTHING_LED_THERE = 3;
  private static final double LEAST_EVIDENCE = 0.3;

  private final Predictor predictor;
  private final Joins joins;
  private final RecentLeaves recent;
  private final RecentLeaves before;
  private final BtreePage leaf;
  private boolean began;
  private @Nullable Walk walk;

  /** A leaf that may have led there. */
  private record Source(BtreePage page, Roots.Tree tree, Cursor cursor, Explanation how) {}

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
    Step step = explain(round);
    if (step == Step.BLOCKED) {
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
      missing |= each > 0 && each <= hand.shape.pageCount() && !hand.look(each);
    }
    Cursor cursor = new Cursor();
    Step step = missing ? Step.BLOCKED : predictor.locate(hand, leaf.number, cursor);
    if (step != Step.DONE) {
      return step;
    }
    Roots.Tree target = round.roots().located();
    if (!joins.leadTo(target.root)) {
      round.onlyLearns();
    }
    Set<Long> others = new HashSet<>();
    List<Source> sources = new ArrayList<>();
    for (int i = 0; i < RecentLeaves.MOST; i++) {
      long page = before.page[i];
      if (page == 0 || page == leaf.number || before.find(page) < i) {
        continue;
      }
      Cursor at = new Cursor();
      step = predictor.locate(hand, page, at);
      BtreePage from = step == Step.DONE ? hand.tree(page) : null;
      if (step == Step.BLOCKED) {
        return step;
      }
      if (from == null) {
        continue;
      }
      Roots.Tree tree = round.roots().located();
      Explanation how = Explanation.of(from, tree, before.row[i], before.led[i], leaf, target);
      if (how == null) {
        others.add(tree.root);
      } else {
        sources.add(new Source(from, tree, at, how));
      }
    }
    sources.forEach(each -> others.remove(each.tree.root));
    Source source = judge(target, cursor.leaves(hand), sources, others);
    if (source != null) {
      follow(round, source, target);
    }
    return Step.DONE;
  }

  /** Returns what led there, as far as can be told. */
  private @Nullable Source judge(
      Roots.Tree target, double leaves, List<Source> sources, Set<Long> others) {
    joins.doubt(target.root, others, sources.isEmpty() ? NOTHING_LED_THERE : NOT_THIS_TIME);
    Source sure = null;
    for (Source each : sources) {
      boolean isSure =
          (each.tree.isIndex && each.tree.table == target.root)
              || joins.isSure(each.tree.root, each.how.column(), target.root);
      if (sure == null && isSure && each.how.cell() >= 0) {
        sure = each;
      }
    }
    List<Source> judged =
        sure == null
            ? sources.stream().filter(each -> each.how.cell() >= 0).toList()
            : List.of(sure);
    Source newest = null;
    for (Source each : judged) {
      double evidence = Math.max(LEAST_EVIDENCE, Math.log(leaves / each.how.values()));
      joins.see(
          each.tree.root,
          each.how.column(),
          target.root,
          evidence / judged.size(),
          predictor.demands());
      newest = newest == null ? each : newest;
    }
    return newest;
  }

  private void follow(Round round, Source source, Roots.Tree target) {
    int cell = source.how.cell();
    int column = source.how.column();
    boolean isOnly = source.how.isOnly();
    int at = recent.find(source.page.number);
    if (at >= 0) {
      recent.led[at] = cell;
    }
    at = recent.find(leaf.number);
    if (isOnly && !leaf.isIndex() && at >= 0) {
      recent.row[at] = leaf.find(Joins.value(source.page, cell, column));
    }
    if (source.tree.isIndex && source.tree.table == target.root) {
      return; // An index is read with its rows: see IndexLeaf.
    }
    if (joins.isSure(source.tree.root, column, target.root)) {
      predictor.wasExplained();
    }
    if (!isOnly && source.tree.isIndex) {
      return;
    }
    long rowid = source.page.isIndex() ? Long.MIN_VALUE : source.page.rowid(cell);
    Walk found = null;
    for (Walk each : predictor.newestWalks()) {
      boolean goesThere = each.tree == source.tree && each.leaf() == source.page.number;
      if ((goesThere && each.goesOverRows()) || each.names(round.hand(), source.tree.root, rowid)) {
        return; // That walk will be at it when it is seen again.
      }
      found = goesThere && each.joinsRow(cell) ? each : found;
    }
    boolean follows = isOnly && round.maySend() && joins.mayLeadFrom(source.tree.root);
    if (found == null) {
      found = Walk.at(source.tree, source.cursor, joins);
      found.joins(cell, follows, predictor.demands());
    }
    predictor.keep(found);
    walk = follows ? found : null;
  }
}
