package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.spi.PageImage;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one session will want to read next in one database.
 *
 * <p>It is told of the pages that the session asked for, and only of those: what the session reads
 * from its own cache, nobody sees. So a walk shows itself by the first page that was not sent, and
 * {@link Walk} waits for just that.
 *
 * <p>Thread-safe. One round at a time: a demand that comes while one is under way predicts nothing.
 */
public final class Predictor {
  private static final int WALKS = 8;
  private static final int RECENT = 8;

  /** Demands of more pages are no application's steps. */
  public static final int MOST_PAGES = 4;

  private final Roots roots = new Roots();
  private final SentPages sent = new SentPages();
  private final @Nullable Walk[] walks = new @Nullable Walk[WALKS];
  private final @Nullable Siblings[] siblings = new @Nullable Siblings[WALKS];
  private int siblingsAt;

  /** How many there were. */
  private long demands;

  /** Leaves that were asked for. */
  private final long[] leaf = new long[RECENT];

  private final boolean[] leafOfIndex = new boolean[RECENT];
  private final long[] firstRow = new long[RECENT];
  private final long[] lastRow = new long[RECENT];
  private int leaves;

  private final OverflowHeads heads = new OverflowHeads();

  private @Nullable Round current;

  /** The database was opened, with its page 1. Null: nothing can be predicted now. */
  public synchronized @Nullable Round opened(Shape shape, PageImage first, long creditBytes) {
    if (current != null) {
      return null;
    }
    Hand hand = new Hand(shape, shape.pageSize());
    hand.put(first);
    // A client that opens anew has nothing.
    sent.clear();
    sent.add(1, shape.version());
    Opening opening = new Opening();
    current = new Round(this, hand, round -> learnt(round) && opening.advance(round), creditBytes);
    return current;
  }

  /** Pages were asked for, and sent. Null: nothing can be predicted now. */
  public synchronized @Nullable Round demanded(
      Shape shape, List<PageImage> pages, long creditBytes) {
    if (current != null) {
      return null;
    }
    for (PageImage page : pages) {
      if (sent.has(page.number(), page.version())) {
        sent.clear(); // The client has lost it, and so others.
      }
    }
    pages.forEach(page -> sent.add(page.number(), shape.version()));
    if (pages.size() > MOST_PAGES || pages.isEmpty()) {
      return null;
    }
    demands++;
    Hand hand = new Hand(shape, shape.pageSize());
    pages.forEach(hand::put);
    current = new Round(this, hand, new Demand(List.copyOf(pages)), creditBytes);
    return current;
  }

  synchronized void roundIsOver(Round round) {
    if (current == round) {
      current = null;
    }
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

  private static boolean isOlder(@Nullable Walk walk, @Nullable Walk other) {
    return other != null && (walk == null || walk.lastUse < other.lastUse);
  }

  private boolean learnt(Round round) {
    return roots.learn(round.hand()) == Step.DONE;
  }

  /** Finds out what the demanded pages are, and goes on with what follows from that. */
  private final class Demand implements Plan {
    private final List<PageImage> pages;
    private int at;
    private @Nullable Plan follows;

    Demand(List<PageImage> pages) {
      this.pages = pages;
    }

    @Override
    public boolean advance(Round round) {
      Hand hand = round.hand();
      Step learnt = roots.learn(hand);
      if (learnt != Step.DONE) {
        return learnt == Step.NONE;
      }
      for (; at < pages.size(); at++) {
        if (note(round, pages.get(at)) == Step.BLOCKED) {
          return false;
        }
      }
      return follows == null || follows.advance(round);
    }

    private Step note(Round round, PageImage image) {
      Hand hand = round.hand();
      if (!hand.look(image.number())) {
        return Step.BLOCKED;
      }
      BtreePage page = hand.tree(image.number());
      Walk expecting = null;
      for (Walk walk : walks) {
        if (walk != null && walk.expects(image.number())) {
          expecting = walk;
        }
      }
      Step step = Step.DONE;
      if (expecting != null) {
        expecting.goOn(demands - expecting.lastUse);
        follow(expecting);
      } else if (page == null) {
        step = overflow(hand, image.number());
      } else if (!page.isLeaf()) {
        step = interior(hand, page);
      } else {
        step = page.isIndex() ? indexLeaf(hand, page) : tableLeaf(hand, page);
      }
      if (step != Step.BLOCKED && page != null && page.isLeaf()) {
        remember(page);
      }
      return step;
    }

    private void follow(Walk walk) {
      walk.lastUse = demands;
      int oldest = 0;
      for (int i = 0; i < walks.length; i++) {
        if (walks[i] == walk) {
          follows = walk;
          return;
        }
        if (isOlder(walks[i], walks[oldest])) {
          oldest = i;
        }
      }
      walks[oldest] = walk;
      follows = walk;
    }

    private Step tableLeaf(Hand hand, BtreePage page) {
      Step row = rowOfIndex(hand, page);
      if (row != Step.NONE || page.cells() == 0) {
        return row;
      }
      long first = page.rowid(0);
      long last = page.rowid(page.cells() - 1);
      for (int i = 0; i < RECENT; i++) {
        int direction = 0;
        if (leaf[i] != 0 && !leafOfIndex[i]) {
          direction = near(firstRow[i], lastRow[i], first, last);
        }
        if (direction != 0) {
          Step step = neighbour(hand, page, leaf[i], direction, false);
          if (step != Step.NONE) {
            return step;
          }
        }
      }
      return Step.NONE;
    }

    private Step indexLeaf(Hand hand, BtreePage page) {
      Cursor cursor = new Cursor();
      Step step = roots.locate(hand, page, cursor);
      for (int direction = 1; step == Step.DONE && direction >= -1; direction -= 2) {
        Cursor before = cursor.copy();
        Step found = before.next(hand, -direction);
        if (found == Step.BLOCKED) {
          return found;
        }
        if (found == Step.DONE && roots.located().lastLeaf == before.leaf) {
          follow(Walk.along(roots.located(), cursor, direction, readRowsAt(before.leaf)));
          begin();
          step = Step.NONE;
        }
      }
      if (cursor.leaf == page.number) {
        roots.located().lastLeaf = page.number;
      }
      return step == Step.BLOCKED ? step : Step.NONE;
    }

    private void begin() {
      if (follows instanceof Walk walk) {
        walk.begin();
      }
    }

    private boolean readRowsAt(long page) {
      for (Walk walk : walks) {
        if (walk != null && walk.leaf() == page && walk.hasRows()) {
          return true;
        }
      }
      return false;
    }

    private Step neighbour(Hand hand, BtreePage page, long other, int direction, boolean withRows) {
      Cursor cursor = new Cursor();
      Step step = roots.locate(hand, page, cursor);
      if (step != Step.DONE) {
        return step;
      }
      Cursor before = cursor.copy();
      step = before.next(hand, -direction);
      if (step != Step.DONE || before.leaf != other) {
        return step == Step.BLOCKED ? step : Step.NONE;
      }
      follow(Walk.along(roots.located(), cursor, direction, withRows));
      begin();
      return Step.DONE;
    }

    /** Whether the leaf has a row that an entry of a recent leaf of an index names. */
    private Step rowOfIndex(Hand hand, BtreePage page) {
      int looked = 0;
      for (int back = 1; back <= RECENT && looked < 2; back++) {
        int i = Math.floorMod(leaves - back, RECENT);
        if (leaf[i] == 0 || !leafOfIndex[i]) {
          continue;
        }
        looked++;
        if (!hand.look(leaf[i])) {
          return Step.BLOCKED;
        }
        BtreePage index = hand.tree(leaf[i]);
        if (index == null || !index.isIndex() || !index.isLeaf()) {
          continue;
        }
        int first = -1;
        int last = -1;
        for (int cell = 0; cell < index.cells(); cell++) {
          CellRecord entry = CellRecord.of(index, cell);
          if (entry != null && page.find(entry.rowid()) >= 0) {
            first = first < 0 ? cell : first;
            last = cell;
          }
        }
        if (first >= 0) {
          return stepTo(hand, index, first, last, true, 0, 0);
        }
      }
      return Step.NONE;
    }

    private Step stepTo(
        Hand hand, BtreePage at, int first, int last, boolean rows, long head, long pages) {
      Walk walk = null;
      for (Walk each : walks) {
        if (each != null && each.leaf() == at.number && each.tree.isIndex == at.isIndex()) {
          walk = each;
        }
      }
      if (walk == null) {
        Cursor cursor = new Cursor();
        Step step = roots.locate(hand, at, cursor);
        if (step != Step.DONE) {
          return step;
        }
        walk = Walk.at(roots.located(), cursor);
      }
      if (rows && walk.tree.table == 0) {
        return Step.NONE;
      }
      walk.step(first, last);
      if (rows) {
        walk.readsRows();
      } else {
        walk.readsOverflow(head, pages);
      }
      follow(walk);
      return Step.DONE;
    }

    private Step interior(Hand hand, BtreePage page) {
      Cursor cursor = new Cursor();
      Step step = roots.locate(hand, page, cursor);
      if (step != Step.DONE || cursor.parent() == 0) {
        return step;
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
      if (found.demanded(cursor.indexInParent())) {
        follows = found;
      }
      return Step.DONE;
    }

    private Step overflow(Hand hand, long page) {
      long at = heads.leafOf(page);
      if (at == 0 || at > hand.shape.pageCount()) {
        return Step.NONE;
      }
      if (!hand.look(at)) {
        return Step.BLOCKED;
      }
      BtreePage tree = hand.tree(at);
      if (tree == null || !tree.isLeaf()) {
        return Step.NONE;
      }
      for (int cell = 0; cell < tree.cells(); cell++) {
        if (tree.overflow(cell) == page) {
          return stepTo(hand, tree, cell, cell, false, page, tree.overflowPages(cell));
        }
      }
      return Step.NONE;
    }

    private void remember(BtreePage page) {
      int i = leaves++ & (RECENT - 1);
      leaf[i] = page.number;
      leafOfIndex[i] = page.isIndex();
      boolean rows = !page.isIndex() && page.cells() > 0;
      firstRow[i] = rows ? page.rowid(0) : 0;
      lastRow[i] = rows ? page.rowid(page.cells() - 1) : 0;
      heads.add(page);
    }
  }

  /** Whether a leaf with rows from first to last may be the neighbour of another. 1: after it. */
  private static int near(long otherFirst, long otherLast, long first, long last) {
    long spans = (otherLast - otherFirst) + (last - first) + 2;
    if (spans < 0) {
      return 0;
    }
    if (first > otherLast && first - otherLast <= spans) {
      return 1;
    }
    return last < otherFirst && otherFirst - last <= spans ? -1 : 0;
  }
}
