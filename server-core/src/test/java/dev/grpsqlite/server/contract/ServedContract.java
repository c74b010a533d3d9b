package dev.grpsqlite.server.contract;

import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.ForwardingPageStore;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageId;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** What the contracts through a socket have in common: a store of their own, and its server. */
abstract class ServedContract {
  static final long TTL_MS = 10_000;

  @TempDir protected @Nullable Path folder;

  private @Nullable PageStore opened;
  private @Nullable ServedStore serving;

  /** Opens the store of a test. */
  abstract PageStore openStore(SnapshotPins pins, Path in) throws Exception;

  @BeforeEach
  void serve() throws Exception {
    serving =
        new ServedStore(
            ServerOptions.DEFAULTS,
            pins -> {
              try {
                opened = openStore(pins, folder == null ? Path.of("") : folder);
                return kept(opened);
              } catch (Exception e) {
                throw new AssertionError(e);
              }
            });
    // Not at the very beginning, where every holder is thought alive.
    server().pass(TTL_MS + 1);
  }

  /** Closes the server, and starts another over the same store. */
  void restart(ServerOptions options) throws Exception {
    server().close();
    PageStore store = store();
    serving = new ServedStore(options, pins -> kept(store));
  }

  @AfterEach
  void stop() {
    server().close();
    if (opened != null) {
      opened.close();
    }
  }

  /**
   * A store that a server cannot close, so that another can serve it afterwards. It looks at what
   * is staged in bulk when other requests have come.
   */
  private static PageStore kept(PageStore store) {
    return new ForwardingPageStore(store) {
      @Override
      public CompletableFuture<Void> stageInBulk(
          DatabaseId database,
          SessionId session,
          long epoch,
          StageId stage,
          long call,
          int pageSize,
          List<PageImage> pages) {
        return CompletableFuture.runAsync(
                () -> {}, CompletableFuture.delayedExecutor(20, TimeUnit.MILLISECONDS))
            .thenCompose(
                late -> store.stageInBulk(database, session, epoch, stage, call, pageSize, pages));
      }

      @Override
      public void close() {}
    };
  }

  PageStore store() {
    PageStore store = opened;
    if (store == null) {
      throw new AssertionError("not open");
    }
    return store;
  }

  ServedStore server() {
    ServedStore current = serving;
    if (current == null) {
      throw new AssertionError("not serving");
    }
    return current;
  }

  PageStoreGrpc.PageStoreBlockingStub pages() {
    return PageStoreGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
  }

  AdminGrpc.AdminBlockingStub admin() {
    return AdminGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
  }
}
