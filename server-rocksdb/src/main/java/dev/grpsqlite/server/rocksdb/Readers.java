package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.StoreException;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.rocksdb.RocksDBException;

/**
 * Answers on the caller's thread what is in memory, and the rest on threads that may wait for the
 * disk. Thread-safe.
 */
final class Readers {
  /** Beyond it the disk is not keeping up, and waiting in line helps nobody. */
  private static final int WAITING = 10_000;

  private static final long IDLE_SECONDS = 30;

  /** Something to read, again from the start if it was not in memory. Has no effect. */
  @FunctionalInterface
  interface Reading<T> {
    T from(Tier tier) throws RocksDBException;
  }

  private final Engine engine;
  private final ThreadPoolExecutor threads;

  Readers(Engine engine, int threads) {
    this.engine = engine;
    AtomicInteger count = new AtomicInteger();
    this.threads =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(WAITING),
            task -> new Thread(task, "rocksdb-read-" + count.incrementAndGet()));
    this.threads.allowCoreThreadTimeOut(true);
  }

  <T> CompletableFuture<T> answer(Reading<T> reading) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    if (!attempt(reading, Tier.MEMORY, answer)) {
      later(reading, answer);
    }
    return answer;
  }

  /** For what takes longer than the caller's thread should be held up, in memory or not. */
  <T> CompletableFuture<T> answerFromDisk(Reading<T> reading) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    later(reading, answer);
    return answer;
  }

  private <T> void later(Reading<T> reading, CompletableFuture<T> answer) {
    try {
      threads.execute(() -> attempt(reading, Tier.DISK, answer));
    } catch (RejectedExecutionException e) {
      answer.completeExceptionally(
          threads.isShutdown()
              ? RocksErrors.closed()
              : RocksErrors.limit("too many reads are waiting for the disk"));
    }
  }

  /** The outermost frame of every read. Says whether the future is complete. */
  private <T> boolean attempt(Reading<T> reading, Tier tier, CompletableFuture<T> answer) {
    T value;
    try {
      if (!engine.enter()) {
        throw RocksErrors.closed();
      }
      try {
        value = reading.from(tier);
      } finally {
        engine.leave();
      }
    } catch (RocksDBException e) {
      if (tier == Tier.MEMORY && RocksErrors.notInMemory(e)) {
        return false;
      }
      return answer.completeExceptionally(RocksErrors.of(e));
    } catch (StoreException e) {
      return answer.completeExceptionally(e);
    } catch (RuntimeException e) {
      return answer.completeExceptionally(RocksErrors.of(e));
    }
    return answer.complete(value);
  }

  /** Waits for what is under way. */
  void close() {
    threads.shutdown();
    Threads.await(threads);
  }
}
