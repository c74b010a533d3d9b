package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Values.StageRecord;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import org.jspecify.annotations.Nullable;

/**
 * Pages that wait for their commit, under the version that they would be: the one after the head at
 * the time. {@code pages}, {@code calls}, {@code chunks}, {@code sealed} and {@code unwanted} are
 * the stage thread's; while it is sealed nobody changes the first three.
 */
final class Stage {
  final long database;
  final long version;
  final int attempt;
  final StageRecord record;

  /** Which pages it has. */
  final PageSet pages = new PageSet();

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
