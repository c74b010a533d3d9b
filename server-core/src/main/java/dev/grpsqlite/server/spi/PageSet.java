package dev.grpsqlite.server.spi;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Page numbers, for stores that have to remember which pages were staged. Which they are is up to
 * clients, so it is small for all: in blocks of 65,536, each a sorted list while that is no larger
 * than its bits. So a page takes 64 bytes of heap at worst, alone in its block; 6 if there is one
 * in each 4096; and an eighth of one among its neighbours: 32 KiB for each GiB of a database of 4
 * KiB pages. Not thread-safe.
 */
public final class PageSet {
  /** More than a page takes that is alone in its block, the lists being longer than needed. */
  private static final long MOST_BYTES_OF_A_BLOCK = 64;

  /** More than another one of the same block takes. */
  private static final long MOST_BYTES_OF_A_PAGE = 4;

  private static final int BLOCK_BITS = 16;
  private static final int BLOCK = 1 << BLOCK_BITS;

  /** With more, a list is larger than the bits. */
  private static final int MOST_LISTED = BLOCK / Character.SIZE;

  private static final int OBJECT_BYTES = 48; // this one, and its empty arrays' share

  private int[] numbers = {}; // of the blocks, ascending
  private Block[] blocks = {};
  private int count;
  private int latest; // where the page was added that was added last
  private long bytes = OBJECT_BYTES;

  public void add(long page) {
    int number = (int) (page >>> BLOCK_BITS);
    int at = find(number);
    if (at < 0) {
      at = -at - 1;
      insert(at, number);
    }
    latest = at;
    bytes += blocks[at].add((int) page & (BLOCK - 1));
  }

  public void addAll(long[] pages) {
    for (long page : pages) {
      add(page);
    }
  }

  public boolean has(long page) {
    int at = find((int) (page >>> BLOCK_BITS));
    return at >= 0 && blocks[at].has((int) page & (BLOCK - 1));
  }

  /** How many pages up to one are in it. */
  public long countTo(long last) {
    int number = (int) (last >>> BLOCK_BITS);
    long found = 0;
    for (int at = 0; at < count && numbers[at] <= number; at++) {
      Block block = blocks[at];
      found += numbers[at] < number ? block.size : block.countBelow(((int) last & (BLOCK - 1)) + 1);
    }
    return found;
  }

  /** The pages above one, ascending; no more than so many. */
  public long[] above(long page, int most) {
    long[] found = new long[most];
    int length = 0;
    long from = page + 1;
    int start = find((int) (from >>> BLOCK_BITS));
    for (int at = start < 0 ? -start - 1 : start; at < count; at++) {
      long first = (long) numbers[at] << BLOCK_BITS;
      int next = blocks[at].next((int) Math.max(0, from - first));
      while (next < BLOCK) {
        if (length == most) {
          return found;
        }
        found[length++] = first + next;
        next = blocks[at].next(next + 1);
      }
    }
    return Arrays.copyOf(found, length);
  }

  /** What it takes of the heap, about. */
  public long bytes() {
    return bytes;
  }

  /** What some pages more may take of the heap at most, about. */
  public static long mostBytes(long[] pages) {
    long most = pages.length * MOST_BYTES_OF_A_PAGE;
    long before = -1;
    for (long page : pages) {
      long number = page >>> BLOCK_BITS;
      most += number == before ? 0 : MOST_BYTES_OF_A_BLOCK;
      before = number;
    }
    return most;
  }

  /** Where a block is, or -1 less where it would be. */
  private int find(int number) {
    if (latest < count && numbers[latest] == number) {
      return latest;
    }
    if (number >= 0 && number < count && numbers[number] == number) {
      return number; // none is missing before it
    }
    if (count == 0 || numbers[count - 1] < number) {
      return -count - 1;
    }
    return Arrays.binarySearch(numbers, 0, count, number);
  }

  private void insert(int at, int number) {
    if (count == numbers.length) {
      bytes -= arrayBytes(count, Integer.BYTES) + arrayBytes(count, Integer.BYTES);
      int length = more(count);
      numbers = Arrays.copyOf(numbers, length);
      blocks = Arrays.copyOf(blocks, length);
      bytes += arrayBytes(length, Integer.BYTES) + arrayBytes(length, Integer.BYTES);
    }
    System.arraycopy(numbers, at, numbers, at + 1, count - at);
    System.arraycopy(blocks, at, blocks, at + 1, count - at);
    numbers[at] = number;
    blocks[at] = new Block();
    bytes += Block.NEW_BYTES;
    count++;
  }

  private static int more(int length) {
    return length + Math.max(4, length / 4);
  }

  private static long arrayBytes(int length, int each) {
    return length == 0 ? 0 : 16 + ((long) length * each + 7) / 8 * 8;
  }

  /** The pages of a block, counted from its first. */
  private static final class Block {
    static final long NEW_BYTES = 24 + arrayBytes(more(0), Character.BYTES);

    char[] list = new char[more(0)]; // ascending; of no meaning if there are bits
    int size;
    long @Nullable [] bits;

    /** Says how much larger it is now. */
    long add(int page) {
      long[] now = bits;
      if (now == null) {
        int at = size > 0 && list[size - 1] >= page ? where(page) : -size - 1;
        if (at >= 0) {
          return 0;
        }
        if (size < MOST_LISTED) {
          return insert(-at - 1, page);
        }
        now = new long[BLOCK / Long.SIZE];
        for (int i = 0; i < size; i++) {
          now[list[i] / Long.SIZE] |= 1L << list[i];
        }
        long before = arrayBytes(list.length, Character.BYTES);
        list = new char[0];
        bits = now;
        set(now, page);
        return 16 + arrayBytes(now.length, Long.BYTES) - before;
      }
      set(now, page);
      return 0;
    }

    private void set(long[] now, int page) {
      long before = now[page / Long.SIZE];
      long after = before | 1L << page;
      now[page / Long.SIZE] = after;
      size += before == after ? 0 : 1;
    }

    private long insert(int at, int page) {
      long grown = 0;
      if (size == list.length) {
        int length = Math.min(MOST_LISTED, more(size));
        grown = arrayBytes(length, Character.BYTES) - arrayBytes(size, Character.BYTES);
        list = Arrays.copyOf(list, length);
      }
      System.arraycopy(list, at, list, at + 1, size - at);
      list[at] = (char) page;
      size++;
      return grown;
    }

    boolean has(int page) {
      long[] now = bits;
      return now == null ? where(page) >= 0 : (now[page / Long.SIZE] & 1L << page) != 0;
    }

    private int where(int page) {
      return Arrays.binarySearch(list, 0, size, (char) page);
    }

    int countBelow(int end) {
      long[] now = bits;
      if (end == BLOCK) {
        return size;
      }
      if (now == null) {
        int at = where(end);
        return at < 0 ? -at - 1 : at;
      }
      int found = 0;
      for (int i = 0; i < end / Long.SIZE; i++) {
        found += Long.bitCount(now[i]);
      }
      return found + Long.bitCount(now[end / Long.SIZE] & (1L << end) - 1);
    }

    /** The first one from there on, or the block's end. */
    int next(int from) {
      long[] now = bits;
      if (from >= BLOCK) {
        return BLOCK;
      }
      if (now == null) {
        int at = where(from);
        at = at < 0 ? -at - 1 : at;
        return at < size ? list[at] : BLOCK;
      }
      int i = from / Long.SIZE;
      long word = now[i] & -1L << from;
      while (word == 0) {
        if (++i == now.length) {
          return BLOCK;
        }
        word = now[i];
      }
      return i * Long.SIZE + Long.numberOfTrailingZeros(word);
    }
  }
}
