package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.ReadTransaction;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * Which versions the sessions of all processes may read.
 *
 * <p>Each process writes down, for each database, a version at or below the lowest that its
 * sessions may read. It does so in the transaction that finds the version to be there, before
 * anybody is told of it; and whoever raises a floor reads what all processes wrote down in the
 * transaction that raises it. One of two such transactions conflicts, or comes after the other. So
 * no version goes that a session was told of. What is written down rises by and by.
 *
 * <p>Thread-safe.
 */
final class Pins {
  private static final long NONE = Long.MAX_VALUE;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final SnapshotPins sessions;
  private final long process;

  /** What is written down, or will be before the next transaction of its database begins. */
  private final ConcurrentHashMap<DatabaseId, Long> published = new ConcurrentHashMap<>();

  /** The last transaction of a database; the next one waits for it. */
  private final ConcurrentHashMap<DatabaseId, CompletableFuture<?>> last =
      new ConcurrentHashMap<>();

  /** What the store itself reads, by database and version: how often. */
  private final ConcurrentHashMap<DatabaseId, TreeMap<Long, Integer>> held =
      new ConcurrentHashMap<>();

  Pins(Transactions transactions, Databases databases, SnapshotPins sessions, long process) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.sessions = sessions;
    this.process = process;
  }

  void hold(DatabaseId database, long version) {
    held.compute(
        database,
        (id, versions) -> {
          TreeMap<Long, Integer> changed =
              versions == null ? new TreeMap<>() : new TreeMap<>(versions);
          changed.merge(version, 1, Integer::sum);
          return changed;
        });
  }

  void letGo(DatabaseId database, long version) {
    held.computeIfPresent(
        database,
        (id, versions) -> {
          TreeMap<Long, Integer> changed = new TreeMap<>(versions);
          changed.computeIfPresent(version, (key, count) -> count == 1 ? null : count - 1);
          return changed.isEmpty() ? null : changed;
        });
  }

  /** The lowest version that this process may read. */
  private long needed(DatabaseId database) {
    TreeMap<Long, Integer> versions = held.get(database);
    long own = versions == null ? NONE : versions.firstKey();
    return Math.min(own, sessions.oldestPinned(database));
  }

  /**
   * Makes sure that a version that is there stays, as long as a session or the store pins it. Fails
   * with NO_SUCH_DATABASE, NO_SUCH_VERSION, SNAPSHOT_TOO_OLD.
   */
  CompletableFuture<VersionRecord> publish(DatabaseId database, long version) {
    Long written = published.get(database);
    if (written != null && written <= version) {
      return transactions.read(transaction -> databases.readable(transaction, database, version));
    }
    return inTurn(
        database,
        () -> {
          long lowest = Math.min(version, published.getOrDefault(database, NONE));
          return transactions
              .write(
                  transaction -> {
                    transaction.addReadConflictKey(keys.oldest(database));
                    return databases
                        .readable(transaction.snapshot(), database, version)
                        .thenApply(
                            record -> {
                              transaction.set(keys.pin(process, database), Values.number(lowest));
                              return record;
                            });
                  })
              .thenApply(
                  record -> {
                    published.put(database, lowest);
                    return record;
                  });
        });
  }

  private <T> CompletableFuture<T> inTurn(
      DatabaseId database, Supplier<CompletableFuture<T>> work) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    CompletableFuture<?> before = last.put(database, answer);
    CompletableFuture<?> turn = before == null ? Futures.done() : before;
    CompletableFuture<?> unused =
        turn.whenComplete(
            (done, problem) -> {
              CompletableFuture<T> unusedToo =
                  work.get()
                      .whenComplete(
                          (value, error) -> {
                            last.remove(database, answer);
                            if (error == null) {
                              answer.complete(value);
                            } else {
                              answer.completeExceptionally(FdbErrors.of(error));
                            }
                          });
            });
    return answer;
  }

  /**
   * Writes down what is the lowest now, where it is another than was written. Complete when that is
   * there, and what others were writing when this began.
   */
  CompletableFuture<Void> refresh() {
    Set<DatabaseId> all = new HashSet<>(published.keySet());
    all.addAll(sessions.pinnedDatabases());
    List<CompletableFuture<?>> written = new ArrayList<>();
    last.values().forEach(turn -> written.add(turn.handle((done, error) -> done)));
    for (DatabaseId database : all) {
      if (needed(database) != published.getOrDefault(database, NONE)) {
        written.add(inTurn(database, () -> write(database)));
      }
    }
    return CompletableFuture.allOf(written.toArray(new CompletableFuture<?>[0]));
  }

  /** Of a view that was entered since, the publishing is still to come: it waits for this. */
  private CompletableFuture<Void> write(DatabaseId database) {
    long needed = needed(database);
    Long before = published.get(database);
    if (needed == NONE) {
      published.remove(database); // whoever comes now publishes again, behind this
    }
    return transactions
        .<Void>write(
            transaction -> {
              if (needed == NONE) {
                transaction.clear(keys.pin(process, database));
              } else {
                transaction.set(keys.pin(process, database), Values.number(needed));
              }
              return Futures.done();
            })
        .thenAccept(
            done -> {
              if (needed != NONE) {
                published.put(database, needed);
              }
            })
        .whenComplete(
            (done, error) -> {
              if (error != null && before != null) {
                published.putIfAbsent(database, before); // it may still be written
              }
            });
  }

  /** All that was written down is gone: this process was thought dead. */
  CompletableFuture<Void> publishAgain() {
    published.clear();
    return refresh();
  }

  /** The lowest version that anybody may read; in a transaction that raises the floor. */
  CompletableFuture<Long> oldestPinned(Transaction transaction, DatabaseId database) {
    return Databases.list(transaction, keys.processes())
        .thenCompose(
            processes -> {
              List<CompletableFuture<Long>> pins = new ArrayList<>();
              for (KeyValue each : processes) {
                pins.add(pinned(transaction, keys.processOf(each.getKey()), database));
              }
              return Futures.all(pins);
            })
        .thenApply(
            pins -> {
              long lowest = needed(database);
              for (long pin : pins) {
                lowest = Math.min(lowest, pin);
              }
              return lowest;
            });
  }

  private CompletableFuture<Long> pinned(
      ReadTransaction transaction, long of, DatabaseId database) {
    return transaction
        .get(keys.pin(of, database))
        .thenApply(value -> value == null ? NONE : Values.number(value));
  }
}
