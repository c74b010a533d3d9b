package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Has what is done for one session id and one database done one after the other. Thread-safe;
 * nothing is called under its monitor.
 */
final class LeaseTurns {
  /** Whose turn it is not yet; with an empty queue it is somebody's turn. */
  private final Map<Key, Queue<Supplier<CompletableFuture<?>>>> waiting = new HashMap<>();

  private record Key(SessionId session, DatabaseId database) {}

  <T> CompletableFuture<T> inTurn(
      SessionId session, DatabaseId database, Supplier<CompletableFuture<T>> step) {
    Key key = new Key(session, database);
    CompletableFuture<T> answer = new CompletableFuture<>();
    Supplier<CompletableFuture<?>> turn =
        () ->
            step.get()
                .whenComplete(
                    (value, error) -> {
                      if (error == null) {
                        answer.complete(value);
                      } else {
                        answer.completeExceptionally(error);
                      }
                    });
    if (begins(key, turn)) {
      run(key, turn);
    }
    return answer;
  }

  private synchronized boolean begins(Key key, Supplier<CompletableFuture<?>> turn) {
    Queue<Supplier<CompletableFuture<?>>> before = waiting.putIfAbsent(key, new ArrayDeque<>());
    return before == null || !before.add(turn);
  }

  private synchronized @Nullable Supplier<CompletableFuture<?>> next(Key key) {
    Supplier<CompletableFuture<?>> next = waiting.getOrDefault(key, new ArrayDeque<>()).poll();
    if (next == null) {
      waiting.remove(key);
    }
    return next;
  }

  /** A loop, for many that wait would else be as many calls deep. */
  private void run(Key key, Supplier<CompletableFuture<?>> first) {
    Supplier<CompletableFuture<?>> turn = first;
    while (turn != null) {
      CompletableFuture<?> done = turn.get();
      if (!done.isDone()) {
        CompletableFuture<?> unused =
            done.whenComplete(
                (value, error) -> {
                  Supplier<CompletableFuture<?>> next = next(key);
                  if (next != null) {
                    run(key, next);
                  }
                });
        return;
      }
      turn = next(key);
    }
  }
}
