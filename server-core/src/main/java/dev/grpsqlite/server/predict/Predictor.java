package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.predict.Found.Result;
import dev.grpsqlite.server.spi.PageImage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one session will want to read next in one database.
 *
 * <p>It is told of the pages that the session asked for, and only of those: what the session reads
 * from its own cache, nobody sees. So a walk shows itself by the first page that was not sent, and
 * {@link Walk} waits for just that.
 *
 * <p>Whether anything follows from a demand is seen from what is kept, without a look at other
 * pages; so a demand from which nothing follows costs nothing. What is found out for later demands,
 * a round finds out for which nobody waits.
 *
 * <p>Thread-safe: a round's steps are taken under this object's monitor, and never wait. One round
 * of either kind at a time: a demand that comes while one is under way predicts nothing.
 */
public final class Predictor {
  /** Demands of more pages are no application's steps. */
  public static final int MOST_PAGES = 4;

  /**
   * About so many pages have one above them, in b-trees of few large rows and of many small ones.
   */
  private static final int PAGES_PER_UPPER_PAGE = 64;

  private static final int PARENTS = 8;
  private static final int PATIENCE = 8;
  private static final int SELDOM = 4;

  /** Demands from which nothing follows, after one from which too much did: {@link Work}. */
  private static final int REST = 64;

  private final Roots roots = new Roots();
  private final Work work = new Work();
  private final Joins joins;
  private final SentPages sent = new SentPages();
  private final OverflowHeads heads = new OverflowHeads();
  private final Walks walks = new Walks();
  private final TableLeaves tableLeaves = new TableLeaves();
  private final IndexLeaves indexLeaves = new IndexLeaves();
  private final RecentLeaves recent = new RecentLeaves();
  private final @Nullable Siblings[] siblings = new @Nullable Siblings[PARENTS];
  private int siblingsAt;

  /** How many there were. */
  private long demands;

  private long restsUntil;

  /** Of the row that was read on the leaf that was asked for, its cell; -1: not known. */
  private int row;

  /** Leaves of indexes that are read and are no neighbours: which are. */
  private final Trials learnings = new Trials(PATIENCE, SELDOM);

  /** Leaves to which rows may lead: whether a walk does, while the session waits. */
  private final Trials seekings = new Trials(3 * PATIENCE, SELDOM);

  /** Leaves to which nothing led: what did. */
  private final Trials explainings = new Trials(3 * PATIENCE, SELDOM * SELDOM);

  private @Nullable Round sending;
  private @Nullable Round learning;

  /** One that knows of the database what others have found out. */
  public Predictor(Relations relations) {
    this.joins = new Joins(relations, roots);
  }

  /**
   * What a session knows, and has, of a database that it has just opened: the same for all that
   * open the same version alike. Immutable.
   */
  public static final class Opened {
    private final Roots roots;
    private final SentPages sent = new SentPages();

    private Opened(Shape shape, Roots roots, List<PageImage> pages) {
      this.roots = roots;
      sent.clear(pages.size());
      for (PageImage page : pages) {
        sent.add(page.number(), shape.version());
      }
    }
  }

  /** The database was opened, with its page 1. Null: nothing can be predicted now. */
  public synchronized @Nullable Round opened(Shape shape, PageImage first, long creditBytes) {
    if (sending != null) {
      return null;
    }
    Hand hand = new Hand(shape, shape.pageSize(), work);
    hand.put(first);
    isAtNothing();
    sent.clear(Math.min(creditBytes / shape.pageSize(), shape.pageCount() / PAGES_PER_UPPER_PAGE));
    sent.add(1, shape.version());
    Opening opening = new Opening();
    sending = new Round(this, hand, knowing(opening), creditBytes, true);
    return sending;
  }

  /**
   * The database was opened at the version at which another session opened it, and gets what that
   * one got. False: nothing can be predicted now, and it gets the first page alone.
   */
  public synchronized boolean openedLike(Opened like) {
    if (sending != null) {
      return false;
    }
    isAtNothing();
    roots.become(like.roots);
    sent.become(like.sent);
    return true;
  }

  /**
   * How an open went whose round is over.
   *
   * @param pages all that the client got with it
   */
  public synchronized Opened asOpened(Shape shape, List<PageImage> pages) {
    Roots known = new Roots();
    known.become(roots);
    return new Opened(shape, known, pages);
  }

  /** A client that opens anew has nothing, and is at nothing. */
  private void isAtNothing() {
    walks.clear();
    tableLeaves.clear();
    indexLeaves.clear();
    recent.clear();
    Arrays.fill(siblings, null);
  }

  /** Pages were asked for, and sent. Null: nothing follows from it. */
  public synchronized @Nullable Round demanded(
      Shape shape, List<PageImage> pages, long creditBytes) {
    boolean wasLost = false;
    for (PageImage page : pages) {
      if (sent.has(page.number(), page.version())) {
        wasLost = true;
        sent.clear(); // And so are others.
      }
    }
    pages.forEach(page -> sent.add(page.number(), shape.version()));
    if (pages.size() > MOST_PAGES || pages.isEmpty()) {
      return null;
    }
    demands++;
    if (demands < restsUntil) {
      return null;
    }
    work.begin(Work.MOST_IN_STEP);
    try {
      return following(shape, pages, creditBytes, wasLost);
    } catch (Work.UsedUp e) {
      rests();
      return null;
    }
  }

  private @Nullable Round following(
      Shape shape, List<PageImage> pages, long creditBytes, boolean wasLost) {
    if (roots.usable() == 0) {
      return learn(shape, pages, round -> true);
    }
    Plan follows = null;
    BtreePage leaf = null;
    row = -1;
    for (PageImage image : pages) {
      BtreePage page = BtreePage.of(image, roots.usable(), shape.pageCount(), work);
      Plan plan = plan(image.number(), page, wasLost);
      follows = plan == null ? follows : plan;
      if (page != null && page.isLeaf()) {
        leaf = page;
      }
    }
    boolean isSeen = follows instanceof Walk || leaf == null;
    if (leaf != null && !leaf.isIndex()) {
      remember(leaf);
    } else if (leaf != null && (follows != null || learning != null)) {
      rememberIndex(leaf);
    }
    if (joins.wasTesting()) {
      lookAgain(); // What is read now may be what was held back.
    }
    boolean mayLead = !isSeen && joins.isAny() && seekings.isWorthOne();
    boolean onlyLearns = !isSeen && follows == null && !mayLead;
    if (leaf != null && !isSeen) {
      follows = unexpected(leaf, follows, mayLead);
    }
    if (leaf != null) {
      recent.add(leaf.number, row);
    }
    if (follows != null && onlyLearns) {
      return learn(shape, pages, follows);
    }
    if (follows == null || sending != null) {
      return null;
    }
    sending = new Round(this, hand(shape, pages), knowing(follows), creditBytes, true);
    return sending;
  }

  /** What follows from a leaf that no walk expected; and what it tells for later. */
  private Plan unexpected(BtreePage leaf, @Nullable Plan usual, boolean mayLead) {
    List<Plan> plans = new ArrayList<>();
    if (mayLead) {
      plans.add(found(round -> sought(round, leaf)));
    }
    if (usual != null) {
      plans.add(usual);
    }
    plans.add(new Explaining(this, joins, recent, leaf));
    if (leaf.isIndex()) {
      plans.add(new Learning(leaf));
    }
    return Found.first(plans);
  }

  private Found found(Found.Search search) {
    return new Found(search, this::keep);
  }

  private @Nullable Round learn(Shape shape, List<PageImage> pages, Plan plan) {
    if (learning != null) {
      return null;
    }
    learning = new Round(this, hand(shape, pages), knowing(plan), 0, false);
    return learning;
  }

  private Hand hand(Shape shape, List<PageImage> pages) {
    Hand hand = new Hand(shape, Math.max(roots.usable(), 1), work);
    pages.forEach(hand::put);
    return hand;
  }

  /** The plan, once it is known which trees there are. */
  private Plan knowing(Plan plan) {
    return round ->
        switch (roots.learn(round.hand())) {
          case DONE -> plan.advance(round);
          case NONE -> true;
          case BLOCKED -> false;
        };
  }

  /** Too much was to be gone through. No sound database comes to that. */
  void rests() {
    restsUntil = demands + REST;
  }

  /** Nobody waits for it any more. */
  void onlyLearns(Round round) {
    if (sending == round && learning == null) {
      learning = round;
      sending = null;
    }
  }

  synchronized void roundIsOver(Round round) {
    if (sending == round) {
      sending = null;
    }
    if (learning == round) {
      learning = null;
    }
  }

  Work work() {
    return work;
  }

  Roots roots() {
    return roots;
  }

  SentPages sent() {
    return sent;
  }

  void wasSent(PageImage image, Hand hand) {
    sent.add(image.number(), hand.shape.version());
    heads.add(hand.tree(image.number()));
  }

  /** What follows from the demand of a page, as far as it is a page of a b-tree. */
  private @Nullable Plan plan(long number, @Nullable BtreePage page, boolean wasLost) {
    Walk walk = walks.expecting(number);
    if (walk != null) {
      walk.goOn(demands - walk.lastUse);
      keep(walk);
      return walk;
    }
    if (page == null) {
      long at = heads.leafOf(number);
      return at == 0 ? null : found(round -> overflow(round, at, number));
    }
    if (!page.isLeaf()) {
      return found(round -> interior(round, number, wasLost));
    }
    return page.isIndex() ? indexLeaf(number) : tableLeaf(page);
  }

  private @Nullable Plan indexLeaf(long number) {
    IndexLeaf other = indexLeaves.nextTo(number);
    if (other == null) {
      return null;
    }
    int direction = other.next == number ? 1 : -1;
    learnings.beginAnew();
    return found(round -> along(round, number, other.page, direction, other.hasSteps()));
  }

  private @Nullable Plan tableLeaf(BtreePage page) {
    for (IndexLeaf index : indexLeaves.newestFirst()) {
      if (index.names(page)) {
        IndexLeaf.Way way = index.step();
        row = index.onlyRow() == Long.MIN_VALUE ? -1 : page.find(index.onlyRow());
        if (way.direction() != 0 || joins.isAny()) {
          return found(round -> rows(round, index.page, way, page.number));
        }
      }
    }
    TableLeaves.Neighbour other = tableLeaves.neighbourOf(page);
    return other == null
        ? null
        : found(round -> along(round, page.number, other.page(), other.direction(), false));
  }

  /** Returns it if it was not known. */
  private @Nullable IndexLeaf rememberIndex(BtreePage page) {
    heads.add(page);
    return indexLeaves.add(page);
  }

  /** A leaf of an index was read from which nothing follows now. */
  private final class Learning implements Plan {
    private final BtreePage page;
    private boolean began;
    private @Nullable IndexLeaf unknown;

    Learning(BtreePage page) {
      this.page = page;
    }

    @Override
    public boolean advance(Round round) {
      if (!began) {
        began = true;
        IndexLeaf added = rememberIndex(page);
        unknown = added != null && learnings.isWorthOne() ? added : null;
      }
      return unknown == null || indexLeaves.findNeighbours(round, unknown);
    }
  }

  private void remember(BtreePage page) {
    heads.add(page);
    tableLeaves.add(page);
  }

  void keep(Walk walk) {
    walks.keep(walk, demands);
  }

  /** A leaf was read that rows lead to which a walk goes over. */
  private Result sought(Round round, BtreePage leaf) {
    Hand hand = round.hand();
    Cursor at = new Cursor();
    Step step = locate(hand, leaf.number, at);
    if (step != Step.DONE) {
      return Result.of(step);
    }
    recent.setRoot(leaf.number, roots.located().root);
    if (!joins.mayLeadTo(roots.located().root)) {
      return Result.of(Step.NONE);
    }
    Walk[] newest = newestWalks();
    for (Walk walk : newest) {
      if (!walk.leads()) {
        continue;
      }
      step = walk.seek(round, leaf.number, at.leaves(hand), demands);
      if (step == Step.BLOCKED) {
        return Result.of(step);
      }
      if (step == Step.DONE) {
        seekings.beginAnew();
        if (leaf.isIndex()) {
          rememberIndex(leaf);
        }
        return Result.of(walk);
      }
    }
    return Result.of(Step.NONE);
  }

  long demands() {
    return demands;
  }

  /** The walks that were of use lately, the newest first. */
  Walk[] newestWalks() {
    return walks.newest(demands);
  }

  Step locate(Hand hand, long number, Cursor cursor) {
    if (number > hand.shape.pageCount()) {
      return Step.NONE;
    }
    if (!hand.look(number)) {
      return Step.BLOCKED;
    }
    BtreePage page = hand.tree(number);
    return page == null || !page.isLeaf() ? Step.NONE : roots.locate(hand, page, cursor);
  }

  /** Where leaves are read that nothing led to, it is seldom asked what did. */
  boolean isWorthExplaining() {
    return explainings.isWorthOne();
  }

  /** It may well be found soon which rows lead to what is read. */
  void lookAgain() {
    explainings.beginAnew();
    seekings.beginAnew();
  }

  /** Two neighbours were read. */
  private Result along(Round round, long number, long other, int direction, boolean withRows) {
    Hand hand = round.hand();
    if (!hand.look(number)) {
      return Result.of(Step.BLOCKED);
    }
    BtreePage page = hand.tree(number);
    Cursor cursor = new Cursor();
    Step step = page == null ? Step.NONE : roots.locate(hand, page, cursor);
    if (step != Step.DONE) {
      return Result.of(step);
    }
    Cursor before = cursor.copy();
    step = before.next(hand, -direction);
    if (step != Step.DONE || before.leaf != other) {
      return Result.of(step == Step.DONE ? Step.NONE : step);
    }
    return Result.of(Walk.along(roots.located(), cursor, direction, withRows, joins));
  }

  /** A leaf was read with rows that entries of an index's leaf name, if it is of that table. */
  private Result rows(Round round, long number, IndexLeaf.Way way, long row) {
    Result at = walkAt(round, number);
    if (at.plan() instanceof Walk walk) {
      if (walk.tree.table == 0) {
        return Result.of(Step.NONE);
      }
      Hand hand = round.hand();
      if (!hand.look(row)) {
        return Result.of(Step.BLOCKED);
      }
      BtreePage page = hand.tree(row);
      long first = page == null ? 0 : page.rowid(0);
      Step step =
          new Cursor().findPage(hand, walk.tree.table, row, false, above -> above.childFor(first));
      if (step != Step.DONE) {
        return Result.of(step);
      }
      if (way.direction() == 0 && !(way.isOneKey() && joins.mayLeadFrom(walk.tree.table))) {
        return Result.of(Step.NONE);
      }
      joins.see(walk.tree.root, Relations.ROWID, walk.tree.table, 3, demands);
      walk.readsRow(way, demands);
    }
    return at;
  }

  /** The walk that is at a leaf, or a new one. */
  private Result walkAt(Round round, long number) {
    Walk known = walks.at(number);
    if (known != null) {
      return Result.of(known);
    }
    Hand hand = round.hand();
    if (!hand.look(number)) {
      return Result.of(Step.BLOCKED);
    }
    BtreePage page = hand.tree(number);
    Cursor cursor = new Cursor();
    Step step = page == null || !page.isLeaf() ? Step.NONE : roots.locate(hand, page, cursor);
    return step == Step.DONE ? Result.of(Walk.at(roots.located(), cursor, joins)) : Result.of(step);
  }

  private Result overflow(Round round, long number, long head) {
    Hand hand = round.hand();
    if (number > hand.shape.pageCount()) {
      return Result.of(Step.NONE);
    }
    if (!hand.look(number)) {
      return Result.of(Step.BLOCKED);
    }
    BtreePage page = hand.tree(number);
    hand.work().spend(page == null ? 0 : page.cells() / Work.CELLS);
    for (int cell = 0; page != null && page.isLeaf() && cell < page.cells(); cell++) {
      if (page.overflow(cell) == head) {
        Result at = walkAt(round, number);
        if (at.plan() instanceof Walk walk) {
          walk.readsOverflow(cell, head, page.overflowPages(cell));
        }
        return at;
      }
    }
    return Result.of(Step.NONE);
  }

  private Result interior(Round round, long number, boolean wasLost) {
    Hand hand = round.hand();
    if (!hand.look(number)) {
      return Result.of(Step.BLOCKED);
    }
    BtreePage page = hand.tree(number);
    Cursor cursor = new Cursor();
    Step step = page == null ? Step.NONE : roots.locate(hand, page, cursor);
    if (step != Step.DONE || cursor.parent() == 0) {
      return Result.of(step == Step.DONE ? Step.NONE : step);
    }
    Siblings found = null;
    for (Siblings each : siblings) {
      if (each != null && each.parent == cursor.parent()) {
        found = each;
      }
    }
    if (found == null) {
      found = new Siblings(cursor.parent());
      siblings[siblingsAt] = found;
      siblingsAt = (siblingsAt + 1) % siblings.length;
    }
    return found.demanded(cursor.indexInParent(), wasLost)
        ? Result.of(found)
        : Result.of(Step.NONE);
  }
}
