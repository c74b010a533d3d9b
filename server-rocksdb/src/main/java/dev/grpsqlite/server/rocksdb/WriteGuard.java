package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.WriteBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Says whether something can be written, so that what can't be is refused before it is tried: of a
 * write that fails in RocksDB nobody knows what became of it, for its log may have it all the same.
 *
 * <p>On a disk that is nearly full, what would fill it is refused. After a failure, of a write or
 * of RocksDB's own work behind one, everything is, until a small write of the guard's own was
 * synced. RocksDB goes on by itself when a full disk has room again, and after any other failure
 * not before it is opened anew.
 *
 * <p>Belongs to the commit thread, except for what says otherwise.
 */
final class WriteGuard {
  private static final Logger log = LoggerFactory.getLogger(WriteGuard.class);

  private static final String FULL = "the server's disk is full";

  private final Engine engine;
  private final DiskRoom room;
  private long failuresSeen;
  private boolean wasLow;
  private volatile @Nullable StoreException failure;

  WriteGuard(Engine engine, DiskRoom room) {
    this.engine = engine;
    this.room = room;
  }

  /** Why nothing is to be added now, as of the last look; empty: it can be. Thread-safe. */
  Optional<StoreException> refusal() {
    StoreException failed = failure;
    if (failed == null && room.isLow()) {
      return Optional.of(new StoreException(Code.STORE_FULL, FULL));
    }
    return Optional.ofNullable(failed);
  }

  /** Whether not even what adds nothing can be written, as of the last look. */
  boolean hasFailed() {
    return failure != null;
  }

  /** Looks whether something can be written now. */
  void look() {
    long failures = engine.backgroundFailures();
    if (failure != null || failures != failuresSeen) {
      failuresSeen = failures;
      tryToWrite();
    }
    boolean low = room.isLow();
    if (low != wasLow) {
      wasLow = low;
      if (low) {
        log.error(
            "the disk has less than {} MiB left; nothing is added until it has more",
            room.reserve() >> 20);
      } else {
        log.info("the disk has room again");
      }
    }
  }

  private void tryToWrite() {
    try (WriteBatch batch = new WriteBatch()) {
      engine.delete(batch, Keys.NOTHING);
      engine.writeSynced(batch);
    } catch (RocksDBException e) {
      failed(e);
      return;
    }
    if (failure != null) {
      log.info("RocksDB takes writes again");
      failure = null;
    }
  }

  /** A write failed. */
  void failed(RocksDBException e) {
    StoreException why =
        RocksErrors.isOutOfSpace(e)
            ? new StoreException(Code.STORE_FULL, FULL, e)
            : new StoreException(
                Code.STORE_READ_ONLY, "the server's storage failed, and takes no writes", e);
    if (failure == null || failure.code() != why.code()) {
      log.error(
          "RocksDB takes no writes until {}: {}",
          why.code() == Code.STORE_FULL ? "there is room" : "the server is restarted",
          e.getMessage());
    }
    failure = why;
  }
}
