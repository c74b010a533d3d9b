package dev.grpsqlite.server.rocksdb;

import java.util.concurrent.CompletableFuture;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Chains whose failures stay what they are; {@code thenCompose} would wrap them. */
final class Futures {
  private Futures() {}

  /** Does something when a future is complete, with its value or its failure. */
  @SuppressWarnings("FutureReturnValueIgnored") // what it is done with does not fail
  static <T> void when(CompletableFuture<T> future, BiConsumer<T, @Nullable Throwable> action) {
    future.whenComplete(action);
  }

  static <A, B> CompletableFuture<B> then(
      CompletableFuture<A> first, Function<A, CompletableFuture<B>> next) {
    CompletableFuture<B> result = new CompletableFuture<>();
    when(
        first,
        (value, failure) -> {
          if (failure != null) {
            result.completeExceptionally(failure);
          } else {
            pipe(next.apply(value), result);
          }
        });
    return result;
  }

  static <T> void pipe(CompletableFuture<T> from, CompletableFuture<T> to) {
    when(
        from,
        (value, failure) -> {
          if (failure != null) {
            to.completeExceptionally(failure);
          } else {
            to.complete(value);
          }
        });
  }
}
