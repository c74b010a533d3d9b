package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.ReadTransaction;
import com.apple.foundationdb.StreamingMode;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Looks up what there is of databases, in a transaction. Whether a look-up conflicts with others'
 * writes is up to the transaction: one that is a snapshot does not. Thread-safe.
 */
final class Databases {
  final Keys keys;

  Databases(Keys keys) {
    this.keys = keys;
  }

  /** Fails with NO_SUCH_DATABASE. */
  CompletableFuture<VersionRecord> head(ReadTransaction transaction, DatabaseId database) {
    return transaction
        .get(keys.head(database))
        .thenApply(
            value -> {
              if (value == null) {
                throw FdbErrors.noSuchDatabase(database);
              }
              return VersionRecord.read(value);
            });
  }

  /** Fails with NO_SUCH_DATABASE. */
  CompletableFuture<DatabaseRecord> record(ReadTransaction transaction, DatabaseId database) {
    return transaction
        .get(keys.created(database))
        .thenApply(
            value -> {
              if (value == null) {
                throw FdbErrors.noSuchDatabase(database);
              }
              return DatabaseRecord.read(database, value);
            });
  }

  /** Fails with NO_SUCH_DATABASE. */
  CompletableFuture<LeaseState> lease(ReadTransaction transaction, DatabaseId database) {
    return transaction
        .get(keys.lease(database))
        .thenApply(
            value -> {
              if (value == null) {
                throw FdbErrors.noSuchDatabase(database);
              }
              return Values.lease(value);
            });
  }

  /** Fails with NO_SUCH_DATABASE, LEASE_LOST. */
  CompletableFuture<LeaseState> checkLease(
      ReadTransaction transaction, DatabaseId database, SessionId holder, long epoch) {
    return lease(transaction, database)
        .thenApply(
            lease -> {
              if (lease.epoch() != epoch || !holder.equals(lease.holder())) {
                throw FdbErrors.leaseLost(database, epoch, lease.epoch());
              }
              return lease;
            });
  }

  /** The oldest version that can be read. */
  CompletableFuture<Long> oldest(ReadTransaction transaction, DatabaseId database) {
    return number(transaction, keys.oldest(database));
  }

  /** A number, or 0 if there is none. */
  CompletableFuture<Long> number(ReadTransaction transaction, byte[] key) {
    return transaction.get(key).thenApply(value -> value == null ? 0L : Values.number(value));
  }

  /** A version that is remembered, whether or not its pages are; else null. */
  CompletableFuture<@Nullable VersionRecord> version(
      ReadTransaction transaction, DatabaseId database, long version) {
    return transaction
        .get(keys.version(database, version))
        .thenApply(value -> value == null ? null : VersionRecord.read(value));
  }

  /** Fails with NO_SUCH_DATABASE, NO_SUCH_VERSION, SNAPSHOT_TOO_OLD. */
  CompletableFuture<VersionRecord> readable(
      ReadTransaction transaction, DatabaseId database, long version) {
    CompletableFuture<VersionRecord> head = head(transaction, database);
    CompletableFuture<Long> oldest = oldest(transaction, database);
    CompletableFuture<@Nullable VersionRecord> record =
        version < 0 ? Futures.nothing() : version(transaction, database, version);
    return head.thenCompose(
        newest -> {
          if (version > newest.version() || version < 0) {
            throw FdbErrors.noSuchVersion(database, version, newest.version());
          }
          return oldest.thenCombine(
              record,
              (floor, found) -> {
                if (version < floor || found == null) {
                  throw FdbErrors.tooOld(database, version, floor);
                }
                return found;
              });
        });
  }

  /** Fails with NO_SUCH_DATABASE. */
  CompletableFuture<DatabaseInfo> info(ReadTransaction transaction, DatabaseId database) {
    CompletableFuture<DatabaseRecord> record = record(transaction, database);
    CompletableFuture<VersionRecord> head = head(transaction, database);
    CompletableFuture<Long> oldest = oldest(transaction, database);
    CompletableFuture<@Nullable Retention> retention = retention(transaction, database);
    return CompletableFuture.allOf(record, head, oldest, retention)
        .thenApply(all -> info(record.join(), head.join(), oldest.join(), retention.join()));
  }

  static DatabaseInfo info(
      DatabaseRecord record, VersionRecord head, long oldest, @Nullable Retention retention) {
    return new DatabaseInfo(
        record.id(),
        record.name(),
        head.snapshot(),
        oldest,
        Instant.ofEpochMilli(record.createdAtMillis()),
        head.committedAt(),
        retention,
        record.forkedFrom());
  }

  CompletableFuture<@Nullable Retention> retention(
      ReadTransaction transaction, DatabaseId database) {
    return transaction
        .get(keys.retention(database))
        .thenApply(value -> value == null ? null : Values.retention(value));
  }

  /** Whatever is staged for a database will not be committed: its lease changes hands. */
  CompletableFuture<Void> abandonStages(Transaction transaction, DatabaseId database) {
    return abandon(transaction, database, keys.stages(database));
  }

  /** Whatever of it is in a range. */
  CompletableFuture<Void> abandon(Transaction transaction, DatabaseId database, Range stages) {
    return list(transaction, stages)
        .thenAccept(
            found -> {
              for (KeyValue each : found) {
                StageRecord stage = StageRecord.read(each.getValue());
                transaction.clear(each.getKey());
                byte[] key = each.getKey();
                transaction.clear(
                    keys.stagedBy(keys.stagingSession(key), database, keys.stageOf(key)));
                transaction.set(
                    keys.abandoned(database, stage.version(), stage.attempt()), Values.NOTHING);
                transaction.set(keys.todo(database), Values.NOTHING);
              }
            });
  }

  /** All that is in a range; the caller knows that it is not much. */
  static CompletableFuture<List<KeyValue>> list(ReadTransaction transaction, Range range) {
    return transaction
        .getRange(range, ReadTransaction.ROW_LIMIT_UNLIMITED, false, StreamingMode.WANT_ALL)
        .asList();
  }

  /** The first few of a range. */
  static CompletableFuture<List<KeyValue>> list(
      ReadTransaction transaction, byte[] from, byte[] to, int limit, boolean backwards) {
    return transaction.getRange(from, to, limit, backwards, StreamingMode.WANT_ALL).asList();
  }
}
