package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.spi.PageStore;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.function.BiPredicate;

/** A store in which some calls wait until they are run. */
public final class HeldBackStore {
  private HeldBackStore() {}

  /**
   * Makes one of a store.
   *
   * @param which by a method's name and the arguments
   */
  public static PageStore of(
      PageStore store, BiPredicate<String, Object[]> which, Queue<Runnable> heldBack) {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, method, arguments) -> {
              if (arguments == null || !which.test(method.getName(), arguments)) {
                return method.invoke(store, arguments);
              }
              CompletableFuture<Object> answer = new CompletableFuture<>();
              heldBack.add(() -> answer.complete(call(store, method, arguments).join()));
              return answer;
            });
  }

  private static CompletableFuture<?> call(PageStore store, Method method, Object[] arguments) {
    try {
      return (CompletableFuture<?>) method.invoke(store, arguments);
    } catch (ReflectiveOperationException e) {
      throw new LinkageError(e.getMessage(), e);
    }
  }
}
