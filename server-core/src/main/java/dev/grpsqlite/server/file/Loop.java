package dev.grpsqlite.server.file;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;

/** Steps one after the other, without a deep stack where they are complete on return. */
final class Loop {
  private Loop() {}

  /** Takes steps until one answers false or fails. */
  static CompletableFuture<Void> whileTrue(Supplier<CompletableFuture<Boolean>> step) {
    while (true) {
      CompletableFuture<Boolean> result = step.get();
      if (!result.isDone()) {
        return result.thenCompose(
            more -> more ? whileTrue(step) : CompletableFuture.<Void>completedFuture(null));
      }
      try {
        if (!result.join()) {
          return CompletableFuture.completedFuture(null);
        }
      } catch (CompletionException e) {
        return CompletableFuture.failedFuture(e.getCause() == null ? e : e.getCause());
      }
    }
  }
}
