package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.FDBException;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** What the store fails with. */
final class FdbErrors {
  private FdbErrors() {}

  /** What is inside of what futures wrap it in. */
  static Throwable cause(Throwable thrown) {
    Throwable at = thrown;
    while (at instanceof CompletionException || at instanceof ExecutionException) {
      Throwable inner = at.getCause();
      if (inner == null) {
        return at;
      }
      at = inner;
    }
    return at;
  }

  /** Whatever was thrown, as the one exception that crosses the SPI. */
  static StoreException of(Throwable thrown) {
    Throwable cause = cause(thrown);
    if (cause instanceof StoreException known) {
      return known;
    }
    if (cause instanceof FDBException fdb) {
      return new StoreException(
          Code.STORE_FAILED,
          "FoundationDB failed (%d, %s)".formatted(fdb.getCode(), fdb.getMessage()),
          fdb);
    }
    return new StoreException(Code.STORE_FAILED, "the store failed: " + cause, cause);
  }

  static StoreException closed() {
    return new StoreException(Code.STORE_FAILED, "the store is closed");
  }

  static StoreException noSuchDatabase(DatabaseId id) {
    return new StoreException(Code.NO_SUCH_DATABASE, "there is no database with id " + id);
  }

  static StoreException noSuchStage(DatabaseId database) {
    return new StoreException(
        Code.NO_SUCH_STAGE, "there is no such stage for database " + database);
  }

  static StoreException leaseLost(DatabaseId database, long epoch, long current) {
    return new StoreException(
        Code.LEASE_LOST,
        "database %s: the lease of epoch %d is lost (the current epoch is %d)"
            .formatted(database, epoch, current));
  }

  static StoreException headMoved(DatabaseId database, long base, long head) {
    return new StoreException(
        Code.HEAD_MOVED,
        "database %s: the commit is based on version %d, but the head is %d"
            .formatted(database, base, head));
  }

  static StoreException outcomeUnknown(DatabaseId database, long base) {
    return new StoreException(
        Code.OUTCOME_UNKNOWN,
        "database %s: commits of version %d are forgotten".formatted(database, base + 1));
  }

  static StoreException tooOld(DatabaseId database, long version, long oldest) {
    return new StoreException(
        Code.SNAPSHOT_TOO_OLD,
        "database %s: version %d is not kept any more; the oldest is %d"
            .formatted(database, version, oldest));
  }

  static StoreException noSuchVersion(DatabaseId database, long version, long head) {
    return new StoreException(
        Code.NO_SUCH_VERSION,
        "database %s has no version %d; the head is %d".formatted(database, version, head));
  }

  static StoreException invalid(DatabaseId database, String what) {
    return new StoreException(Code.INVALID_REQUEST, "database %s: %s".formatted(database, what));
  }
}
