package dev.grpsqlite.server.predict;

/**
 * How much is gone through in pages, which may hold anything: a page can name one cell tens of
 * thousands of times, a cell can have as many columns, and a tree can have one page as all of its
 * leaves. All loops over what pages hold spend of it, and where nothing is left, the round is over.
 *
 * <p>A unit takes some 10 ns: a cell, a column, a step of a search, a byte of text. Only for
 * threads that have the predictor's monitor.
 */
final class Work {
  /**
   * Of one step, and of what a demand needs before there is a round: some 30 ms, for which an event
   * loop is held. What needs most in sound databases is to find out which rows of eight leaves of
   * 64 KiB led to another: 0.9 million. With pages of 4 KiB it is a sixth of that.
   */
  static final int MOST_IN_STEP = 1 << 22;

  /** Of a round. */
  static final int FOR_A_ROUND = 2 * MOST_IN_STEP;

  /**
   * More of a round, for each page that is read for it: where the rows of an index's entries are
   * sent, 4 KiB each, it takes 3000, for they are gone through once more when they are here.
   */
  static final int FOR_A_PAGE = 1 << 14;

  /** Of a round, however many pages that takes: 16 MiB of such rows take 14 million. */
  static final int MOST_IN_ROUND = 1 << 26;

  /** So many cells that are only asked for their overflow pages take a unit. */
  static final int CELLS = 4;

  /** To find a page that is here. */
  static final int LOOK = 4;

  private int allowed;
  private int left;

  /** Nothing more is to be gone through. It says no more, for it is no error. */
  static final class UsedUp extends RuntimeException {
    private static final long serialVersionUID = 1;

    private UsedUp() {
      super("too much to go through", null, false, false);
    }
  }

  /** One step begins. */
  void begin(int most) {
    allowed = most;
    left = most;
  }

  /** To be called before it is done, or after a little of it. */
  void spend(int units) {
    left -= units;
    if (left < 0) {
      throw new UsedUp();
    }
  }

  /** Since the step began. */
  int spent() {
    return allowed - left;
  }
}
