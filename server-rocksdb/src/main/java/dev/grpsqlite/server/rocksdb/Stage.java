package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Values.StageRecord;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import org.jspecify.annotations.Nullable;

/**
 * Pages that wait for their commit, under the version that they would be: the one after the head at
 * the time. The fields that are neither final nor volatile are the stage thread's; while it is
 * sealed nobody changes {@code pages}, {@code calls} and {@code chunks}, and the commit thread may
 * look at them.
 */
final class Stage {
  final long database;
  final long version;
  final int attempt;
  final StageRecord record;

  /** Which pages it has. Changed by {@link PageSets} alone. */
  PageSet pages = new PageSet();

  /** What {@link PageSets} has counted of them. */
  long counted;

  /** An earlier run left it, and {@code pages} and {@code chunks} were not read yet. */
  boolean unread;

  /** The number of the last one that was applied. */
  long calls;

  /** How many chunks its list of pages has. */
  int chunks;

  /** A commit that names it is under way. */
  boolean sealed;

  /** Was dropped while it was sealed. */
  boolean unwanted;

  /** Some of its pages are not there, and will not be: nothing more is done with it. */
  volatile @Nullable StoreException failure;

  /** Nobody finds it any more; its pages are being deleted. */
  volatile boolean abandoned;

  Stage(long database, long version, int attempt, StageRecord record) {
    this.database = database;
    this.version = version;
    this.attempt = attempt;
    this.record = record;
    this.abandoned = record.abandoned();
  }

  void checkWhole() {
    StoreException lost = failure;
    if (lost != null) {
      throw lost;
    }
  }

  boolean is(SessionId session, StageId stage) {
    return !abandoned && record.session().equals(session) && record.stage().equals(stage);
  }
}
