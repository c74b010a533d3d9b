package dev.grpsqlite.server.rocksdb;

import java.util.HashMap;
import java.util.Map;

/**
 * The pages of a commit that its base does not have, to see that none is missing. Bits, in blocks:
 * 40 KiB for each GiB that a database of 4 KiB pages grows by. Not thread-safe.
 */
final class PageSet {
  private static final int BLOCK = 4096;

  private final long above;
  private final Map<Long, long[]> blocks = new HashMap<>();

  /** Takes notice of pages above this number only. */
  PageSet(long above) {
    this.above = above;
  }

  /** The last page that a commit of this page size may leave as it is. */
  static long keptOf(VersionRecord base, int pageSize) {
    return base.pageSize() == pageSize ? base.pageCount() : 0;
  }

  void add(long page) {
    if (page > above) {
      int bit = (int) (page % BLOCK);
      blocks.computeIfAbsent(page / BLOCK, block -> new long[BLOCK / 64])[bit / 64] |= 1L << bit;
    }
  }

  boolean has(long page) {
    long[] block = blocks.get(page / BLOCK);
    int bit = (int) (page % BLOCK);
    return block != null && (block[bit / 64] & 1L << bit) != 0;
  }
}
