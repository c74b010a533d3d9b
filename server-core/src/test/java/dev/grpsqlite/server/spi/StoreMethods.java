package dev.grpsqlite.server.spi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Whatever {@link PageStore} has, also what it does not have yet: for tests of stores on others.
 */
public final class StoreMethods {
  private StoreMethods() {}

  private static List<Method> all() {
    return Arrays.stream(PageStore.class.getMethods())
        .filter(method -> !Modifier.isStatic(method.getModifiers()))
        .toList();
  }

  /** The names of those that a class has not of its own. */
  public static Set<String> notOverriddenBy(Class<? extends PageStore> type) {
    List<Method> own = List.of(type.getDeclaredMethods());
    Set<String> names = new TreeSet<>();
    for (Method method : all()) {
      if (own.stream().noneMatch(mine -> overrides(mine, method))) {
        names.add(method.getName());
      }
    }
    return names;
  }

  private static boolean overrides(Method mine, Method method) {
    return mine.getName().equals(method.getName())
        && Arrays.equals(mine.getParameterTypes(), method.getParameterTypes());
  }

  /** Each method of the store is a call of the same one of the store that it is on. */
  public static void assertEachIsPassedOn(UnaryOperator<PageStore> on) throws Exception {
    List<Method> called = new ArrayList<>();
    List<@Nullable Object> passed = new ArrayList<>();
    PageStore recording =
        (PageStore)
            Proxy.newProxyInstance(
                PageStore.class.getClassLoader(),
                new Class<?>[] {PageStore.class},
                (proxy, method, arguments) -> {
                  called.add(method);
                  passed.addAll(arguments == null ? List.of() : Arrays.asList(arguments));
                  return method.getReturnType() == CompletableFuture.class
                      ? new CompletableFuture<>()
                      : null;
                });
    PageStore store = on.apply(recording);
    for (Method method : all()) {
      called.clear();
      passed.clear();
      @Nullable Object[] arguments = new @Nullable Object[method.getParameterCount()];
      for (int i = 0; i < arguments.length; i++) {
        arguments[i] = argument(method.getParameterTypes()[i], i);
      }
      method.invoke(store, arguments);
      assertEquals(List.of(method), called);
      assertArrayEquals(arguments, passed.toArray(), method::getName);
    }
  }

  /** No two of a method are equal. */
  private static @Nullable Object argument(Class<?> type, int position) {
    if (type == long.class) {
      return 100L + position;
    }
    if (type == int.class) {
      return 100 + position;
    }
    if (type == String.class) {
      return "argument " + position;
    }
    if (type == DatabaseId.class) {
      return new DatabaseId(1, position);
    }
    if (type == SessionId.class) {
      return new SessionId(1, position);
    }
    if (type == Commit.class) {
      return new Commit(
          new DatabaseId(1, 2),
          new SessionId(3, 4),
          1,
          new CommitId(5, 6),
          0,
          512,
          0,
          null,
          List.of());
    }
    if (type == List.class) {
      return List.of();
    }
    return type == Optional.class ? Optional.empty() : null;
  }
}
