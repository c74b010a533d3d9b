package dev.grpsqlite.server.page;

import dev.grpsqlite.server.predict.Round;
import dev.grpsqlite.server.predict.Shape;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Snapshot;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Pages that nobody asked for yet. */
final class Ahead {
  private static final Logger log = LoggerFactory.getLogger(Ahead.class);

  /** Of one answer, whatever the client says. */
  private static final long MOST_BYTES = 16L << 20;

  /** What comes with an open is one message. */
  static final long MOST_AT_OPEN_BYTES = 3L << 20;

  private Ahead() {}

  static long credit(int unsigned) {
    return Math.min(Integer.toUnsignedLong(unsigned), MOST_BYTES);
  }

  static long creditAtOpen(int unsigned) {
    return Math.min(Integer.toUnsignedLong(unsigned), MOST_AT_OPEN_BYTES);
  }

  static Shape shape(Snapshot snapshot) {
    return new Shape(snapshot.version(), snapshot.pageSize(), snapshot.pageCount());
  }

  /**
   * What a round wanted to be sent.
   *
   * @param all whether nothing failed before the end
   */
  record Collected(List<PageImage> pages, boolean all) {}

  /** That the round fails, or a read, ends it early, and is no error. */
  static CompletableFuture<Collected> collect(
      Round round, Function<long[], CompletableFuture<List<PageImage>>> read) {
    List<PageImage> sent = new ArrayList<>();
    return CompletableFuture.completedFuture(List.<PageImage>of())
        .thenCompose(nothing -> collect(round, read, nothing, sent))
        .handle(
            (done, error) -> {
              if (error != null) {
                log.debug("what was to be sent ahead could not be found out", error);
              }
              round.close();
              return new Collected(sent, error == null);
            });
  }

  private static CompletableFuture<Void> collect(
      Round round,
      Function<long[], CompletableFuture<List<PageImage>>> read,
      List<PageImage> pages,
      List<PageImage> sent) {
    sent.addAll(round.take(pages));
    long[] wanted = round.wanted();
    return wanted.length == 0
        ? CompletableFuture.completedFuture(null)
        : read.apply(wanted).thenCompose(images -> collect(round, read, images, sent));
  }
}
