package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import org.rocksdb.RocksDBException;
import org.rocksdb.Status;

/** The one mapper from what goes wrong in here to {@link StoreException}. */
final class RocksErrors {
  private RocksErrors() {}

  /** Whatever was thrown, as the one exception that crosses the SPI. */
  static StoreException of(Throwable thrown) {
    if (thrown instanceof StoreException known) {
      return known;
    }
    if (thrown instanceof RocksDBException rocks) {
      if (isOutOfSpace(rocks)) {
        return new StoreException(Code.STORE_FULL, "the server's disk is full", rocks);
      }
      // RocksDB's messages name files of the server, so only the kind of error travels.
      Status status = rocks.getStatus();
      String kind = status == null ? "unknown error" : status.getCode().name();
      return new StoreException(Code.STORE_FAILED, "RocksDB failed (" + kind + ")", rocks);
    }
    return new StoreException(Code.STORE_FAILED, "the store failed: " + thrown, thrown);
  }

  /** Of a commit that RocksDB was given. */
  static StoreException unknown(RocksDBException e) {
    return new StoreException(
        Code.STORE_FAILED, "a write to RocksDB failed; it may be there after a restart", e);
  }

  static boolean isOutOfSpace(RocksDBException e) {
    Status status = e.getStatus();
    return status != null && status.getSubCode() == Status.SubCode.NoSpace;
  }

  /** Whether an in-memory read has to be done again with the disk. */
  static boolean notInMemory(RocksDBException e) {
    Status status = e.getStatus();
    return status != null && status.getCode() == Status.Code.Incomplete;
  }

  static StoreException closed() {
    return new StoreException(Code.STORE_FAILED, "the store is closed");
  }

  static StoreException noSuchDatabase(DatabaseId id) {
    return new StoreException(Code.NO_SUCH_DATABASE, "there is no database with id " + id);
  }

  static StoreException noSuchStage(DatabaseState database) {
    return new StoreException(
        Code.NO_SUCH_STAGE, "there is no such stage for database " + database.name);
  }

  static StoreException leaseLost(DatabaseState database, long epoch, long current) {
    return new StoreException(
        Code.LEASE_LOST,
        "database %s: the lease of epoch %d is lost (the current epoch is %d)"
            .formatted(database.name, epoch, current));
  }

  static StoreException headMoved(DatabaseState database, long base, long head) {
    return new StoreException(
        Code.HEAD_MOVED,
        "database %s: the commit is based on version %d, but the head is %d"
            .formatted(database.name, base, head));
  }

  static StoreException outcomeUnknown(DatabaseState database, long base) {
    return new StoreException(
        Code.OUTCOME_UNKNOWN,
        "database %s: commits of version %d are forgotten".formatted(database.name, base + 1));
  }

  static StoreException tooOld(DatabaseState database, long version, long oldest) {
    return new StoreException(
        Code.SNAPSHOT_TOO_OLD,
        "database %s: version %d is not kept any more; the oldest is %d"
            .formatted(database.name, version, oldest));
  }

  static StoreException noSuchVersion(DatabaseState database, long version, long head) {
    return new StoreException(
        Code.NO_SUCH_VERSION,
        "database %s has no version %d; the head is %d".formatted(database.name, version, head));
  }

  static StoreException invalid(DatabaseState database, String what) {
    return new StoreException(
        Code.INVALID_REQUEST, "database %s: %s".formatted(database.name, what));
  }

  static StoreException limit(String what) {
    return new StoreException(Code.LIMIT, what);
  }
}
