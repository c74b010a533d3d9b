package dev.grpsqlite.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.io.File;
import java.io.IOException;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs that come and go within one JVM, each with its own classes. */
@ExtendWith(GrpsqliteExtension.class)
class ClassLoadersTest {
  @TempDir Path folder;

  @Test
  void oneIsReplacedByAnother(GrpsqliteDataSource database) throws Exception {
    for (int run = 1; run <= 3; run++) {
      run(database.url(), Integer.toString(run));
      System.gc();
    }
  }

  @Test
  void whatOneForgetsToCloseHarmsNobody() throws Exception {
    try (GrpsqliteServer server = GrpsqliteServer.start()) {
      // Its heartbeat goes on, whatever becomes of its classes.
      run(server.jdbcUrl("forget.db"), "1");
      System.gc();
      run(server.jdbcUrl("main.db"), "1");
    }
    // The heartbeat has failed by now, or does beside this.
    try (GrpsqliteServer server = GrpsqliteServer.start()) {
      run(server.jdbcUrl("main.db"), "1");
    }
  }

  /**
   * Of one that closed its connections and took its drivers off the registry no class stays, and no
   * thread: where the container brings sqlite-jdbc and jnr-ffi; and where the program does, if it
   * has not asked for statistics. jnr-ffi, by which they are got, keeps its own class loader.
   */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void ofOneThatIsGoneNoClassStays(boolean sharesSqlite) throws Exception {
    ClassLoader platform = ClassLoader.getPlatformClassLoader();
    try (GrpsqliteServer server = GrpsqliteServer.start();
        URLClassLoader shared = new URLClassLoader(classPath("shared"), platform)) {
      WeakReference<ClassLoader> gone =
          sharesSqlite
              ? runAndForget(server.jdbcUrl("main.db"), classPath("own"), shared)
              : runAndForget(server.jdbcUrl("uncounted.db"), classPath(""), platform);
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      while (gone.get() != null && System.nanoTime() < deadline) {
        System.gc();
        Thread.onSpinWait();
      }
      assertNull(gone.get(), "its class loader is still reachable");
    }
  }

  private static WeakReference<ClassLoader> runAndForget(
      String url, URL[] classPath, ClassLoader parent) throws Exception {
    try (URLClassLoader own = new URLClassLoader(classPath, parent)) {
      assertEquals("1", webapp(own).apply(url));
      for (Thread thread : Thread.getAllStackTraces().keySet()) {
        assertNotSame(own, thread.getContextClassLoader(), thread.getName());
      }
      return new WeakReference<>(own);
    }
  }

  private static void run(String url, String expected) throws Exception {
    try (URLClassLoader own =
        new URLClassLoader(classPath(""), ClassLoader.getPlatformClassLoader())) {
      assertEquals(expected, webapp(own).apply(url));
    }
  }

  @Test
  void twoShareSqlite(GrpsqliteDataSource database) throws Exception {
    try (URLClassLoader shared =
            new URLClassLoader(classPath("shared"), ClassLoader.getPlatformClassLoader());
        URLClassLoader one = new URLClassLoader(classPath("own"), shared);
        URLClassLoader two = new URLClassLoader(classPath("own"), shared)) {
      assertEquals("1", webapp(one).apply(database.url()));
      assertEquals("2", webapp(two).apply(database.url()));
      assertEquals("3", webapp(one).apply(database.url()));
    }
  }

  @Test
  void aLibraryThatCannotBeLoadedIsToldWithAllThatWasTried(GrpsqliteDataSource database)
      throws Exception {
    String message = withProperty("grpsqlite.library", "/no/such/library.so", database.url());
    assertTrue(message.contains("/no/such/library.so, by a copy in "), message);
    assertTrue(message.contains("there is no such file"), message);
    assertTrue(message.contains(System.getProperty("os.arch")), message);

    Path text = Files.writeString(folder.resolve("text.so"), "no library");
    message = withProperty("grpsqlite.library", text.toString(), database.url());
    assertTrue(message.contains("too short"), message);

    message = withProperty("os.arch", "pdp11", database.url());
    assertTrue(
        message.contains("native/Linux/pdp11/") && message.contains("none for this platform"),
        message);
  }

  @Test
  void theLibraryCanBeNamedAndNoCopyOfItStays(GrpsqliteDataSource database) throws Exception {
    Path library = folder.resolve("given.so");
    try (java.io.InputStream in =
        GrpsqliteDataSource.class.getResourceAsStream(
            "/dev/grpsqlite/native/Linux/"
                + System.getProperty("os.arch")
                + "/libgrpsqlite_vfs.so")) {
      Files.copy(java.util.Objects.requireNonNull(in), library);
    }
    Path copies = Files.createDirectory(folder.resolve("copies"));
    String before = System.setProperty("grpsqlite.tmpdir", copies.toString());
    try {
      assertEquals("1", withProperty("grpsqlite.library", library.toString(), database.url()));
      // The same file, in another SQLite.
      assertEquals("2", withProperty("grpsqlite.library", library.toString(), database.url()));
    } finally {
      restore("grpsqlite.tmpdir", before);
    }
    try (Stream<Path> left = Files.list(copies)) {
      assertEquals(List.of(), left.toList());
    }
  }

  private static String withProperty(String name, String value, String url) throws Exception {
    try (URLClassLoader own =
        new URLClassLoader(classPath(""), ClassLoader.getPlatformClassLoader())) {
      // It goes by os.arch as well, and is not to be misled.
      Class.forName("org.sqlite.SQLiteJDBCLoader", true, own).getMethod("initialize").invoke(null);
      String before = System.setProperty(name, value);
      try {
        return webapp(own).apply(url);
      } finally {
        restore(name, before);
      }
    }
  }

  private static void restore(String property, @org.jspecify.annotations.Nullable String before) {
    if (before == null) {
      System.clearProperty(property);
    } else {
      System.setProperty(property, before);
    }
  }

  @SuppressWarnings("unchecked") // that class implements it
  private static UnaryOperator<String> webapp(ClassLoader loader) throws Exception {
    return (UnaryOperator<String>)
        loader.loadClass(Webapp.class.getName()).getConstructor().newInstance();
  }

  /** Of these tests: all of it, or what is a program's "own", or what programs have "shared". */
  private static URL[] classPath(String part) throws IOException {
    List<Path> own = List.of(place(Webapp.class), place(GrpsqliteDataSource.class));
    List<URL> urls = new ArrayList<>();
    for (String each : System.getProperty("java.class.path").split(File.pathSeparator, -1)) {
      Path path = Path.of(each).toAbsolutePath();
      if (part.isEmpty() || own.contains(path) == part.equals("own")) {
        urls.add(path.toUri().toURL());
      }
    }
    return urls.toArray(URL[]::new);
  }

  private static Path place(Class<?> type) {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().getPath());
  }
}
