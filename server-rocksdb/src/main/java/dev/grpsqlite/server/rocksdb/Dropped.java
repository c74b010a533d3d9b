package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Attempt;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import java.util.HashSet;
import java.util.NavigableMap;
import java.util.Set;
import java.util.concurrent.Future;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;

/**
 * What becomes of dropped databases, on the background thread. One without forks goes as a whole,
 * and with it its fork point, if it is a fork itself. Of one with forks, what they need stays until
 * the last is gone. Whatever is interrupted is done again.
 */
final class Dropped {
  /** No database's number. */
  private static final long NONE = 0;

  private static final byte[] PRUNED = {1};

  /**
   * Of what is left behind the deletion of whole tables, in those of the first level and in memory:
   * more than that does not wait for a compaction that comes anyway.
   */
  private static final long MUCH = 16 << 20;

  private final Engine engine;
  private final Background background;
  private final ForkPoints forkPoints;

  Dropped(Engine engine, Background background, ForkPoints forkPoints) {
    this.engine = engine;
    this.background = background;
    this.forkPoints = forkPoints;
  }

  /** The value under {@link Keys#DROPPED} of a database that was just dropped. */
  static byte[] mark() {
    return new byte[0];
  }

  /** Deletes what is not needed of a dropped database. */
  void delete(long database) {
    Future<?> unused =
        background.call(
            () -> {
              long next = database;
              while (next != NONE && !background.isClosing()) {
                next = deleteNow(next);
              }
              return null;
            });
  }

  /** Returns a database that may need less now: the one that this was a fork of. */
  private long deleteNow(long database) throws RocksDBException {
    byte[] mark = engine.get(Keys.of(Keys.DROPPED, database), Tier.DISK);
    if (mark == null) {
      forkPoints.release(database); // it is the parent, and was not dropped
      return NONE;
    }
    if (!forkPoints.any(database)) {
      return deleteAll(database);
    }
    if (mark.length < PRUNED.length) {
      prune(database);
    }
    forkPoints.release(database);
    return NONE;
  }

  private long deleteAll(long database) throws RocksDBException {
    byte[] forked = engine.get(Keys.of(Keys.FORKED_FROM, database), Tier.DISK);
    byte[] from = Keys.page(database, 0, -1, 0); // the complement of -1 is the lowest
    byte[] to = Keys.page(database + 1, 0, -1, 0);
    engine.deletePageFiles(from, to);
    try (WriteBatch batch = new WriteBatch()) {
      engine.deletePages(batch, from, to);
      engine.writeInBackground(batch);
      batch.clear();
      if (engine.pageBytes(from, to) >= MUCH) {
        engine.compactPages(from, to);
      }
      deleteKinds(batch, database, Keys.OF_A_DATABASE);
      deleteKinds(batch, database, Keys.FOR_ITS_FORKS);
      if (background.isClosing()) {
        return NONE;
      }
      engine.delete(batch, Keys.of(Keys.DROPPED, database));
      long parent = NONE;
      if (forked != null) {
        Forked origin = Forked.read(forked);
        parent = origin.parent();
        engine.delete(batch, Keys.of(Keys.FORKED_FROM, database));
        engine.delete(batch, Keys.forkPoint(parent, origin.version(), database));
        engine.put(batch, Keys.of(Keys.RELEASED, parent, origin.version()), new byte[0]);
        if (engine.get(Keys.of(Keys.DROPPED, parent), Tier.DISK) == null) {
          engine.put(batch, Keys.of(Keys.TO_COLLECT, parent), new byte[0]);
        }
      }
      engine.writeInBackground(batch);
      return parent;
    }
  }

  private void deleteKinds(WriteBatch batch, long database, byte[] kinds) throws RocksDBException {
    for (byte kind : kinds) {
      byte[] prefix = Keys.of(kind, database);
      try (RocksIterator each = engine.metaScan()) {
        each.seek(prefix);
        for (; each.isValid() && Keys.startsWith(each.key(), prefix); each.next()) {
          engine.delete(batch, each.key());
          if (batch.count() >= Background.BATCH) {
            engine.writeInBackground(batch);
            batch.clear();
            if (background.isClosing()) {
              return;
            }
          }
        }
        each.status();
      }
    }
  }

  /** Leaves of a database what its forks need. */
  private void prune(long database) throws RocksDBException {
    NavigableMap<Long, Long> points = forkPoints.of(database);
    try (WriteBatch batch = new WriteBatch()) {
      // All that stays is entered below.
      engine.deleteRange(batch, Keys.of(Keys.HELD, database), Keys.of(Keys.HELD, database + 1));
      engine.writeInBackground(batch);
      batch.clear();
      pruneImages(batch, database, points);
      if (background.isClosing()) {
        return;
      }
      deleteKinds(batch, database, Keys.OF_A_DATABASE);
      if (background.isClosing()) {
        return;
      }
      engine.put(batch, Keys.of(Keys.DROPPED, database), PRUNED);
      engine.writeInBackground(batch);
    }
    engine.flush();
  }

  private void pruneImages(WriteBatch batch, long database, NavigableMap<Long, Long> points)
      throws RocksDBException {
    Set<Attempt> staged = stages(database);
    try (RocksIterator images = engine.pageScan()) {
      long page = 0;
      long next = Long.MAX_VALUE; // the version that wrote the page next
      images.seek(Keys.page(database, 0, -1, 0));
      for (; images.isValid(); images.next()) {
        byte[] key = images.key();
        if (Keys.pageDatabaseOf(key) != database) {
          break;
        }
        if (Keys.pageOf(key) != page) {
          page = Keys.pageOf(key);
          next = Long.MAX_VALUE;
        }
        long version = Keys.pageVersionOf(key);
        int attempt = Keys.pageAttemptOf(key);
        long point = ForkPoints.NONE;
        if (!staged.contains(new Attempt(version, attempt))) {
          point = ForkPoints.needing(points, version, next, page);
          next = version;
        }
        if (point == ForkPoints.NONE) {
          engine.deletePage(batch, key);
        } else {
          engine.put(batch, Keys.held(database, point, version, page, attempt), new byte[0]);
        }
        if (batch.count() >= Background.BATCH) {
          engine.writeInBackground(batch);
          batch.clear();
          if (background.isClosing()) {
            return;
          }
        }
      }
      images.status();
    }
  }

  /** The stages that were not committed, nor are going to be. */
  private Set<Attempt> stages(long database) throws RocksDBException {
    Set<Attempt> staged = new HashSet<>();
    byte[] prefix = Keys.of(Keys.STAGE, database);
    try (RocksIterator each = engine.metaScan()) {
      each.seek(prefix);
      for (; each.isValid() && Keys.startsWith(each.key(), prefix); each.next()) {
        staged.add(new Attempt(Keys.versionOf(each.key()), Keys.attemptOf(each.key())));
      }
      each.status();
    }
    return staged;
  }
}
