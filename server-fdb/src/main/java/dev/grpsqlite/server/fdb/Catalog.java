package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.Transaction;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.fdb.DatabaseRecord.Origin;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.ForkPoint;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** Which databases there are. Thread-safe. */
final class Catalog {
  /** How many databases a read goes through for a page that none of the later ones has. */
  static final int MOST_ORIGINS = 100;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  Catalog(Transactions transactions, Databases databases, Clock clock) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.clock = clock;
  }

  CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return transactions.read(
        transaction ->
            transaction
                .get(keys.name(name))
                .thenCompose(
                    id ->
                        id == null
                            ? Futures.done(Optional.empty())
                            : databases.info(transaction, Values.id(id)).thenApply(Optional::of)));
  }

  CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    DatabaseId id = DatabaseId.random(random);
    return find(name)
        .thenCompose(
            found ->
                found.isPresent()
                    ? Futures.done(found.get())
                    : transactions.write(
                        transaction ->
                            transaction
                                .get(keys.name(name))
                                .thenCompose(
                                    there ->
                                        there != null
                                            ? databases.info(transaction, Values.id(there))
                                            : Futures.done(
                                                create(
                                                    transaction,
                                                    id,
                                                    name,
                                                    List.of(),
                                                    null,
                                                    VersionRecord.first(0, 0, clock.millis()))))));
  }

  private DatabaseInfo create(
      Transaction transaction,
      DatabaseId id,
      String name,
      List<Origin> origins,
      @Nullable ForkPoint forkedFrom,
      VersionRecord first) {
    DatabaseRecord record =
        new DatabaseRecord(id, name, first.committedAtMillis(), origins, forkedFrom);
    transaction.set(keys.name(name), Values.id(id));
    transaction.set(keys.created(id), record.bytes());
    transaction.set(keys.head(id), first.bytes());
    transaction.set(keys.version(id, 0), first.bytes());
    transaction.set(keys.lease(id), Values.lease(new LeaseState(0, null)));
    if (!origins.isEmpty()) {
      Origin origin = origins.get(0);
      transaction.set(keys.fork(origin.database(), origin.version(), id), Values.NOTHING);
    }
    return Databases.info(record, first, 0, null);
  }

  CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String name, CommitId commit) {
    DatabaseId id = DatabaseId.random(random);
    return transactions.write(
        transaction -> {
          CompletableFuture<byte[]> named = transaction.get(keys.name(name));
          CompletableFuture<DatabaseRecord> record = databases.record(transaction, parent);
          // With the head it does not conflict, with the floor it does.
          CompletableFuture<VersionRecord> readable =
              databases.readable(transaction.snapshot(), parent, version);
          transaction.addReadConflictKey(keys.oldest(parent));
          return CompletableFuture.allOf(named, record, readable)
              .thenCompose(
                  all -> {
                    byte[] there = named.join();
                    if (there != null && Values.id(there).equals(id)) {
                      return databases.info(transaction, id); // an attempt before did it
                    }
                    if (there != null) {
                      throw new StoreException(
                          Code.ALREADY_EXISTS, "there is a database " + name + " already");
                    }
                    return Futures.done(
                        fork(transaction, record.join(), readable.join(), id, name, commit));
                  });
        });
  }

  private DatabaseInfo fork(
      Transaction transaction,
      DatabaseRecord parent,
      VersionRecord forked,
      DatabaseId id,
      String name,
      CommitId commit) {
    List<Origin> origins = new ArrayList<>();
    if (forked.version() != 0 || parent.origins().isEmpty()) {
      origins.add(new Origin(parent.id(), forked.version()));
    } // else it has no image of its own there: what it was forked from is as good, and nearer
    origins.addAll(parent.origins());
    if (origins.size() > MOST_ORIGINS) {
      throw new StoreException(
          Code.LIMIT,
          "database %s is a fork of a fork, %d times over; fork an earlier one, or a copy"
              .formatted(parent.name(), MOST_ORIGINS));
    }
    return create(
        transaction,
        id,
        name,
        List.copyOf(origins),
        new ForkPoint(parent.name(), forked.version(), commit),
        VersionRecord.first(forked.pageSize(), forked.pageCount(), clock.millis()));
  }

  CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    Range named = keys.names(prefix);
    byte[] behind = ByteArrayUtil.join(keys.name(after), new byte[1]);
    byte[] from =
        !after.isEmpty() && ByteArrayUtil.compareUnsigned(behind, named.begin) > 0
            ? behind
            : named.begin;
    if (ByteArrayUtil.compareUnsigned(from, named.end) >= 0) {
      return Futures.done(List.of());
    }
    return transactions.read(
        transaction ->
            Databases.list(transaction, from, named.end, limit, false)
                .thenCompose(
                    found -> {
                      List<CompletableFuture<DatabaseInfo>> infos = new ArrayList<>();
                      for (KeyValue each : found) {
                        infos.add(databases.info(transaction, Values.id(each.getValue())));
                      }
                      return Futures.all(infos);
                    }));
  }

  /**
   * Removes a database at once, but for what forks need, which goes with the last of them. The keys
   * of its head and lease go in any case, so that whatever is committed or staged at the same time
   * conflicts.
   */
  CompletableFuture<Void> drop(DatabaseId id) {
    AtomicBoolean wasThere = new AtomicBoolean();
    return transactions.write(
        transaction -> {
          CompletableFuture<byte[]> created = transaction.get(keys.created(id));
          CompletableFuture<byte[]> head = transaction.get(keys.head(id));
          CompletableFuture<List<KeyValue>> forks =
              Databases.list(transaction, keys.forks(id).begin, keys.forks(id).end, 1, false);
          return CompletableFuture.allOf(created, head, forks)
              .thenCompose(
                  all -> {
                    if (created.join() == null) {
                      if (wasThere.get()) {
                        return Futures.done(); // an attempt before did it
                      }
                      throw FdbErrors.noSuchDatabase(id);
                    }
                    wasThere.set(true);
                    DatabaseRecord record = DatabaseRecord.read(id, created.join());
                    transaction.clear(keys.name(record.name()));
                    if (forks.join().isEmpty()) {
                      transaction.clear(keys.all(id));
                      transaction.clear(keys.todo(id));
                      forkIsGone(transaction, record);
                      return Futures.done();
                    }
                    transaction.clear(keys.created(id));
                    transaction.clear(keys.head(id));
                    transaction.clear(keys.lease(id));
                    transaction.clear(keys.retention(id));
                    transaction.clear(keys.restored(id));
                    transaction.clear(keys.files(id).begin, keys.files(id).end);
                    transaction.set(
                        keys.dropped(id),
                        new DroppedRecord(record, VersionRecord.read(head.join()), false).bytes());
                    transaction.set(keys.todo(id), Values.NOTHING);
                    return databases.abandonStages(transaction, id);
                  });
        });
  }

  /** Tells what a database was forked from that it is gone. */
  void forkIsGone(Transaction transaction, DatabaseRecord record) {
    if (!record.origins().isEmpty()) {
      Origin origin = record.origins().get(0);
      transaction.clear(keys.fork(origin.database(), origin.version(), record.id()));
      transaction.set(keys.forkGone(origin.database(), origin.version()), Values.NOTHING);
      transaction.set(keys.todo(origin.database()), Values.NOTHING);
    }
  }

  CompletableFuture<Void> setRetention(DatabaseId id, Optional<Retention> retention) {
    return transactions.write(
        transaction ->
            databases
                .record(transaction, id)
                .thenAccept(
                    record -> {
                      if (retention.isPresent()) {
                        transaction.set(keys.retention(id), Values.retention(retention.get()));
                      } else {
                        transaction.clear(keys.retention(id));
                      }
                      transaction.set(keys.todo(id), Values.NOTHING);
                    }));
  }
}
