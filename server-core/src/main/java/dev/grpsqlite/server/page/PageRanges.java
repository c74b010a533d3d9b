package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import java.util.Arrays;
import java.util.List;

/** The pages that a request asks for, each once, and how far they have been taken. */
final class PageRanges {
  private final long[] first;
  private final long[] last;
  private final long highest;

  private int range;
  private long within;

  private PageRanges(long[] first, long[] last, long highest) {
    this.first = first;
    this.last = last;
    this.highest = highest;
  }

  /** Checks the ranges; fails with INVALID_REQUEST, or LIMIT if they are too many pages. */
  static PageRanges of(List<PageRange> ranges, int maxPages) {
    long[] first = new long[ranges.size()];
    long[] last = new long[ranges.size()];
    long total = 0;
    long highest = 0;
    boolean ascending = true;
    for (int i = 0; i < first.length; i++) {
      PageRange range = ranges.get(i);
      long count = Integer.toUnsignedLong(range.getCount());
      if (count == 0) {
        throw RequestException.invalid("a range of no pages");
      }
      first[i] = Pages.checkedNumber(range.getFirst());
      last[i] = first[i] + count - 1;
      if (last[i] > Pages.MAX_PAGE_NUMBER) {
        throw RequestException.invalid("page number " + last[i] + " is out of range");
      }
      ascending &= first[i] > highest;
      highest = Math.max(highest, last[i]);
      total += count;
    }
    if (total > maxPages) {
      throw new RequestException(
          Reason.LIMIT, total + " pages at once are more than the limit of " + maxPages);
    }
    if (!ascending) {
      checkDisjoint(first, last);
    }
    return new PageRanges(first, last, highest);
  }

  private static void checkDisjoint(long[] first, long[] last) {
    long[] firsts = first.clone();
    long[] lasts = last.clone();
    Arrays.sort(firsts);
    Arrays.sort(lasts);
    for (int i = 1; i < firsts.length; i++) {
      if (firsts[i] <= lasts[i - 1]) {
        throw RequestException.invalid("page " + firsts[i] + " is asked for twice");
      }
    }
  }

  /** The highest page number of all, or 0. */
  long highest() {
    return highest;
  }

  /** The next pages, in the order asked for, at most so many; none at the end. */
  long[] take(int atMost) {
    long[] taken = new long[atMost];
    int count = 0;
    while (count < atMost && range < first.length) {
      taken[count++] = first[range] + within;
      within++;
      if (first[range] + within > last[range]) {
        range++;
        within = 0;
      }
    }
    return Arrays.copyOf(taken, count);
  }
}
