package dev.grpsqlite.server.versioned;

import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The pages of one version: an immutable radix tree by page number. A changed tree copies the nodes
 * on the way to what changed and shares the others, so that it costs memory and time in proportion
 * to the pages changed, and {@link #visitNewer} finds these again without looking at the rest.
 *
 * <p>Page numbers are consecutive from 1. A node is an array of {@value #WIDTH}: of pages at the
 * lowest level, of nodes above. It is never written to once its tree was returned; the final fields
 * make it visible to every thread that sees the tree. 4294967294 pages are 7 levels; 1 GiB in pages
 * of 4 KiB is 4, and a commit of one page to it costs 4 nodes, some 600 bytes.
 */
final class PageTree {
  private static final int BITS = 5;
  static final int WIDTH = 1 << BITS;
  private static final int MASK = WIDTH - 1;

  static final PageTree EMPTY = new PageTree(1, new Object[WIDTH]);

  /** Levels, from 1. */
  private final int height;

  private final Object[] root;

  private PageTree(int height, Object[] root) {
    this.height = height;
    this.root = root;
  }

  /** The page, or null if the number is above the last one's. */
  @Nullable Page get(long number) {
    long index = number - 1;
    if (index < 0 || index >= capacity(height)) {
      return null;
    }
    @Nullable Object[] node = root;
    for (int level = height - 1; level > 0; level--) {
      Object child = node[slot(index, level)];
      if (child == null) {
        return null;
      }
      node = (Object[]) child;
    }
    return (Page) node[slot(index, 0)];
  }

  /**
   * This tree with some pages replaced or added.
   *
   * @param pages ascending; those that are new follow the last page without a gap
   */
  PageTree with(List<Page> pages) {
    if (pages.isEmpty()) {
      return this;
    }
    long last = pages.get(pages.size() - 1).number() - 1;
    PageTree lifted = this;
    while (last >= capacity(lifted.height)) {
      lifted = lifted.lift();
    }
    return new PageTree(lifted.height, put(lifted.root, lifted.height - 1, pages, 0, pages.size()));
  }

  /** This tree without the pages above a count. */
  PageTree cutTo(long count) {
    if (count == 0) {
      return EMPTY;
    }
    PageTree low = this;
    while (low.height > 1 && count <= capacity(low.height - 1)) {
      low = new PageTree(low.height - 1, (Object[]) low.root[0]);
    }
    Object[] cut = cut(low.root, low.height - 1, count - 1);
    return cut == low.root ? low : new PageTree(low.height, cut);
  }

  /**
   * Shows the pages that are not the same in an older tree, ascending, until the visitor returns
   * false. Takes time in proportion to them.
   */
  void visitNewer(PageTree older, Visitor visitor) {
    Object[] olderRoot = older.root;
    for (int h = older.height; h > height; h--) {
      olderRoot = (Object[]) olderRoot[0];
    }
    PageTree lifted = new PageTree(Math.min(older.height, height), olderRoot);
    while (lifted.height < height) {
      lifted = lifted.lift();
    }
    visitNewer(lifted.root, root, height - 1, visitor);
  }

  /** Takes a page; returns false to end the visit. */
  @FunctionalInterface
  interface Visitor {
    boolean visit(Page page);
  }

  /** Shows nodes, and pages, to tests that count what is shared. */
  void visitObjects(Predicate<Object> descend) {
    visitObjects(root, descend);
  }

  private static void visitObjects(@Nullable Object object, Predicate<Object> descend) {
    if (object != null && descend.test(object) && object instanceof Object[] node) {
      for (Object child : node) {
        visitObjects(child, descend);
      }
    }
  }

  private PageTree lift() {
    Object[] lifted = new Object[WIDTH];
    lifted[0] = root;
    return new PageTree(height + 1, lifted);
  }

  private static Object[] put(
      @Nullable Object node, int level, List<Page> pages, int from, int to) {
    Object[] copy = node == null ? new Object[WIDTH] : ((Object[]) node).clone();
    for (int i = from; i < to; ) {
      int slot = slot(pages.get(i).number() - 1, level);
      if (level == 0) {
        copy[slot] = pages.get(i++);
        continue;
      }
      int end = i + 1;
      while (end < to && slot(pages.get(end).number() - 1, level) == slot) {
        end++;
      }
      copy[slot] = put(copy[slot], level - 1, pages, i, end);
      i = end;
    }
    return copy;
  }

  /** The node without what is behind an index; itself if there is nothing. */
  private static Object[] cut(Object[] node, int level, long last) {
    int slot = slot(last, level);
    Object child = node[slot];
    Object kept = level == 0 ? child : cut((Object[]) child, level - 1, last);
    // Page numbers have no gaps, so if the next slot is empty, all behind it are.
    if (kept == child && (slot == MASK || node[slot + 1] == null)) {
      return node;
    }
    Object[] copy = new Object[WIDTH];
    System.arraycopy(node, 0, copy, 0, slot);
    copy[slot] = kept;
    return copy;
  }

  private static boolean visitNewer(
      @Nullable Object older, Object[] newer, int level, Visitor visitor) {
    if (older == newer) {
      return true;
    }
    for (int slot = 0; slot < WIDTH; slot++) {
      Object before = older == null ? null : ((Object[]) older)[slot];
      Object now = newer[slot];
      if (now == null) {
        return true;
      }
      if (now != before
          && !(level == 0
              ? visitor.visit((Page) now)
              : visitNewer(before, (Object[]) now, level - 1, visitor))) {
        return false;
      }
    }
    return true;
  }

  private static long capacity(int height) {
    return 1L << (BITS * height);
  }

  private static int slot(long index, int level) {
    return (int) (index >>> (BITS * level)) & MASK;
  }
}
