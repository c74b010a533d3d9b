package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.proto.v1.WatchResponse.EventCase;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The client's end of a Watch. Its events are taken in the order in which they came. */
final class TestWatch extends ClientCall.Listener<WatchResponse> {
  private static final int SECONDS = 30;

  private final ClientCall<WatchRequest, WatchResponse> call;
  private final LinkedBlockingQueue<WatchResponse> events = new LinkedBlockingQueue<>();
  private final CompletableFuture<StatusRuntimeException> ended = new CompletableFuture<>();
  private volatile boolean reading = true;

  TestWatch(Channel channel, WatchRequest request) {
    call = channel.newCall(PageStoreGrpc.getWatchMethod(), CallOptions.DEFAULT);
    call.start(this, new Metadata());
    call.request(1);
    call.sendMessage(request);
    call.halfClose();
  }

  @Override
  public void onMessage(WatchResponse message) {
    events.add(message);
    if (reading) {
      call.request(1);
    }
  }

  @Override
  public void onClose(Status status, Metadata trailers) {
    ended.complete(new StatusRuntimeException(status, trailers));
  }

  /** Takes at most one more message from the network, until {@link #resume}. */
  void pause() {
    reading = false;
  }

  void resume() {
    reading = true;
    call.request(1);
  }

  void cancel() {
    call.cancel("enough", null);
  }

  /** The next event of whatever kind. */
  WatchResponse next() throws InterruptedException {
    WatchResponse event = events.poll(SECONDS, TimeUnit.SECONDS);
    assertNotNull(event, "nothing was told");
    return event;
  }

  /** The next event, confirmations aside, which is of this kind. */
  WatchResponse next(EventCase kind) throws InterruptedException {
    WatchResponse event = next();
    while (event.hasConfirmed() && kind != EventCase.CONFIRMED) {
      event = next();
    }
    assertEquals(kind, event.getEventCase(), event::toString);
    return event;
  }

  /** What comes next is that a head moved. */
  WatchResponse.HeadMoved headMovedAtOnce() throws InterruptedException {
    WatchResponse event = next();
    assertEquals(EventCase.HEAD_MOVED, event.getEventCase());
    return event.getHeadMoved();
  }

  WatchResponse.HeadMoved headMoved() throws InterruptedException {
    return next(EventCase.HEAD_MOVED).getHeadMoved();
  }

  /** Skips what was told of earlier versions. */
  WatchResponse.HeadMoved skipToVersion(long version) throws InterruptedException {
    WatchResponse event = next();
    while (!event.hasHeadMoved() || event.getHeadMoved().getHead().getVersion() < version) {
      event = next();
    }
    return event.getHeadMoved();
  }

  /** Skips what was told up to the first confirmation of this moment or a later one. */
  void skipTo(long elapsedMs) throws InterruptedException {
    WatchResponse event = next();
    while (!event.hasConfirmed() || event.getConfirmed().getElapsedMs() < elapsedMs) {
      event = next();
    }
  }

  /** Waits for the end of the stream, and throws it unless it is a good one. */
  void end() throws Exception {
    StatusRuntimeException end = ended.get(SECONDS, TimeUnit.SECONDS);
    if (!end.getStatus().isOk()) {
      throw end;
    }
  }
}
