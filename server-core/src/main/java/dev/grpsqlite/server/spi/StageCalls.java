package dev.grpsqlite.server.spi;

import dev.grpsqlite.server.spi.StoreException.Code;

/**
 * The numbers of the calls that stage pages: {@link PageStore#stage}. They count from 1 in each
 * stage, so that a call that is late, since it was sent again and went another way, is known.
 */
public final class StageCalls {
  /** The number of a call that is applied whenever it comes. */
  public static final long UNCOUNTED = 0;

  /** In place of the number of the call before, where that was forgotten: any one is the next. */
  public static final long UNKNOWN = -1;

  private StageCalls() {}

  /**
   * Whether a call is to be applied now; if not, it was before.
   *
   * @param before the number of the last call that was applied; 0 if there was none
   * @param call the number of this one; not {@link #UNCOUNTED}
   * @throws StoreException NO_SUCH_STAGE: one between them is missing
   */
  public static boolean isNext(long before, long call) {
    if (before != UNKNOWN && call > before + 1) {
      throw new StoreException(
          Code.NO_SUCH_STAGE,
          "what was staged before call %d is not here; run the transaction again".formatted(call));
    }
    return before == UNKNOWN || call == before + 1;
  }
}
