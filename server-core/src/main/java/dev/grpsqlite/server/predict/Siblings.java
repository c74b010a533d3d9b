package dev.grpsqlite.server.predict;

/**
 * Interior pages below one page, of which the session reads one after the other: it will want them
 * all, in whatever order.
 */
final class Siblings implements Plan {
  private static final int FIRST_WINDOW = 4;
  private static final int MOST_WINDOW = 1 << 20;

  final long parent;
  private int demands;
  private int window = FIRST_WINDOW / 2;
  private int from;
  private int left;

  Siblings(long parent) {
    this.parent = parent;
  }

  /**
   * One more was asked for.
   *
   * @return whether others are to be sent
   */
  boolean demanded(int index) {
    demands++;
    from = index;
    window = Math.min(window * 2, MOST_WINDOW);
    left = window;
    return demands > 1;
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
