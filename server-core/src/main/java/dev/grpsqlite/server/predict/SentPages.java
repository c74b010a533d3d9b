package dev.grpsqlite.server.predict;

/**
 * Pages that a session has, with the version at which it got them, as far as they are remembered.
 * One that was forgotten may be sent again, which costs no more than its bytes.
 */
final class SentPages {
  /** 32 KiB, once so many were sent. */
  private static final int MOST = 4096;

  private static final int LEAST = 64;

  private static final int PROBES = 8;

  /** The page's number, and the low half of the version. Versions are compared modulo 2^32. */
  private long[] table = new long[LEAST];

  private int count;
  private int replaced;

  void add(long page, long version) {
    int free = -1;
    int first = slot(page);
    for (int i = 0; i < PROBES; i++) {
      int at = (first + i) & (table.length - 1);
      if (table[at] >>> 32 == page) {
        table[at] = entry(page, version);
        return;
      }
      if (table[at] == 0 && free < 0) {
        free = at;
      }
    }
    if (table.length < MOST && (free < 0 || count >= table.length / 2)) {
      grow();
      add(page, version);
    } else if (free >= 0) {
      count++;
      table[free] = entry(page, version);
    } else {
      replaced++;
      table[(first + (replaced & (PROBES - 1))) & (table.length - 1)] = entry(page, version);
    }
  }

  /** Whether the session has the page as it was written by {@code writtenBy}. */
  boolean has(long page, long writtenBy) {
    long entry = find(page);
    return entry != 0 && (int) entry - (int) writtenBy >= 0;
  }

  /** Whether the session has the page as it is at {@code version}, for sure. */
  boolean hasAt(long page, long version) {
    long entry = find(page);
    return entry != 0 && (int) entry == (int) version;
  }

  /** Whether the session had the page at some version. */
  boolean knows(long page) {
    return find(page) != 0;
  }

  void clear() {
    clear(0);
  }

  /**
   * @param soon how many will be added at once, as far as is known
   */
  void clear(long soon) {
    int size = LEAST;
    while (size < MOST && size < 2 * soon) {
      size *= 2;
    }
    table = new long[size];
    count = 0;
  }

  void become(SentPages other) {
    table = other.table.clone();
    count = other.count;
  }

  private long find(long page) {
    int first = slot(page);
    for (int i = 0; i < PROBES; i++) {
      long entry = table[(first + i) & (table.length - 1)];
      if (entry >>> 32 == page) {
        return entry;
      }
    }
    return 0;
  }

  private void grow() {
    long[] before = table;
    table = new long[before.length * 4];
    count = 0;
    for (long entry : before) {
      if (entry != 0) {
        add(entry >>> 32, entry);
      }
    }
  }

  private int slot(long page) {
    int hash = (int) page * 0x9E3779B1;
    return (hash ^ (hash >>> 15)) & (table.length - 1);
  }

  private static long entry(long page, long version) {
    return (page << 32) | (version & 0xffff_ffffL);
  }
}
