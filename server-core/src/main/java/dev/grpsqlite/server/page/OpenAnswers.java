package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.predict.Round;
import dev.grpsqlite.server.predict.Shape;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.OutgoingPages;
import dev.grpsqlite.server.wire.Traffic;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * What an open is answered with: the snapshot, its first page, and as far as the client wants them
 * the pages that its first query will want. Thread-safe.
 */
final class OpenAnswers {
  private final PageStore store;
  private final Traffic traffic;
  private final OpenedPages openedPages;

  OpenAnswers(PageStore store, Traffic traffic) {
    this.store = store;
    this.traffic = traffic;
    this.openedPages = new OpenedPages(store);
  }

  /**
   * @param predictors the session's
   * @param info as it was when the head was delegated
   * @param delegatedMs for how long it stays so
   */
  CompletableFuture<OpenDatabaseResponse> of(
      Function<DatabaseId, Predictor> predictors,
      DatabaseInfo info,
      OpenDatabaseRequest request,
      int delegatedMs) {
    return wanted(info, request)
        .thenCompose(
            snapshot ->
                pages(predictors, request, info.id(), snapshot)
                    .thenApply(
                        pages ->
                            OpenDatabaseResponse.newBuilder()
                                .setDatabaseId(Ids.bytes(info.id()))
                                .setSnapshot(Messages.of(snapshot))
                                .setOldestVersion(info.oldestVersion())
                                .setHeadVersion(info.head().version())
                                .addAllPages(pages)
                                .setReadDelegationMs(delegatedMs)
                                .build()));
  }

  private CompletableFuture<Snapshot> wanted(DatabaseInfo info, OpenDatabaseRequest request) {
    return switch (request.getAtCase()) {
      case AT_VERSION -> store.snapshot(info.id(), Fields.version(request.getAtVersion()));
      case AT_TIME -> store.snapshotAt(info.id(), Fields.time("at_time", request.getAtTime()));
      case AT_NOT_SET -> store.snapshot(info.id(), info.head().version());
    };
  }

  private CompletableFuture<List<Page>> pages(
      Function<DatabaseId, Predictor> predictors,
      OpenDatabaseRequest request,
      DatabaseId database,
      Snapshot snapshot) {
    long credit = Ahead.creditAtOpen(request.getPrefetchCreditBytes());
    if (snapshot.pageCount() == 0) {
      return CompletableFuture.completedFuture(List.of());
    }
    if (credit == 0) {
      return firstPage(database, snapshot)
          .thenApply(first -> outgoing(first, request.getAcceptLz4()));
    }
    Predictor predictor = predictors.apply(database);
    return openedPages
        .of(database, snapshot)
        .thenCompose(
            reading -> {
              OpenedPages.Answer before = reading.before(credit, request.getAcceptLz4());
              if (before != null && predictor.openedLike(before.opened())) {
                traffic.pagesAhead(before.pages().size() - 1);
                traffic.pagesRead(before.pages().size(), before.plainBytes());
                return CompletableFuture.completedFuture(before.pages());
              }
              return firstPage(database, snapshot)
                  .thenCompose(
                      first ->
                          withAhead(
                              predictor, snapshot, first, credit, request.getAcceptLz4(), reading));
            });
  }

  private CompletableFuture<List<PageImage>> firstPage(DatabaseId database, Snapshot snapshot) {
    return store.read(database, snapshot.version(), new long[] {1});
  }

  private CompletableFuture<List<Page>> withAhead(
      Predictor predictor,
      Snapshot snapshot,
      List<PageImage> first,
      long credit,
      boolean lz4,
      OpenedPages.Reading reading) {
    Shape shape = Ahead.shape(snapshot);
    Round round = predictor.opened(shape, first.get(0), credit);
    if (round == null) {
      return CompletableFuture.completedFuture(outgoing(first, lz4));
    }
    return Ahead.collect(round, reading::read)
        .thenApply(
            ahead -> {
              traffic.pagesAhead(ahead.pages().size());
              List<PageImage> all = new ArrayList<>(first);
              all.addAll(ahead.pages());
              List<Page> pages = outgoing(all, lz4);
              reading.keep(
                  ahead.all()
                      ? new OpenedPages.Answer(
                          credit, lz4, pages, PageImage.bytes(all), predictor.asOpened(shape, all))
                      : null);
              return pages;
            });
  }

  private List<Page> outgoing(List<PageImage> images, boolean lz4) {
    OutgoingPages outgoing = new OutgoingPages(lz4);
    traffic.pagesRead(images.size(), PageImage.bytes(images));
    return images.stream().map(outgoing::of).toList();
  }
}
