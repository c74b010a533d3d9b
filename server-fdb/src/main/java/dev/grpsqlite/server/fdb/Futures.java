package dev.grpsqlite.server.fdb;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;

/** What the JDK's futures lack. */
final class Futures {
  /** Longer than any transaction lasts, with all its attempts. */
  private static final long TRANSACTION_SECONDS = 60;

  private Futures() {}

  /**
   * Waits for a transaction, as the background alone may, and who opens a store.
   *
   * @throws StoreException if it failed
   */
  static <T> T get(CompletableFuture<T> future) throws InterruptedException {
    try {
      return future.get(TRANSACTION_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw FdbErrors.of(e);
    }
  }

  static <T> CompletableFuture<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }

  static CompletableFuture<Void> done() {
    return CompletableFuture.allOf();
  }

  /** Null. */
  @SuppressWarnings("NullAway") // a future's value is not checked
  static <T> CompletableFuture<T> nothing() {
    return CompletableFuture.completedFuture(null);
  }

  /** The same answer or failure, but after something else was done, whatever comes of that. */
  static <T> CompletableFuture<T> after(
      CompletableFuture<T> answer, Supplier<CompletableFuture<Void>> work) {
    CompletableFuture<T> later = new CompletableFuture<>();
    CompletableFuture<T> unused =
        answer.whenComplete(
            (value, error) -> {
              CompletableFuture<Void> unusedToo =
                  work.get()
                      .whenComplete(
                          (done, problem) -> {
                            if (error == null) {
                              later.complete(value);
                            } else {
                              later.completeExceptionally(FdbErrors.of(error));
                            }
                          });
            });
    return later;
  }

  /** All answers, in their order. */
  static <T> CompletableFuture<List<T>> all(List<CompletableFuture<T>> futures) {
    return CompletableFuture.allOf(futures.toArray(new CompletableFuture<?>[0]))
        .thenApply(
            all -> {
              List<T> values = new ArrayList<>(futures.size());
              futures.forEach(future -> values.add(future.join())); // they are complete
              return values;
            });
  }

  /** Takes steps, one after the other, until one says that there is no other. */
  static CompletableFuture<Void> whileTrue(Supplier<CompletableFuture<Boolean>> step) {
    CompletableFuture<Void> end = new CompletableFuture<>();
    loop(step, end);
    return end;
  }

  /** A loop, for many steps that are done at once would else be as many calls deep. */
  private static void loop(Supplier<CompletableFuture<Boolean>> step, CompletableFuture<Void> end) {
    try {
      CompletableFuture<Boolean> taken = step.get();
      while (taken.isDone()) {
        if (!taken.join()) {
          end.complete(null);
          return;
        }
        taken = step.get();
      }
      CompletableFuture<Boolean> unused =
          taken.whenComplete(
              (more, error) -> {
                if (error != null) {
                  end.completeExceptionally(FdbErrors.cause(error));
                } else if (more) {
                  loop(step, end);
                } else {
                  end.complete(null);
                }
              });
    } catch (RuntimeException e) {
      end.completeExceptionally(FdbErrors.cause(e));
    }
  }
}
