package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Stores as tests want them. */
final class TestStores {
  private TestStores() {}

  static <T> T get(CompletableFuture<T> future) {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw failure;
      }
      throw new AssertionError(e);
    } catch (TimeoutException | InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Collects all the time. */
  static FdbPageStore.Settings settings(String prefix, Retention retention) {
    return new FdbPageStore.Settings(
        prefix, retention, Duration.ofMillis(20), Duration.ofMillis(5), Duration.ofMinutes(1));
  }
}
