package dev.grpsqlite.server.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class AnnouncingStoreTest {
  private static final DatabaseId DATABASE = new DatabaseId(1, 2);
  private static final SessionId SESSION = new SessionId(3, 4);
  private static final CommitId ID = new CommitId(5, 6);

  private final List<Method> called = new ArrayList<>();
  private final List<DatabaseId> moved = new ArrayList<>();
  private final List<DatabaseId> free = new ArrayList<>();
  private CompletableFuture<?> answer = new CompletableFuture<>();
  private final AnnouncingStore store = new AnnouncingStore(recording());

  AnnouncingStoreTest() {
    store.whenHeadMayHaveMoved(moved::add);
    store.whenLeaseMayBeFree(free::add);
  }

  private PageStore recording() {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, method, arguments) -> {
              called.add(method);
              return method.getReturnType() == CompletableFuture.class ? answer : null;
            });
  }

  @Test
  void whateverAStoreCanDoIsPassedOn() throws Exception {
    Commit commit = new Commit(DATABASE, SESSION, 1, ID, 0, 512, 0, null, List.of());
    for (Method method : PageStore.class.getMethods()) {
      if (Modifier.isStatic(method.getModifiers())) {
        continue;
      }
      called.clear();
      @Nullable Object[] arguments = new @Nullable Object[method.getParameterCount()];
      for (int i = 0; i < arguments.length; i++) {
        Class<?> type = method.getParameterTypes()[i];
        arguments[i] =
            type == long.class
                ? (Object) 0L
                : type == int.class
                    ? (Object) 0
                    : type == Commit.class ? commit : type == List.class ? List.of() : null;
      }
      method.invoke(store, arguments);
      assertEquals(List.of(method), called);
    }
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
