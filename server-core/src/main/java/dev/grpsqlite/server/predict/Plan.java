package dev.grpsqlite.server.predict;

/** What a round does. */
interface Plan {
  /**
   * Goes on as far as the pages at hand allow. What was begun and is not done is begun again the
   * next time, with more pages at hand.
   *
   * @return whether it is over; else pages are wanted
   */
  boolean advance(Round round);
}
