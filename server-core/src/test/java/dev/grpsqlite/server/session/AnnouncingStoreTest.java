package dev.grpsqlite.server.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreMethods;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import org.junit.jupiter.api.Test;

class AnnouncingStoreTest {
  private static final DatabaseId DATABASE = new DatabaseId(1, 2);
  private static final SessionId SESSION = new SessionId(3, 4);
  private static final CommitId ID = new CommitId(5, 6);
  private static final ScheduledExecutorService TIMER =
      new ScheduledThreadPoolExecutor(
          1,
          work -> {
            Thread thread = new Thread(work);
            thread.setDaemon(true);
            return thread;
          });

  private final List<DatabaseId> moved = new ArrayList<>();
  private final List<DatabaseId> free = new ArrayList<>();
  private CompletableFuture<?> answer = new CompletableFuture<>();
  private final AnnouncingStore store = delegating(answering());

  AnnouncingStoreTest() {
    store.whenHeadMayHaveMoved(moved::add);
    store.whenLeaseMayBeFree(free::add);
  }

  private static AnnouncingStore delegating(PageStore store) {
    return new AnnouncingStore(store, new ReadDelegations(System::nanoTime, TIMER));
  }

  private PageStore answering() {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, method, arguments) -> answer);
  }

  /**
   * Whoever adds an operation says here that it moves no head, and neither takes nor frees a lease.
   */
  private static final Set<String> SILENT =
      Set.of(
          "capabilities",
          "mark",
          "changes",
          "close",
          "dropStage",
          "dropStages",
          "figures",
          "refusesWrites",
          "find",
          "findOrCreate",
          "fork",
          "head",
          "history",
          "info",
          "lease",
          "list",
          "neighbours",
          "read",
          "readStaged",
          "setRetention",
          "sideFiles",
          "snapshot",
          "snapshotAt",
          "stage",
          "stageInBulk");

  @Test
  void whatMovesAHeadOrFreesALeaseIsNotTheStoresAlone() {
    assertEquals(SILENT, StoreMethods.notOverriddenBy(AnnouncingStore.class));
  }

  @Test
  void whateverAStoreCanDoIsPassedOn() throws Exception {
    StoreMethods.assertEachIsPassedOn(AnnouncingStoreTest::delegating);
  }

  @Test
  void aHeadIsAnnouncedBeforeTheCommitIsAnswered() {
    CompletableFuture<Long> made = new CompletableFuture<>();
    answer = made;
    List<Integer> announcedByThen = new ArrayList<>();
    CompletableFuture<Void> answered =
        store
            .restore(DATABASE, SESSION, 1, ID, 0)
            .thenAccept(version -> announcedByThen.add(moved.size()));
    assertEquals(List.of(), moved);
    made.complete(7L);
    assertTrue(answered.isDone());
    assertEquals(List.of(DATABASE), moved);
    assertEquals(List.of(1), announcedByThen);
  }

  @Test
  void whatMayHaveBeenAppliedIsAnnouncedAndWhatWasNotIsNot() {
    for (StoreException.Code code : StoreException.Code.values()) {
      moved.clear();
      answer =
          CompletableFuture.failedFuture(new CompletionException(new StoreException(code, "")));
      assertTrue(store.restore(DATABASE, SESSION, 1, ID, 0).isCompletedExceptionally());
      assertEquals(code == StoreException.Code.STORE_FAILED ? 1 : 0, moved.size(), code::name);
    }
  }

  @Test
  void aLeaseThatWasGivenBackOrDroppedMayBeFree() {
    answer = CompletableFuture.completedFuture(null);
    assertTrue(store.releaseLease(DATABASE, SESSION, 1).isDone());
    assertEquals(List.of(DATABASE), free);
    assertTrue(store.drop(DATABASE).isDone());
    assertEquals(List.of(DATABASE, DATABASE), free);
    assertEquals(List.of(DATABASE), moved);
  }
}
