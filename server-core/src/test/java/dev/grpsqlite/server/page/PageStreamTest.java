package dev.grpsqlite.server.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.predict.Relations;
import dev.grpsqlite.server.predict.Shape;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** An answer has an end, whatever goes wrong behind it. */
class PageStreamTest {
  private static final int PAGE_SIZE = 4096;

  private static final Traffic NO_TRAFFIC =
      new Traffic() {
        @Override
        public void pagesRead(long pages, long bytes) {}

        @Override
        public void pagesAhead(long pages) {}

        @Override
        public void pagesWritten(long pages, long bytes) {}

        @Override
        public void committed() {}
      };

  /** A client that always has room. */
  private static final class Call extends ServerCallStreamObserver<ReadPagesResponse> {
    private final List<Long> pages = new ArrayList<>();
    private int ends;
    private @Nullable Throwable error;

    @Override
    public void onNext(ReadPagesResponse message) {
      message.getPagesList().forEach(page -> pages.add((long) page.getNumber()));
    }

    @Override
    public void onError(Throwable failed) {
      ends++;
      error = failed;
    }

    @Override
    public void onCompleted() {
      ends++;
    }

    @Override
    public boolean isReady() {
      return true;
    }

    @Override
    public boolean isCancelled() {
      return false;
    }

    @Override
    public void setOnReadyHandler(Runnable handler) {}

    @Override
    public void setOnCancelHandler(Runnable handler) {}

    @Override
    public void setOnReadyThreshold(int bytes) {}

    @Override
    public void setCompression(String compression) {}

    @Override
    public void disableAutoInboundFlowControl() {}

    @Override
    public void request(int count) {}

    @Override
    public void setMessageCompression(boolean enable) {}
  }

  private static PageStream stream(Call call) {
    return new PageStream(call, NO_TRAFFIC, false);
  }

  private static PageRanges ranges(int pages) {
    return PageRanges.of(List.of(PageRange.newBuilder().setFirst(1).setCount(pages).build()), 1000);
  }

  private static CompletableFuture<List<PageImage>> read(long... numbers) {
    List<PageImage> images = new ArrayList<>();
    for (long number : numbers) {
      images.add(new PageImage(number, 1, 0, ByteBuffer.allocate(PAGE_SIZE)));
    }
    return CompletableFuture.completedFuture(images);
  }

  private static IllegalStateException broken() {
    return new IllegalStateException("broken");
  }

  @Test
  void aStoreThatThrowsIsAnError() {
    Call call = new Call();
    stream(call)
        .start(
            ranges(3),
            PAGE_SIZE,
            pages -> {
              throw broken();
            },
            demanded -> null);
    assertEquals(1, call.ends);
    assertNotNull(call.error);
    assertEquals(Status.Code.INTERNAL, Status.fromThrowable(call.error).getCode());
  }

  @Test
  void aPredictionThatThrowsTakesNothingAway() {
    Call call = new Call();
    stream(call)
        .start(
            ranges(3),
            PAGE_SIZE,
            PageStreamTest::read,
            demanded -> {
              throw broken();
            });
    assertEquals(1, call.ends);
    assertNull(call.error);
    assertEquals(List.of(1L, 2L, 3L), call.pages);
  }

  @Test
  void aRoundThatThrowsTakesNothingAwayAndIsClosed() {
    Call call = new Call();
    Predictor predictor = new Predictor(new Relations());
    Shape shape = new Shape(1, PAGE_SIZE, 100);
    List<Long> wanted = new ArrayList<>();
    stream(call)
        .start(
            PageRanges.of(List.of(PageRange.newBuilder().setFirst(2).setCount(1).build()), 1),
            PAGE_SIZE,
            pages -> {
              wanted.add(pages[0]);
              return pages[0] == 2 ? read(2) : noPages();
            },
            demanded -> predictor.demanded(shape, demanded, 1 << 20));
    assertEquals(List.of(2L, 1L), wanted);
    assertEquals(1, call.ends);
    assertNull(call.error);
    assertEquals(List.of(2L), call.pages);
    assertNotNull(predictor.demanded(shape, read(2).join(), 1 << 20), "the next round may begin");
  }

  /** What no store may return. */
  private static CompletableFuture<List<PageImage>> noPages() {
    return CompletableFuture.completedFuture(Collections.singletonList(null));
  }
}
