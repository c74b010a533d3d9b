package dev.grpsqlite.server.wire;

import dev.grpsqlite.server.spi.PageImage;
import java.lang.ref.WeakReference;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;

/**
 * Arrays that large requests are read into, one after the other: a new one would be filled with
 * zeros first, and be garbage as soon as it is read. Few are kept, and no longer than until the
 * next collection of garbage: where requests come one after the other it seldom comes, and what is
 * left of the last ones goes with it. Thread-safe.
 */
public final class RequestArrays {
  /** Greater than a page, so that no page's own array is taken for a request's. */
  static final int LEAST_BYTES = 2 * Pages.MAX_PAGE_SIZE;

  /** The largest requests that clients make, and what is around their pages. */
  static final int MOST_BYTES = 5 << 20;

  /** As many requests as one client has under way, and one. */
  static final int MOST_ARRAYS = 4;

  private final BlockingQueue<WeakReference<byte[]>> free = new ArrayBlockingQueue<>(MOST_ARRAYS);

  /** An array of at least so many bytes, whatever they are. */
  byte[] take(int length) {
    WeakReference<byte[]> kept = length >= LEAST_BYTES ? free.poll() : null;
    byte[] array = kept == null ? null : kept.get();
    return array != null && array.length >= length ? array : new byte[length];
  }

  /**
   * Gives back what the pages of a request are in. Nobody may look at any part of the request from
   * then on.
   */
  public void giveBack(List<PageImage> pages) {
    for (PageImage page : pages) {
      if (page.data().hasRemaining()) { // a page of zeros is in no request
        byte[] array = page.data().hasArray() ? page.data().array() : new byte[0];
        if (array.length >= LEAST_BYTES && array.length <= MOST_BYTES) {
          boolean unused = free.offer(new WeakReference<>(array));
        }
        return;
      }
    }
  }
}
