package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Statuses;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The answer to one ReadPages: one message's worth of pages is read when the client has room for
 * it, so that a slow client costs the server one message.
 *
 * <p>Whatever happens (room, a finished read, the end of the call) calls {@link #advance}; one
 * thread at a time takes the steps that are then possible.
 */
final class PageStream {
  private static final int MESSAGE_BYTES = 1 << 20;

  private final ServerCallStreamObserver<ReadPagesResponse> call;
  private final Traffic traffic;
  private final AtomicInteger calls = new AtomicInteger();
  private final AtomicReference<@Nullable Arrival> arrival = new AtomicReference<>();

  private record Arrival(@Nullable List<PageImage> pages, @Nullable Throwable error) {}

  private record Source(
      PageRanges ranges,
      int pagesPerMessage,
      Function<long[], CompletableFuture<List<PageImage>>> read) {}

  private volatile @Nullable Source source;

  // Of the thread that is in advance().
  private boolean reading;
  private boolean finished;

  /** To be made while the RPC's method runs: handlers cannot be set later. */
  PageStream(ServerCallStreamObserver<ReadPagesResponse> call, Traffic traffic) {
    this.call = call;
    this.traffic = traffic;
    call.setOnReadyHandler(this::advance);
    call.setOnCancelHandler(this::advance);
  }

  void start(
      PageRanges ranges, int pageSize, Function<long[], CompletableFuture<List<PageImage>>> read) {
    source = new Source(ranges, MESSAGE_BYTES / Math.max(pageSize, Pages.MIN_PAGE_SIZE), read);
    advance();
  }

  void fail(Throwable error) {
    arrival.set(new Arrival(null, error));
    advance();
  }

  private void advance() {
    if (calls.getAndIncrement() != 0) {
      return; // The thread that is in here takes another round.
    }
    int seen = 1;
    do {
      while (step()) {
        // As far as it goes.
      }
      seen = calls.addAndGet(-seen);
    } while (seen != 0);
  }

  /** Returns whether another step may be possible. */
  private boolean step() {
    if (finished) {
      return false;
    }
    if (call.isCancelled()) {
      finished = true;
      return false;
    }
    Arrival arrived = arrival.getAndSet(null);
    if (arrived != null) {
      reading = false;
      if (arrived.pages == null) {
        finished = true;
        call.onError(Statuses.of(arrived.error == null ? new AssertionError() : arrived.error));
        return false;
      }
      send(arrived.pages);
    }
    Source from = source;
    if (from == null || reading || !call.isReady()) {
      return false;
    }
    long[] pages = from.ranges.take(from.pagesPerMessage);
    if (pages.length == 0) {
      finished = true;
      call.onCompleted();
      return false;
    }
    reading = true;
    CompletableFuture<List<PageImage>> unused =
        from.read
            .apply(pages)
            .whenComplete(
                (images, error) -> {
                  arrival.set(new Arrival(images, error));
                  advance();
                });
    return true;
  }

  private void send(List<PageImage> pages) {
    ReadPagesResponse.Builder message = ReadPagesResponse.newBuilder();
    for (PageImage page : pages) {
      message.addPages(Pages.outgoing(page));
      traffic.pageRead(page.data().remaining());
    }
    call.onNext(message.build());
  }
}
