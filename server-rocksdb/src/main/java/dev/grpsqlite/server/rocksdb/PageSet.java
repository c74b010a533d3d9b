package dev.grpsqlite.server.rocksdb;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Page numbers, as bits in blocks: 40 KiB for each GiB of a database of 4 KiB pages. Not
 * thread-safe.
 */
final class PageSet {
  private static final int BLOCK = 4096;

  private final TreeMap<Long, long[]> blocks = new TreeMap<>();

  /** The last page that a commit of this page size may leave as it is. */
  static long keptOf(VersionRecord base, int pageSize) {
    return base.pageSize() == pageSize ? base.pageCount() : 0;
  }

  void add(long page) {
    int bit = (int) (page % BLOCK);
    blocks.computeIfAbsent(page / BLOCK, block -> new long[BLOCK / 64])[bit / 64] |= 1L << bit;
  }

  boolean has(long page) {
    long[] block = blocks.get(page / BLOCK);
    int bit = (int) (page % BLOCK);
    return block != null && (block[bit / 64] & 1L << bit) != 0;
  }

  /** How many pages up to one are in it. */
  long countTo(long last) {
    long count = 0;
    for (Map.Entry<Long, long[]> entry : blocks.headMap(last / BLOCK, true).entrySet()) {
      long first = entry.getKey() * BLOCK;
      for (int i = 0; i < BLOCK / 64 && first + 64L * i <= last; i++) {
        long beyond = last - (first + 64L * i); // the last bit that counts
        long mask = beyond >= 63 ? -1L : (1L << (beyond + 1)) - 1;
        count += Long.bitCount(entry.getValue()[i] & mask);
      }
    }
    return count;
  }

  /** The pages above one, ascending; no more than so many. */
  long[] above(long page, int most) {
    long[] found = new long[most];
    int count = 0;
    long from = page + 1;
    for (Map.Entry<Long, long[]> entry : blocks.tailMap(from / BLOCK, true).entrySet()) {
      long first = entry.getKey() * BLOCK;
      for (int i = (int) Math.max(0, from - first) / 64; i < BLOCK / 64; i++) {
        for (long bits = entry.getValue()[i]; bits != 0; bits &= bits - 1) {
          long next = first + 64L * i + Long.numberOfTrailingZeros(bits);
          if (next < from) {
            continue;
          }
          if (count == most) {
            return found;
          }
          found[count++] = next;
        }
      }
    }
    return Arrays.copyOf(found, count);
  }
}
