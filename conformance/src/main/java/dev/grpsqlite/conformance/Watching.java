package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;

/** The client's end of a Watch. Its events are taken in the order in which they came. */
final class Watching extends ClientCall.Listener<WatchResponse> {
  private final ClientCall<WatchRequest, WatchResponse> call;
  private final BlockingQueue<WatchResponse> events = new LinkedBlockingQueue<>();
  private final CompletableFuture<StatusRuntimeException> ended = new CompletableFuture<>();
  private final long sent = System.nanoTime();

  private Watching(Trial trial, WatchRequest request) {
    call = trial.channel().newCall(PageStoreGrpc.getWatchMethod(), CallOptions.DEFAULT);
    trial.atEnd(() -> call.cancel("the rule was checked", null));
    call.start(this, new Metadata());
    call.request(1);
    call.sendMessage(request);
    call.halfClose();
  }

  static WatchRequest.Builder request(PageClient client) {
    return WatchRequest.newBuilder().setSessionId(client.session).setConfirmEveryMs(50);
  }

  static WatchRequest.Builder of(PageClient client) {
    return request(client)
        .addDatabases(
            WatchRequest.Database.newBuilder()
                .setDatabaseId(client.database)
                .setHaveVersion(client.head));
  }

  static Watching start(Trial trial, WatchRequest.Builder request) {
    return new Watching(trial, request.build());
  }

  /** Watches the client's database, and has been told that the watch has begun. */
  static Watching begun(Trial trial, PageClient client) throws Exception {
    Watching watching = start(trial, of(client));
    WatchResponse unused = watching.next("Confirmed", WatchResponse::hasConfirmed);
    return watching;
  }

  @Override
  public void onMessage(WatchResponse message) {
    events.add(message);
    call.request(1);
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    ended.complete(new StatusRuntimeException(status, trailers));
  }

  /** How long ago, in milliseconds, the request was sent. */
  long elapsedMs() {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - sent);
  }

  /** The next event. */
  WatchResponse next() throws Exception {
    WatchResponse event = events.poll(Target.CALL_SECONDS, TimeUnit.SECONDS);
    if (event == null) {
      StatusRuntimeException end = ended.getNow(null);
      throw new Violation(
          "Watch told nothing for "
              + Target.CALL_SECONDS
              + " s"
              + (end == null ? "" : "; it ended with " + Expect.shown(end.getStatus())));
    }
    return event;
  }

  /** The next event of a kind; others are skipped. */
  WatchResponse next(String kind, Predicate<WatchResponse> wanted) throws Exception {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(Target.CALL_SECONDS);
    WatchResponse event = next();
    while (!wanted.test(event)) {
      Expect.that(
          System.nanoTime() - until < 0,
          "Watch told no " + kind + " within " + Target.CALL_SECONDS + " s");
      event = next();
    }
    return event;
  }

  /** Waits for the end of the stream, and throws what it ended with. */
  void end() throws Exception {
    try {
      throw ended.get(Target.CALL_SECONDS, TimeUnit.SECONDS);
    } catch (TimeoutException e) {
      throw new Violation("the stream did not end within " + Target.CALL_SECONDS + " s");
    } catch (ExecutionException e) {
      throw new IllegalStateException(e);
    }
  }
}
