package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.server.predict.Round;
import dev.grpsqlite.server.session.Session;
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
   * @param info as it was when the head was delegated
   * @param delegatedMs for how long it stays so
   */
  CompletableFuture<OpenDatabaseResponse> of(
      Session session, DatabaseInfo info, OpenDatabaseRequest request, int delegatedMs) {
    return wanted(info, request)
        .thenCompose(
            snapshot ->
                firstPage(info.id(), snapshot)
                    .thenCompose(first -> withAhead(session, request, info.id(), snapshot, first))
                    .thenApply(
                        pages ->
                            answer(info, snapshot, pages, request.getAcceptLz4())
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

  private CompletableFuture<List<PageImage>> firstPage(DatabaseId database, Snapshot snapshot) {
    return snapshot.pageCount() == 0
        ? CompletableFuture.completedFuture(List.of())
        : store.read(database, snapshot.version(), new long[] {1});
  }

  private CompletableFuture<List<PageImage>> withAhead(
      Session session,
      OpenDatabaseRequest request,
      DatabaseId database,
      Snapshot snapshot,
      List<PageImage> first) {
    long credit = Ahead.creditAtOpen(request.getPrefetchCreditBytes());
    Round round =
        credit == 0 || first.isEmpty()
            ? null
            : session.predictor(database).opened(Ahead.shape(snapshot), first.get(0), credit);
    if (round == null) {
      return CompletableFuture.completedFuture(first);
    }
    return openedPages
        .of(database, snapshot)
        .thenCompose(
            reading ->
                Ahead.collect(round, reading::read).whenComplete((ahead, error) -> reading.keep()))
        .thenApply(
            ahead -> {
              traffic.pagesAhead(ahead.size());
              List<PageImage> all = new ArrayList<>(first);
              all.addAll(ahead);
              return all;
            });
  }

  private OpenDatabaseResponse.Builder answer(
      DatabaseInfo info, Snapshot snapshot, List<PageImage> pages, boolean lz4) {
    OutgoingPages outgoing = new OutgoingPages(lz4);
    OpenDatabaseResponse.Builder answer =
        OpenDatabaseResponse.newBuilder()
            .setDatabaseId(Ids.bytes(info.id()))
            .setSnapshot(Messages.of(snapshot))
            .setOldestVersion(info.oldestVersion())
            .setHeadVersion(info.head().version());
    long bytes = 0;
    for (PageImage page : pages) {
      answer.addPages(outgoing.of(page));
      bytes += page.data().remaining();
    }
    traffic.pagesRead(pages.size(), bytes);
    return answer;
  }
}
