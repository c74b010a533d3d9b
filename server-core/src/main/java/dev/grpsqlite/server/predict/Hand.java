package dev.grpsqlite.server.predict;

import dev.grpsqlite.server.spi.PageImage;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
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
  private final Work work;

  /** What is here and what is wanted: one look finds either, for there are hundreds in an open. */
  private final Map<Long, Held> pages = new HashMap<>();

  /** In the order in which they were; some may have come since. */
  private final List<Held> wanted = new ArrayList<>();

  private int missing;

  private static final class Held {
    final long page;
    @Nullable PageImage image; // null: it is wanted
    @Nullable BtreePage tree; // null: it is none, or nobody has asked

    Held(long page) {
      this.page = page;
    }

    PageImage image() {
      if (image == null) {
        throw notLookedFor(page);
      }
      return image;
    }

    boolean isInterior() {
      return tree != null && !tree.isLeaf();
    }
  }

  Hand(Shape shape, int usable, Work work) {
    this.shape = shape;
    this.usable = usable;
    this.work = work;
    this.batch = Math.max(LEAST_BATCH, Math.min(MOST_BATCH, BATCH_BYTES / shape.pageSize()));
  }

  Work work() {
    return work;
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
    work.spend(Work.LOOK);
    Held held = pages.get(page);
    if (held != null) {
      return held.image != null;
    }
    if (missing < batch && exists(page)) {
      Held wish = new Held(page);
      pages.put(page, wish);
      wanted.add(wish);
      missing++;
    }
    return false;
  }

  private Held held(long page) {
    Held held = pages.get(page);
    if (held == null) {
      throw notLookedFor(page);
    }
    return held;
  }

  private static IllegalStateException notLookedFor(long page) {
    return new IllegalStateException("page " + page + " was not looked for");
  }

  /** A page that is here. */
  PageImage image(long page) {
    return held(page).image();
  }

  /** A page that is here, if it is one of a b-tree. */
  @Nullable BtreePage tree(long page) {
    Held held = held(page);
    if (held.tree == null) {
      held.tree = BtreePage.of(held.image(), usable, shape.pageCount(), work);
    }
    return held.tree;
  }

  /** The same of an interior page. */
  @Nullable BtreePage interior(long page) {
    BtreePage tree = tree(page);
    return tree == null || tree.isLeaf() ? null : tree;
  }

  void put(PageImage image) {
    Held held = pages.get(image.number());
    if (held == null) {
      held = new Held(image.number());
      pages.put(image.number(), held);
    } else if (held.image == null && --missing == 0) {
      wanted.clear();
    }
    held.image = image;
  }

  /** To be called where nothing that is here is relied on. */
  void makeRoom() {
    if (pages.size() > BATCHES * batch) {
      // The leaves go: the way down to the next ones begins at what is left.
      pages.values().removeIf(held -> held.image != null && !held.isInterior());
      if (pages.size() > batch) {
        pages.values().removeIf(held -> held.image != null);
      }
    }
  }

  long[] wanted() {
    return wanted.stream()
        .filter(held -> held.image == null)
        .mapToLong(held -> held.page)
        .toArray();
  }

  void wantNothing() {
    wanted.stream().filter(held -> held.image == null).forEach(held -> pages.remove(held.page));
    wanted.clear();
    missing = 0;
  }
}
