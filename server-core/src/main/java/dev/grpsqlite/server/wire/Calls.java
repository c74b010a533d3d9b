package dev.grpsqlite.server.wire;

import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import java.util.function.Supplier;

/** The outermost frame of a unary RPC: whatever happens in it, the call is answered once. */
public final class Calls {
  private Calls() {}

  public static <T> void answer(
      StreamObserver<T> observer, Supplier<CompletableFuture<? extends T>> work) {
    answer(observer, cancelled -> work.get());
  }

  /**
   * Answers a call that may have to wait.
   *
   * @param work is given what completes when the call is cancelled
   */
  public static <T> void answer(
      StreamObserver<T> observer,
      Function<CompletableFuture<Void>, CompletableFuture<? extends T>> work) {
    CompletableFuture<Void> cancelled = new CompletableFuture<>();
    if (observer instanceof ServerCallStreamObserver<T> call) {
      // With a handler, an answer to a call that was given up is dropped, not an exception.
      call.setOnCancelHandler(() -> cancelled.complete(null));
    }
    CompletableFuture<? extends T> answer;
    try {
      answer = work.apply(cancelled);
    } catch (RuntimeException e) {
      observer.onError(Statuses.of(e));
      return;
    }
    CompletableFuture<?> unused =
        answer.whenComplete(
            (message, error) -> {
              if (error != null) {
                observer.onError(Statuses.of(error));
              } else {
                observer.onNext(message);
                observer.onCompleted();
              }
            });
  }
}
