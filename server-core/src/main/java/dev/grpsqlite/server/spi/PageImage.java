package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * One page. Whoever made it gives it away: neither side changes the bytes after it was handed over,
 * and a reader leaves the buffer's position and limit as they are ({@code duplicate()} it). What is
 * to be staged may be a part of something much larger: a store that keeps it in memory {@link #copy
 * copies} it.
 *
 * @param number from 1
 * @param version the version that last wrote the page; 0 where a page is on its way into a commit
 * @param checksum XXH3-64 (seed 0) of the data, verified on its way in by the caller of the store;
 *     0 for a page of zeros
 * @param data exactly one page, or nothing for a page of zeros
 */
public record PageImage(long number, long version, long checksum, ByteBuffer data) {
  /**
   * The same, in bytes of its own; in an array that can be got at, for it is then sent without
   * another copy.
   */
  public PageImage copy() {
    ByteBuffer bytes = ByteBuffer.allocate(data.remaining());
    bytes.put(data.duplicate()).flip();
    return new PageImage(number, version, checksum, bytes);
  }

  /** Bytes of data of all of these. */
  public static long bytes(List<PageImage> pages) {
    long bytes = 0;
    for (PageImage page : pages) {
      bytes += page.data.remaining();
    }
    return bytes;
  }
}
