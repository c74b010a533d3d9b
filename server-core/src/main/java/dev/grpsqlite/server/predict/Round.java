package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.spi.PageImage;
import java.util.ArrayList;
import java.util.List;

/**
 * What follows from one demand. Its user reads the pages that are {@linkplain #wanted wanted},
 * gives them to {@link #take}, sends what that returns, and so on until nothing is wanted; and
 * closes it, which it may do at any time. For one thread at a time.
 */
public final class Round implements AutoCloseable {
  /** Looks for each page that may be sent, and some to find out. */
  private static final int LOOKS_PER_PAGE = 4;

  private static final int LOOKS = 512;

  private final Predictor predictor;
  private final Hand hand;
  private final Plan plan;
  private boolean maySend;
  private final List<PageImage> sending = new ArrayList<>();
  private long credit;
  private long looksLeft;
  private int worked;
  private int mayWork = Work.FOR_A_ROUND;
  private boolean over;

  Round(Predictor predictor, Hand hand, Plan plan, long credit, boolean maySend) {
    this.predictor = predictor;
    this.hand = hand;
    this.plan = plan;
    this.credit = credit;
    this.maySend = maySend;
    this.looksLeft = LOOKS + LOOKS_PER_PAGE * (credit / hand.shape.pageSize());
  }

  /**
   * Goes on with the pages that were wanted; at first, with none.
   *
   * @return pages to send, in this order
   */
  public List<PageImage> take(List<PageImage> pages) {
    synchronized (predictor) {
      return goOn(pages);
    }
  }

  private List<PageImage> goOn(List<PageImage> pages) {
    for (PageImage page : pages) {
      hand.put(page);
    }
    looksLeft -= pages.size();
    mayWork = (int) Math.min(mayWork + (long) Work.FOR_A_PAGE * pages.size(), Work.MOST_IN_ROUND);
    boolean missing = hand.wanted().length > 0;
    if (over || missing || looksLeft < 0) {
      over = true;
      hand.wantNothing();
      return List.of();
    }
    if (advance() || hand.wanted().length == 0) {
      over = true;
      hand.wantNothing();
    }
    List<PageImage> result = List.copyOf(sending);
    sending.clear();
    return result;
  }

  /** Returns whether it is over. */
  private boolean advance() {
    Work work = hand.work();
    work.begin(Math.min(mayWork - worked, Work.MOST_IN_STEP));
    try {
      return plan.advance(this);
    } catch (Work.UsedUp e) {
      predictor.rests();
      return true; // What was sent before is as good as ever.
    } finally {
      worked += work.spent();
    }
  }

  /** How much was gone through in all its steps. */
  int worked() {
    return worked;
  }

  /** How much of that there may be, with the pages that were read. */
  int mayWork() {
    return mayWork;
  }

  /**
   * Whether pages may come of it. Else it only finds out what will be of use later, so that nobody
   * need wait for it.
   */
  public boolean maySend() {
    synchronized (predictor) {
      return maySend;
    }
  }

  /** Nothing will be sent; from here on the round finds out what will be of use later. */
  void onlyLearns() {
    maySend = false;
    predictor.onlyLearns(this);
  }

  /** The pages to read next, which all exist; none: it is over. */
  public long[] wanted() {
    return hand.wanted();
  }

  /** Lets the next round begin. */
  @Override
  public void close() {
    over = true;
    hand.wantNothing();
    predictor.roundIsOver(this);
  }

  Hand hand() {
    return hand;
  }

  Roots roots() {
    return predictor.roots();
  }

  boolean hasCredit() {
    return hasCreditFor(1);
  }

  boolean hasCreditFor(long pages) {
    return credit >= pages * hand.shape.pageSize();
  }

  /** Whether the session has a page; BLOCKED: its content has to be seen to know. */
  Step has(long page) {
    SentPages sent = predictor.sent();
    if (sent.hasAt(page, hand.shape.version())) {
      return Step.DONE;
    }
    if (!sent.knows(page)) {
      return Step.NONE;
    }
    if (!hand.look(page)) {
      return Step.BLOCKED;
    }
    return sent.has(page, hand.image(page).version()) ? Step.DONE : Step.NONE;
  }

  /** Whether the session had a page, be it at another version. */
  boolean knows(long page) {
    return predictor.sent().knows(page);
  }

  /** Sends a page that is at hand. */
  void send(long page) {
    PageImage image = hand.image(page);
    credit -= hand.shape.pageSize();
    sending.add(image);
    predictor.wasSent(image, hand);
  }
}
