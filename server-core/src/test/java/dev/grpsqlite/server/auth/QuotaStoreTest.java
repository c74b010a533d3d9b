package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.PageStore;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class QuotaStoreTest {
  private final List<Method> called = new ArrayList<>();
  private final PageStore recording =
      (PageStore)
          Proxy.newProxyInstance(
              PageStore.class.getClassLoader(),
              new Class<?>[] {PageStore.class},
              (proxy, method, arguments) -> {
                called.add(method);
                return method.getReturnType() == CompletableFuture.class
                    ? new CompletableFuture<>()
                    : null;
              });

  @Test
  void whateverAStoreCanDoIsPassedOn() throws Exception {
    PageStore store =
        new QuotaStore(recording, Access.open(), Quota.ofAll(Long.MAX_VALUE, Long.MAX_VALUE));
    for (Method method : PageStore.class.getMethods()) {
      if (Modifier.isStatic(method.getModifiers())) {
        continue;
      }
      called.clear();
      @Nullable Object[] arguments = new @Nullable Object[method.getParameterCount()];
      for (int i = 0; i < arguments.length; i++) {
        Class<?> type = method.getParameterTypes()[i];
        arguments[i] = type == long.class ? (Object) 0L : type == int.class ? (Object) 0 : null;
      }
      method.invoke(store, arguments);
      assertEquals(List.of(method), called);
    }
  }
}
