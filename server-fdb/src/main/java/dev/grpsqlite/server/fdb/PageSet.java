package dev.grpsqlite.server.fdb;

import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * Page numbers, as bits in blocks: 40 KiB for each GiB of a database of 4 KiB pages. Not
 * thread-safe.
 */
final class PageSet {
  private static final int WORDS = 64;
  private static final int BLOCK = WORDS * Long.SIZE;

  private final TreeMap<Long, long[]> blocks = new TreeMap<>();

  void add(long page) {
    int bit = (int) (page % BLOCK);
    blocks.computeIfAbsent(page / BLOCK, block -> new long[WORDS])[bit / Long.SIZE] |= 1L << bit;
  }

  void addAll(long[] pages) {
    for (long page : pages) {
      add(page);
    }
  }

  boolean has(long page) {
    long[] block = blocks.get(page / BLOCK);
    int bit = (int) (page % BLOCK);
    return block != null && (block[bit / Long.SIZE] & 1L << bit) != 0;
  }

  /** How many pages up to one there are. */
  long countTo(long last) {
    long count = 0;
    for (Map.Entry<Long, long[]> entry : blocks.headMap(last / BLOCK, true).entrySet()) {
      long first = entry.getKey() * BLOCK;
      if (first + BLOCK - 1 <= last) {
        for (long word : entry.getValue()) {
          count += Long.bitCount(word);
        }
      } else {
        for (long page = first; page <= last; page++) {
          count += has(page) ? 1 : 0;
        }
      }
    }
    return count;
  }

  /** The pages above one, ascending; no more than so many. */
  long[] above(long page, int most) {
    long[] found = new long[most];
    int count = 0;
    for (Map.Entry<Long, long[]> entry : blocks.tailMap((page + 1) / BLOCK, true).entrySet()) {
      for (int i = 0; i < WORDS; i++) {
        for (long bits = entry.getValue()[i]; bits != 0; bits &= bits - 1) {
          long next =
              entry.getKey() * BLOCK + (long) i * Long.SIZE + Long.numberOfTrailingZeros(bits);
          if (next > page) {
            if (count == most) {
              return found;
            }
            found[count++] = next;
          }
        }
      }
    }
    return Arrays.copyOf(found, count);
  }
}
