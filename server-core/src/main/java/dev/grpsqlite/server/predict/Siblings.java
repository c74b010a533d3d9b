package dev.grpsqlite.server.predict;

/**
 * Interior pages below one page, of which the session reads one after the other: it will want them
 * all, in whatever order. If it has room for them: one that asks for such a page again is sent no
 * others before it has asked for many that it had not lost.
 */
final class Siblings implements Plan {
  private static final int FIRST_WINDOW = 4;
  private static final int MOST_WINDOW = 1 << 20;

  /** After the first loss, so many demands without another; twice as many after each. */
  private static final int FIRST_PATIENCE = 32;

  private static final int MOST_PATIENCE = 1 << 16;

  final long parent;
  private int demands;
  private int window = FIRST_WINDOW;
  private int patience = FIRST_PATIENCE;
  private int from;
  private int left;

  Siblings(long parent) {
    this.parent = parent;
  }

  /**
   * One more was asked for.
   *
   * @param wasLost the session had it before
   * @return whether others are to be sent
   */
  boolean demanded(int index, boolean wasLost) {
    if (wasLost) {
      demands = -patience;
      patience = Math.min(patience * 2, MOST_PATIENCE);
      window = FIRST_WINDOW;
    }
    demands++;
    if (demands <= 1) {
      return false;
    }
    from = index;
    window = Math.min(window * 2, MOST_WINDOW);
    left = window;
    return true;
  }

  @Override
  public boolean advance(Round round) {
    Hand hand = round.hand();
    hand.makeRoom();
    if (!hand.look(parent)) {
      return false;
    }
    BtreePage above = hand.interior(parent);
    if (above == null) {
      return true;
    }
    int count = above.cells() + 1;
    int missing = 0;
    hand.work().spend(count);
    for (int i = 1; i < count && left > 0 && round.hasCredit(); i++) {
      long page = above.child((from + i) % count);
      if (page == 0 || round.knows(page)) {
        continue;
      }
      if (!hand.look(page)) {
        if (++missing >= Math.min(left, hand.batch())) {
          break;
        }
      } else if (missing == 0) {
        round.send(page);
        left--;
      }
    }
    return missing == 0;
  }
}
