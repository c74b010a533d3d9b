package dev.grpsqlite.server.predict;

/** Whether to try what costs something and often is in vain: seldom, when it has been for long. */
final class Trials {
  private final int patience;
  private final int seldom;
  private int inVain;

  /**
   * @param patience so many are tried, one after the other
   * @param seldom then one of so many
   */
  Trials(int patience, int seldom) {
    this.patience = patience;
    this.seldom = seldom;
  }

  /** Asked before each. */
  boolean isWorthOne() {
    inVain++;
    return inVain <= patience || inVain % seldom == 0;
  }

  /** One was not in vain, or the next may not be. */
  void beginAnew() {
    inVain = 0;
  }
}
