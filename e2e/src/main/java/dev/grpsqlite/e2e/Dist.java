package dev.grpsqlite.e2e;

import java.nio.file.Files;
import java.nio.file.Path;

/** Where the distribution is that is tested, and what else of the source tree the tests use. */
public final class Dist {
  private static final Path ROOT =
      Path.of(System.getProperty("grpsqlite.root", "..")).toAbsolutePath().normalize();

  private Dist() {}

  public static Path root() {
    return ROOT;
  }

  /** The launch script of a server: {@code memory-server}, {@code rocksdb-server}. */
  public static Path server(String name) {
    return existing(ROOT.resolve("dist/bin").resolve(name));
  }

  /** The command {@code grpsqlite}. */
  public static Path command() {
    return existing(ROOT.resolve("dist/bin/grpsqlite"));
  }

  /** What {@code grpsqlite import} speaks to servers with. */
  public static Path relay() {
    return existing(ROOT.resolve("dist/lib/grpsqlite_relay"));
  }

  /** The extension, as {@code .load} wants it. */
  public static Path library() {
    return existing(ROOT.resolve("dist/lib/libgrpsqlite_vfs.so"));
  }

  /** The extension built with ThreadSanitizer. */
  public static Path threadSanitizedLibrary() {
    return existing(ROOT.resolve("vfs-native/target/thread/libgrpsqlite_vfs.so"));
  }

  /** A program of the tests: {@code src/test/python/} or {@code src/test/c/}. */
  public static Path source(String path) {
    return existing(ROOT.resolve("e2e/src/test").resolve(path));
  }

  /** The folder of test data that a user's clone does not have. It may not exist. */
  public static Path testData() {
    String given = System.getenv("GRPSQLITE_TEST_DATA");
    return given != null ? Path.of(given) : ROOT.resolve("../shared/data").normalize();
  }

  private static Path existing(Path path) {
    if (!Files.exists(path)) {
      throw new IllegalStateException(path + " does not exist; make dist");
    }
    return path;
  }
}
