package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** Who may commit. Thread-safe. */
final class Leases {
  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;

  Leases(Transactions transactions, Databases databases) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
  }

  /** Of an attempt that was applied, though nobody heard of it, the next one finds the result. */
  CompletableFuture<LeaseState> acquire(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return transactions.write(
        transaction ->
            databases
                .lease(transaction, database)
                .thenCompose(
                    now -> {
                      if (now.holder() != null && !displaced.equals(Optional.of(now))) {
                        return Futures.done(now);
                      }
                      return set(transaction, database, new LeaseState(now.epoch() + 1, session));
                    }));
  }

  CompletableFuture<Void> release(DatabaseId database, SessionId session, long epoch) {
    return transactions.write(
        transaction ->
            databases
                .lease(transaction, database)
                .thenCompose(
                    now ->
                        now.epoch() != epoch || !session.equals(now.holder())
                            ? Futures.done()
                            : set(transaction, database, new LeaseState(epoch, null))
                                .thenApply(state -> null)));
  }

  private CompletableFuture<LeaseState> set(
      Transaction transaction, DatabaseId database, LeaseState state) {
    transaction.set(keys.lease(database), Values.lease(state));
    return databases.abandonStages(transaction, database).thenApply(abandoned -> state);
  }
}
