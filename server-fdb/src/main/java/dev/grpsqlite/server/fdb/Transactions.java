package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Database;
import com.apple.foundationdb.FDBException;
import com.apple.foundationdb.ReadTransaction;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.EngineFigure;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * Runs transactions, by FoundationDB's own loop of attempts. What is given to it may be run several
 * times, also when an attempt of which nobody heard was applied (commit_unknown_result): so it
 * looks for its own effect first, or has the same effect again.
 *
 * <p>No attempt is committed that is too large or took too long. FoundationDB's own limits are 10
 * MB and 5 s, counted from the read version.
 *
 * <p>Thread-safe. Nothing waits in here: whatever follows runs on the binding's executor.
 */
final class Transactions implements AutoCloseable {
  static final long MOST_BYTES = 9_000_000;
  static final long MOST_MILLIS = 4_000;

  /** FoundationDB's number for a transaction that took too long; its loop begins another one. */
  private static final int TRANSACTION_TOO_OLD = 1007;

  private final Database database;
  private final LongSupplier nanoTime;
  private final AtomicLong largestBytes = new AtomicLong();
  private final AtomicLong longestMillis = new AtomicLong();
  private final AtomicLong tooLong = new AtomicLong();
  private volatile boolean closed;

  Transactions(Database database, LongSupplier nanoTime) {
    this.database = database;
    this.nanoTime = nanoTime;
  }

  /** Fails with StoreException alone. */
  <T> CompletableFuture<T> write(Function<Transaction, CompletableFuture<T>> work) {
    if (closed) {
      return CompletableFuture.failedFuture(FdbErrors.closed());
    }
    return answer(
        database.runAsync(
            transaction ->
                transaction
                    .getReadVersion()
                    .thenCompose(
                        version -> {
                          long begun = nanoTime.getAsLong();
                          return work.apply(transaction)
                              .thenCompose(value -> checked(transaction, begun, value));
                        })));
  }

  private <T> CompletableFuture<T> checked(Transaction transaction, long begun, T value) {
    return transaction
        .getApproximateSize()
        .thenApply(
            bytes -> {
              long millis = TimeUnit.NANOSECONDS.toMillis(nanoTime.getAsLong() - begun);
              if (bytes > MOST_BYTES) {
                throw new IllegalStateException("a transaction of " + bytes + " bytes");
              }
              if (millis > MOST_MILLIS) {
                tooLong.incrementAndGet();
                throw new FDBException("a transaction of ours took too long", TRANSACTION_TOO_OLD);
              }
              largestBytes.accumulateAndGet(bytes, Math::max);
              longestMillis.accumulateAndGet(millis, Math::max);
              return value;
            });
  }

  /** Reads conflict with nothing. Fails with StoreException alone. */
  <T> CompletableFuture<T> read(Function<ReadTransaction, CompletableFuture<T>> work) {
    if (closed) {
      return CompletableFuture.failedFuture(FdbErrors.closed());
    }
    return answer(database.runAsync(transaction -> work.apply(transaction.snapshot())));
  }

  private static <T> CompletableFuture<T> answer(CompletableFuture<T> result) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    CompletableFuture<T> unused =
        result.whenComplete(
            (value, error) -> {
              if (error == null) {
                answer.complete(value);
              } else {
                answer.completeExceptionally(FdbErrors.of(error));
              }
            });
    return answer;
  }

  List<EngineFigure> figures() {
    return List.of(
        new EngineFigure(
            "grpsqlite_fdb_largest_transaction_bytes",
            "Bytes of the largest transaction since the start; FoundationDB's limit is 10 MB.",
            largestBytes::get),
        new EngineFigure(
            "grpsqlite_fdb_longest_transaction_seconds",
            "From read version to commit, since the start; FoundationDB's limit is 5 s.",
            () -> longestMillis.get() / 1000.0),
        new EngineFigure(
            "grpsqlite_fdb_transactions_too_long",
            "Attempts since the start that took over 4 s, and were begun again.",
            tooLong::get));
  }

  /** Bytes of the largest transaction that was committed. */
  long largestBytes() {
    return largestBytes.get();
  }

  /** From its read version to its commit. */
  long longestMillis() {
    return longestMillis.get();
  }

  boolean isClosed() {
    return closed;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      database.close();
    }
  }
}
