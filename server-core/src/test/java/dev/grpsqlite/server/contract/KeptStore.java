package dev.grpsqlite.server.contract;

import dev.grpsqlite.server.spi.PageStore;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;

/** A store that a server cannot close, so that another can serve it afterwards. */
final class KeptStore {
  private KeptStore() {}

  static PageStore of(PageStore store) {
    return (PageStore)
        Proxy.newProxyInstance(
            PageStore.class.getClassLoader(),
            new Class<?>[] {PageStore.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("close")) {
                return null;
              }
              try {
                return method.invoke(store, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause() == null ? e : e.getCause();
              }
            });
  }
}
