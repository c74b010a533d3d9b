package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.spi.PageImage;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The pages that a round has before it, and those that it misses. */
final class Hand {
  private static final int BATCH_BYTES = 1 << 20;
  private static final int LEAST_BATCH = 4;
  private static final int MOST_BATCH = 256;

  /** So many batches are at hand at most, and one of interior pages. */
  private static final int BATCHES = 2;

  final Shape shape;
  private int usable;
  private final int batch;
  private final Map<Long, PageImage> images = new HashMap<>();
  private final Map<Long, BtreePage> trees = new HashMap<>();
  private final Set<Long> wanted = new LinkedHashSet<>();

  Hand(Shape shape, int usable) {
    this.shape = shape;
    this.usable = usable;
    this.batch = Math.max(LEAST_BATCH, Math.min(MOST_BATCH, BATCH_BYTES / shape.pageSize()));
  }

  /** How many pages are read at once. */
  int batch() {
    return batch;
  }

  void setUsable(int bytes) {
    usable = bytes;
  }

  /** Whether the database has such a page: one that was read at another version it may not have. */
  boolean exists(long page) {
    return page > 0 && page <= shape.pageCount();
  }

  /**
   * Whether a page is here. Else it is wanted, if it exists; if it does not, a plan that cannot do
   * without it is over, for nothing is wanted any more.
   */
  boolean look(long page) {
    if (images.containsKey(page)) {
      return true;
    }
    if (wanted.size() < batch && exists(page)) {
      wanted.add(page);
    }
    return false;
  }

  /** A page that is here. */
  PageImage image(long page) {
    PageImage image = images.get(page);
    if (image == null) {
      throw new IllegalStateException("page " + page + " was not looked for");
    }
    return image;
  }

  /** A page that is here, if it is one of a b-tree. */
  @Nullable BtreePage tree(long page) {
    BtreePage known = trees.get(page);
    if (known == null) {
      known = BtreePage.of(image(page), usable, shape.pageCount());
      if (known != null) {
        trees.put(page, known);
      }
    }
    return known;
  }

  /** The same of an interior page. */
  @Nullable BtreePage interior(long page) {
    BtreePage tree = tree(page);
    return tree == null || tree.isLeaf() ? null : tree;
  }

  void put(PageImage image) {
    images.put(image.number(), image);
    wanted.remove(image.number());
  }

  /** To be called where nothing that is here is relied on. */
  void makeRoom() {
    if (images.size() > BATCHES * batch) {
      // The leaves go: the way down to the next ones begins at what is left.
      trees.values().removeIf(BtreePage::isLeaf);
      if (trees.size() > batch) {
        trees.clear();
      }
      images.keySet().retainAll(trees.keySet());
    }
  }

  long[] wanted() {
    return wanted.stream().mapToLong(Long::longValue).toArray();
  }

  void wantNothing() {
    wanted.clear();
  }
}
