package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.StoreException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One thread that deletes what nobody needs any more, in batches of bounded size, so that a restart
 * in between costs one batch. Thread-safe.
 */
final class Background {
  private static final Logger log = LoggerFactory.getLogger(Background.class);

  /** The entries of a batch of deletions. */
  static final int BATCH = 1000;

  /** Enough to be worth the writing of a table when they are deleted. */
  static final int MANY_PAGES = 4096;

  private final Engine engine;
  private final ScheduledThreadPoolExecutor thread =
      new ScheduledThreadPoolExecutor(1, task -> new Thread(task, "rocksdb-background"));
  private volatile boolean closing;

  Background(Engine engine) {
    this.engine = engine;
    thread.setExecuteExistingDelayedTasksAfterShutdownPolicy(false);
    thread.setContinueExistingPeriodicTasksAfterShutdownPolicy(false);
  }

  /** Whether work should stop at the next good moment; it goes on after the next start. */
  boolean isClosing() {
    return closing;
  }

  void repeat(Runnable task, Duration first, Duration every) {
    Future<?> unused =
        thread.scheduleWithFixedDelay(
            () -> run(task), first.toMillis(), every.toMillis(), TimeUnit.MILLISECONDS);
  }

  void later(Runnable task, Duration after) {
    Future<?> unused = thread.schedule(() -> run(task), after.toMillis(), TimeUnit.MILLISECONDS);
  }

  private static void run(Runnable task) {
    try {
      task.run();
    } catch (RuntimeException e) { // the thread's outermost frame; a periodic task would end
      log.error("work in the background failed", e);
    }
  }

  /** Does something now. */
  <T> CompletableFuture<T> call(Callable<T> task) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    try {
      thread.execute(
          () -> {
            T value;
            try {
              value = task.call();
            } catch (StoreException e) {
              answer.completeExceptionally(e);
              return;
            } catch (Exception e) { // the thread's outermost frame
              if (!closing) {
                log.error("work in the background failed", e);
              }
              answer.completeExceptionally(RocksErrors.of(e));
              return;
            }
            answer.complete(value);
          });
    } catch (RejectedExecutionException e) {
      answer.completeExceptionally(RocksErrors.closed());
    }
    return answer;
  }

  /** Deletes an abandoned stage's pages and list, then the stage. */
  void delete(DatabaseState state, Stage stage) {
    Future<?> unused =
        call(
            () -> {
              deleteNow(state, stage);
              return null;
            });
  }

  private void deleteNow(DatabaseState state, Stage stage) throws RocksDBException {
    byte[] prefix = Keys.changed(stage.database, stage.version, stage.attempt);
    byte[] stageKey = Keys.stage(stage.database, stage.version, stage.attempt);
    long deleted = 0;
    try (WriteBatch batch = new WriteBatch();
        RocksIterator lists = engine.metaScan()) {
      // Whatever is deleted below is never found by a commit after a restart: this is before it.
      engine.put(batch, stageKey, stage.record.abandon().bytes());
      lists.seek(prefix);
      for (; lists.isValid(); lists.next()) {
        byte[] key = lists.key();
        if (!Keys.startsWith(key, prefix)) {
          break;
        }
        long[] numbers = Values.pages(lists.value());
        for (long page : numbers) {
          engine.deletePage(batch, Keys.page(stage.database, page, stage.version, stage.attempt));
        }
        deleted += numbers.length;
        engine.delete(batch, key);
        if (batch.count() >= BATCH) {
          engine.writeInBackground(batch);
          batch.clear();
          if (closing) {
            return;
          }
        }
      }
      lists.status();
      engine.delete(batch, stageKey);
      engine.writeInBackground(batch);
    }
    if (deleted >= MANY_PAGES) {
      engine.flush();
    }
    state.remove(stage);
  }

  /** The databases that have an entry of a kind. */
  List<Long> databasesWith(byte kind) throws RocksDBException {
    List<Long> numbers = new ArrayList<>();
    byte[] prefix = {kind};
    try (RocksIterator each = engine.metaIterator(Tier.DISK)) {
      each.seek(prefix);
      for (; each.isValid() && Keys.startsWith(each.key(), prefix); each.next()) {
        long number = Keys.databaseOf(each.key());
        if (numbers.isEmpty() || numbers.get(numbers.size() - 1) != number) {
          numbers.add(number);
        }
      }
      each.status();
    }
    return numbers;
  }

  /** Stops at the next good moment, and waits for it. */
  void close() {
    closing = true;
    thread.shutdown();
    Threads.await(thread);
  }
}
