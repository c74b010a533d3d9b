package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.predict.Round;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.wire.OutgoingPages;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Statuses;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.stub.ServerCallStreamObserver;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The answer to one ReadPages: what was asked for, and then what is thought to be asked for next.
 * The next pages are read while a message or two are on their way, so that reading and sending go
 * on beside each other; a slow client costs the server no more than those.
 *
 * <p>Whatever happens (room, a finished read, the end of the call) calls {@link #advance}; one
 * thread at a time takes the steps that are then possible.
 */
final class PageStream {
  private static final Logger log = LoggerFactory.getLogger(PageStream.class);
  private static final int MESSAGE_BYTES = 512 << 10;

  /** Of pages that are compressed on the way, which takes an event loop half a millisecond. */
  private static final int COMPRESSED_MESSAGE_BYTES = 256 << 10;

  /** While so much is yet to be sent, the next pages are read. */
  private static final int UNSENT_BYTES = 1 << 20;

  private final ServerCallStreamObserver<ReadPagesResponse> call;
  private final Traffic traffic;
  private final OutgoingPages outgoing;
  private final int messageBytes;
  private final AtomicInteger calls = new AtomicInteger();
  private final AtomicReference<@Nullable Arrival> arrival = new AtomicReference<>();

  private record Arrival(@Nullable List<PageImage> pages, @Nullable Throwable error) {}

  private record Source(
      PageRanges ranges,
      int pagesPerMessage,
      Function<long[], CompletableFuture<List<PageImage>>> read,
      Function<List<PageImage>, @Nullable Round> predict) {}

  private volatile @Nullable Source source;

  // Of the thread that is in advance().
  private boolean reading;
  private boolean finished;

  /** What was asked for, if it is little. */
  private final List<PageImage> demanded = new ArrayList<>();

  private @Nullable Round round;
  private boolean roundBegan;

  /** The client has its answer; what the round finds out is for later. */
  private boolean completed;

  /** What the round wanted to see, once it is here. */
  private @Nullable List<PageImage> seen;

  /** What the round wants to be sent. */
  private final Deque<PageImage> ahead = new ArrayDeque<>();

  /**
   * To be made while the RPC's method runs: handlers cannot be set later.
   *
   * @param lz4 whether pages may be sent so
   */
  PageStream(ServerCallStreamObserver<ReadPagesResponse> call, Traffic traffic, boolean lz4) {
    this.call = call;
    this.traffic = traffic;
    this.outgoing = new OutgoingPages(lz4);
    this.messageBytes = lz4 ? COMPRESSED_MESSAGE_BYTES : MESSAGE_BYTES;
    call.setOnReadyThreshold(UNSENT_BYTES);
    call.setOnReadyHandler(this::advance);
    call.setOnCancelHandler(this::advance);
  }

  /**
   * Begins to answer.
   *
   * @param predict what follows from the pages that were asked for; null: nothing does
   */
  void start(
      PageRanges ranges,
      int pageSize,
      Function<long[], CompletableFuture<List<PageImage>>> read,
      Function<List<PageImage>, @Nullable Round> predict) {
    int pagesPerMessage = messageBytes / Math.max(pageSize, Pages.MIN_PAGE_SIZE);
    source = new Source(ranges, pagesPerMessage, read, predict);
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
    int seenCalls = 1;
    do {
      goOn();
      seenCalls = calls.addAndGet(-seenCalls);
    } while (seenCalls != 0);
  }

  /** Steps as far as they go. Whatever happens in them, the call has an end. */
  private void goOn() {
    try {
      while (step()) {
        // And another.
      }
    } catch (RuntimeException e) {
      if (!finished) {
        finish();
      }
      if (!roundBegan) {
        call.onError(Statuses.of(e));
        return;
      }
      log.warn("what was to be sent ahead could not be found out", e);
      if (!completed) {
        call.onCompleted();
      }
    }
  }

  /** Returns whether another step may be possible. */
  private boolean step() {
    if (finished) {
      return false;
    }
    if (call.isCancelled() && !completed) {
      finish();
      return false;
    }
    Arrival arrived = arrival.getAndSet(null);
    if (arrived != null) {
      reading = false;
      take(arrived);
      return true;
    }
    Source from = source;
    if (from == null || reading || !(completed || call.isReady())) {
      return false;
    }
    if (!ahead.isEmpty()) {
      sendAhead(from.pagesPerMessage);
      return true;
    }
    if (!roundBegan) {
      long[] pages = from.ranges.take(from.pagesPerMessage);
      if (pages.length > 0) {
        read(from, pages);
        return true;
      }
      roundBegan = true;
      round = from.predict.apply(demanded);
      seen = List.of();
      completeIfOnlyLearning();
    }
    if (round == null) {
      complete();
      return false;
    }
    if (seen != null) {
      // Nothing, if the call is completed.
      ahead.addAll(round.take(seen));
      seen = null;
      completeIfOnlyLearning();
      return true;
    }
    long[] wanted = round.wanted();
    if (wanted.length == 0) {
      complete();
      return false;
    }
    read(from, wanted);
    return true;
  }

  private void completeIfOnlyLearning() {
    if (!completed && round != null && ahead.isEmpty() && !round.maySend()) {
      completed = true;
      call.onCompleted();
    }
  }

  private void take(Arrival arrived) {
    if (roundBegan) {
      if (arrived.pages == null) {
        complete(); // What was asked for is there, and the rest was a favour.
      } else {
        seen = arrived.pages;
      }
    } else if (arrived.pages == null) {
      finish();
      call.onError(Statuses.of(arrived.error == null ? new AssertionError() : arrived.error));
    } else {
      send(arrived.pages);
      if (demanded.size() <= Predictor.MOST_PAGES) {
        demanded.addAll(arrived.pages);
      }
    }
  }

  private void read(Source from, long[] pages) {
    reading = true;
    CompletableFuture<List<PageImage>> unused =
        from.read
            .apply(pages)
            .whenComplete(
                (images, error) -> {
                  arrival.set(new Arrival(images, error));
                  advance();
                });
  }

  private void sendAhead(int atMost) {
    List<PageImage> pages = new ArrayList<>();
    while (pages.size() < atMost && !ahead.isEmpty()) {
      pages.add(ahead.removeFirst());
    }
    traffic.pagesAhead(pages.size());
    send(pages);
  }

  private void send(List<PageImage> pages) {
    ReadPagesResponse.Builder message = ReadPagesResponse.newBuilder();
    for (PageImage page : pages) {
      message.addPages(outgoing.of(page));
    }
    traffic.pagesRead(pages.size(), PageImage.bytes(pages));
    call.onNext(message.build());
  }

  private void complete() {
    finish();
    if (!completed) {
      call.onCompleted();
    }
  }

  private void finish() {
    finished = true;
    if (round != null) {
      round.close();
    }
  }
}
