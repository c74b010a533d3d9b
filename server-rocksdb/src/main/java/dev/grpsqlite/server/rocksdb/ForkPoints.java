package dev.grpsqlite.server.rocksdb;

import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;

/**
 * Which versions of a database are the beginnings of others, and which of its images are kept for
 * those alone. {@link dev.grpsqlite.server.rocksdb The package} has the argument. Belongs to the
 * background thread.
 */
final class ForkPoints {
  /** Below every version. */
  static final long NONE = -1;

  private final Engine engine;
  private final Background background;

  ForkPoints(Engine engine, Background background) {
    this.engine = engine;
    this.background = background;
  }

  boolean any(long database) throws RocksDBException {
    try (RocksIterator each = engine.metaScan()) {
      return seek(each, Keys.of(Keys.FORK_POINT, database), database);
    }
  }

  /** The page count of each version that was forked. */
  NavigableMap<Long, Long> of(long database) throws RocksDBException {
    NavigableMap<Long, Long> points = new TreeMap<>();
    try (RocksIterator each = engine.metaScan()) {
      boolean found = seek(each, Keys.of(Keys.FORK_POINT, database), database);
      while (found) {
        long version = Keys.versionOf(each.key());
        points.put(version, Values.number(each.value()));
        found = seek(each, Keys.of(Keys.FORK_POINT, database, version + 1), database);
      }
    }
    return points;
  }

  /** The newest fork point below a version, or {@link #NONE}. */
  static long below(RocksIterator each, long database, long version) throws RocksDBException {
    if (version == 0) {
      return NONE;
    }
    each.seekForPrev(Keys.forkPoint(database, version - 1, -1)); // the highest number there is
    each.status();
    return each.isValid() && Keys.startsWith(each.key(), Keys.of(Keys.FORK_POINT, database))
        ? Keys.versionOf(each.key())
        : NONE;
  }

  private static boolean seek(RocksIterator each, byte[] from, long database)
      throws RocksDBException {
    each.seek(from);
    each.status();
    return each.isValid() && Keys.startsWith(each.key(), Keys.of(Keys.FORK_POINT, database));
  }

  /**
   * Deletes what was kept for fork points that are no more, in proportion to it.
   *
   * <p>An image that the versions from <i>a</i> to before <i>b</i> have is entered under a fork
   * point among these, the newest. Points go, and then it is the newest that is left at or below
   * that one that has need of it, if it is not below <i>a</i>. So if <i>f</i> goes, with <i>m</i>
   * and <i>n</i> left beside it, that are the entries under what was a point from <i>f</i> to
   * before <i>n</i>, of images that are newer than <i>m</i>.
   */
  void release(long database) throws RocksDBException {
    byte[] prefix = Keys.of(Keys.RELEASED, database);
    try (RocksIterator released = engine.metaScan();
        RocksIterator points = engine.metaScan()) {
      for (released.seek(prefix); released.isValid(); released.next()) {
        byte[] key = released.key();
        if (!Keys.startsWith(key, prefix) || background.isClosing()) {
          return;
        }
        long point = Keys.versionOf(key);
        long next =
            seek(points, Keys.of(Keys.FORK_POINT, database, point), database)
                ? Keys.versionOf(points.key())
                : Long.MAX_VALUE;
        if (next != point) {
          deleteHeld(database, point, next, below(points, database, point));
        }
        if (background.isClosing()) {
          return;
        }
        try (WriteBatch batch = new WriteBatch()) {
          engine.delete(batch, key);
          engine.writeInBackground(batch);
        }
      }
      released.status();
    }
  }

  private void deleteHeld(long database, long from, long to, long kept) throws RocksDBException {
    byte[] prefix = Keys.of(Keys.HELD, database);
    long deleted = 0;
    try (WriteBatch batch = new WriteBatch();
        RocksIterator held = engine.metaScan()) {
      held.seek(Keys.held(database, from, kept + 1, 0, 0));
      while (held.isValid() && Keys.startsWith(held.key(), prefix)) {
        byte[] key = held.key();
        long label = Keys.versionOf(key);
        if (label >= to) {
          break;
        }
        if (Keys.heldVersionOf(key) <= kept) {
          held.seek(Keys.held(database, label, kept + 1, 0, 0));
          continue;
        }
        engine.deletePage(batch, Keys.heldPageOf(key));
        engine.delete(batch, key);
        deleted++;
        if (batch.count() >= Background.BATCH) {
          engine.writeInBackground(batch);
          batch.clear();
          if (background.isClosing()) {
            return;
          }
        }
        held.next();
      }
      held.status();
      engine.writeInBackground(batch);
    }
    if (deleted >= Background.MANY_PAGES) {
      engine.flush();
    }
  }

  /**
   * Which fork point needs an image, the newest.
   *
   * @param from the version that wrote it
   * @param to the next version that wrote the page
   * @return {@link #NONE} if none does
   */
  static long needing(NavigableMap<Long, Long> points, long from, long to, long page) {
    Map.Entry<Long, Long> point = points.lowerEntry(to);
    while (point != null && point.getKey() >= from) {
      if (page <= point.getValue()) {
        return point.getKey();
      }
      point = points.lowerEntry(point.getKey());
    }
    return NONE;
  }
}
