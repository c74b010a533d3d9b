package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/** Has the lease of a database, and takes it from whoever has it. */
final class TestWriter {
  static final int PAGE_SIZE = 4096;

  private final PageStore store;
  final DatabaseId database;
  final SessionId session;
  final long epoch;

  TestWriter(PageStore store, String name) {
    this(store, name, new SessionId(name.hashCode(), 1));
  }

  TestWriter(PageStore store, String name, SessionId session) {
    this.store = store;
    this.session = session;
    database = get(store.findOrCreate(name)).id();
    LeaseState now = get(store.lease(database));
    // What it has from before a restart it goes on with; anybody else's it takes.
    Optional<LeaseState> displaced =
        session.equals(now.holder()) ? Optional.empty() : Optional.of(now);
    epoch = get(store.acquireLease(database, session, displaced)).epoch();
  }

  long head() {
    return get(store.head(database)).version();
  }

  /** Pages of the numbers from 1 to count, each with the same content. */
  static PageImage[] all(int count, long seed) {
    return LongStream.rangeClosed(1, count)
        .mapToObj(number -> TestPages.page(number, PAGE_SIZE, seed))
        .toArray(PageImage[]::new);
  }

  long commit(int pageCount, PageImage... pages) {
    return get(commitLater(head(), pageCount, null, pages));
  }

  CompletableFuture<Long> commitLater(
      long base, int pageCount, @Nullable StageId stage, PageImage... pages) {
    return store.commit(next(base, pageCount, stage, pages));
  }

  Commit next(long base, int pageCount, @Nullable StageId stage, PageImage... pages) {
    return new Commit(
        database,
        session,
        epoch,
        new CommitId(epoch, base),
        base,
        PAGE_SIZE,
        pageCount,
        stage,
        Arrays.asList(pages));
  }

  void stage(StageId stage, PageImage... pages) {
    stage(stage, StageCalls.UNCOUNTED, pages);
  }

  void stage(StageId stage, long call, PageImage... pages) {
    get(store.stage(database, session, epoch, stage, call, PAGE_SIZE, Arrays.asList(pages)));
  }

  CompletableFuture<Void> dropStage(StageId stage) {
    return store.dropStage(database, session, stage);
  }

  List<PageImage> read(long version, int count) {
    return get(store.read(database, version, LongStream.rangeClosed(1, count).toArray()));
  }
}
