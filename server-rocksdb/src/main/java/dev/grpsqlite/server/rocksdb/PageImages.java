package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/**
 * The images of pages, each page's newest first, as they were when this was made. It is at one
 * image, or at none: it does not go from one page to the next.
 *
 * <p>Pages that are read in a row are passed by steps of an iterator, each of which costs a tenth
 * of a seek. For one thread.
 */
final class PageImages implements AutoCloseable {
  private static final int LEAST_IN_A_ROW = 4;

  /** From a page to the next one of a row, at most. */
  private static final int NEAR_PAGES = 2;

  /** A page that has more images than this is passed by a seek. */
  private static final int MOST_STEPS = 6;

  private final boolean inARow;

  /** By database if in a row, for each goes on from where it is; else one for all. */
  private final Map<Long, Cursor> cursors = new HashMap<>();

  private Cursor at;
  private byte[] wanted = new byte[0];

  /** Where an iterator is. */
  private static final class Cursor {
    final RocksIterator iterator;

    /** Where it is; null: beyond the last key, or not known. */
    byte @Nullable [] key;

    /** No key lies between this and where it is; null: not known. */
    byte @Nullable [] sought;

    Cursor(RocksIterator iterator) {
      this.iterator = iterator;
    }

    void seek(byte[] wanted) {
      iterator.seek(wanted);
      arrive();
      sought = wanted;
    }

    void step() {
      iterator.next();
      arrive();
      sought = null;
    }

    private void arrive() {
      key = iterator.isValid() ? iterator.key() : null;
    }

    /** Goes to the first key that is not below the one wanted. */
    void reach(byte[] wanted) {
      if (sought != null && key != null && isBetween(sought, wanted, key)) {
        return;
      }
      for (int steps = 0; steps < MOST_STEPS && isNear(wanted); steps++) {
        step();
        if (key != null && Arrays.compareUnsigned(key, wanted) >= 0) {
          sought = wanted;
          return;
        }
      }
      seek(wanted);
    }

    private static boolean isBetween(byte[] low, byte[] key, byte[] high) {
      return Arrays.compareUnsigned(low, key) <= 0 && Arrays.compareUnsigned(key, high) <= 0;
    }

    /** Below the one wanted, and with one page between them at most. */
    private boolean isNear(byte[] wanted) {
      return key != null
          && Arrays.compareUnsigned(key, wanted) < 0
          && Keys.pageDatabaseOf(key) == Keys.pageDatabaseOf(wanted)
          && Keys.pageOf(key) >= Keys.pageOf(wanted) - NEAR_PAGES;
    }
  }

  /** Over the images of a database and of those that it was forked from. */
  PageImages(Engine engine, Tier tier, DatabaseState state, long[] pages) {
    this.inARow = areInARow(pages);
    this.at = new Cursor(inARow ? engine.pageSequence(tier) : engine.pageIterator(tier));
    cursors.put(state.number, at);
    for (Forked origin : state.origins) {
      cursors.computeIfAbsent(
          origin.parent(), parent -> inARow ? new Cursor(engine.pageSequence(tier)) : at);
    }
  }

  /**
   * Most of them follow the one before, or the one before that. A scan that steps over to the next
   * page of the level above wants some that do not.
   */
  private static boolean areInARow(long[] pages) {
    int steps = 0;
    for (int i = 1; i < pages.length; i++) {
      long step = pages[i] - pages[i - 1];
      if (step > 0 && step <= NEAR_PAGES) {
        steps++;
      }
    }
    return pages.length >= LEAST_IN_A_ROW && steps > pages.length / 2;
  }

  /** Goes to the newest image of a page that is not newer than the one named, if there is one. */
  void seek(long database, long page, long version, int attempt) {
    wanted = Keys.page(database, page, version, attempt);
    at = Objects.requireNonNull(cursors.get(database));
    if (inARow) {
      at.reach(wanted);
    } else {
      at.seek(wanted);
    }
  }

  /** Goes to the image before it. */
  void next() {
    at.step();
  }

  /** Whether it is at an image, of the page that was sought. If not: see {@link #checkStatus}. */
  boolean isValid() {
    return at.key != null && Keys.areOfSamePage(at.key, wanted);
  }

  /** Whether it is at the very image that was named. */
  boolean isNamed() {
    return at.key != null && Arrays.equals(at.key, wanted);
  }

  byte[] key() {
    return Objects.requireNonNull(at.key);
  }

  byte[] value() {
    return at.iterator.value();
  }

  /** Throws what kept it from an image, if it was not that there is none. */
  void checkStatus() throws RocksDBException {
    at.iterator.status();
  }

  @Override
  public void close() {
    Set.copyOf(cursors.values()).forEach(cursor -> cursor.iterator.close());
  }
}
