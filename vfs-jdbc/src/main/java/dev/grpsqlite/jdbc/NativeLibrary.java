package dev.grpsqlite.jdbc;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.sqlite.SQLiteException;
import org.sqlite.jdbc4.JDBC4Connection;

/**
 * The extension, in the SQLite that sqlite-jdbc brings.
 *
 * <p>sqlite-jdbc shows none of its SQLite's functions, so the way in is SQL's {@code
 * load_extension()}, on a connection of our own; no other one needs to be allowed that.
 *
 * <p><b>Class loaders.</b> Each that brings sqlite-jdbc brings a SQLite of its own, and one copy of
 * the library serves one SQLite. So what is loaded is always a copy that nobody else has, which is
 * deleted as soon as it is. Where several class loaders share sqlite-jdbc, the first to come loads
 * the library for all. It stays until the JVM ends, idle when no database is open.
 *
 * <p>Thread-safe.
 */
final class NativeLibrary {
  /** The library to load, and none else. */
  static final String PATH_PROPERTY = "grpsqlite.library";

  /** Where to put the copy: a folder from which code may be run. */
  static final String TMPDIR_PROPERTY = "grpsqlite.tmpdir";

  private static final String FILE = "libgrpsqlite_vfs.so";
  private static final String SUFFIX = ".so";
  private static final String ENTRY_POINT = "grpsqlite_named_init";
  private static final String PLATFORM =
      System.getProperty("os.name") + "/" + System.getProperty("os.arch");

  private static @Nullable NativeLibrary registered;

  private final Path path;

  private NativeLibrary(Path path) {
    this.path = path;
  }

  /**
   * Loads it if that has not been done.
   *
   * @throws SQLException which says all that was tried. It is tried again the next time.
   */
  static synchronized NativeLibrary registered() throws SQLException {
    NativeLibrary library = registered;
    if (library == null) {
      library = new NativeLibrary(load());
      registered = library;
    }
    return library;
  }

  /** As it was loaded; there may be no file of that name any more. */
  Path path() {
    return path;
  }

  private static Path load() throws SQLException {
    List<String> tried = new ArrayList<>();
    Properties properties = new Properties();
    properties.setProperty("enable_load_extension", "true");
    try (Connection sqlite = new JDBC4Connection("jdbc:sqlite::memory:", ":memory:", properties)) {
      Path there = loadedByAnother(sqlite);
      if (there != null) {
        return there;
      }
      for (Source source : sources()) {
        for (Path folder : folders()) {
          Path copy = null;
          try {
            copy = Files.createTempFile(folder, "grpsqlite-", SUFFIX);
            source.copyTo(copy);
            loadExtension(sqlite, copy);
            return copy;
          } catch (IOException | SQLException e) {
            tried.add(source + ", by a copy in " + folder + ": " + reason(e));
          } finally {
            delete(copy);
          }
        }
      }
      throw new SQLException(
          "cannot load "
              + FILE
              + " for "
              + PLATFORM
              + " into SQLite "
              + sqlite.getMetaData().getDatabaseProductVersion()
              + "; tried\n  "
              + String.join("\n  ", tried)
              + "\n-D"
              + PATH_PROPERTY
              + "=FILE names another one, -D"
              + TMPDIR_PROPERTY
              + "=FOLDER a folder from which code may be run",
          "08001");
    }
  }

  /** Null if nobody has loaded it into this SQLite. */
  private static @Nullable Path loadedByAnother(Connection sqlite) throws SQLException {
    try (Statement statement = sqlite.createStatement()) {
      try (ResultSet there =
          statement.executeQuery(
              "SELECT 1 FROM pragma_function_list WHERE name = 'grpsqlite_library'")) {
        if (!there.next()) {
          return null;
        }
      }
      try (ResultSet library = statement.executeQuery("SELECT grpsqlite_library()")) {
        library.next();
        return Path.of(library.getString(1));
      }
    }
  }

  private static void loadExtension(Connection sqlite, Path file) throws SQLException {
    try (PreparedStatement load =
        sqlite.prepareStatement("SELECT load_extension(?, '" + ENTRY_POINT + "')")) {
      // SQLite tries with ".so" after it last, and tells the reason of that.
      load.setString(1, file.toString().substring(0, file.toString().length() - SUFFIX.length()));
      load.executeQuery().close();
    }
  }

  private static String reason(Exception e) {
    return e instanceof IOException && !(e instanceof NotThereException)
        ? e.toString()
        : String.valueOf(e.getMessage());
  }

  private static void delete(@Nullable Path copy) {
    if (copy == null) {
      return;
    }
    try {
      Files.deleteIfExists(copy);
    } catch (IOException e) {
      // It is in the folder for temporary files, and does no harm there.
      copy.toFile().deleteOnExit();
    }
  }

  // ---- Where it may be

  /** Something to copy the library from. Its text says what it is. */
  private interface Source {
    void copyTo(Path file) throws IOException;
  }

  private record File(Path path) implements Source {
    @Override
    public void copyTo(Path file) throws IOException {
      if (!Files.isRegularFile(path)) {
        throw new NotThereException("there is no such file");
      }
      Files.copy(path, file, StandardCopyOption.REPLACE_EXISTING);
    }

    @Override
    public String toString() {
      return path.toString();
    }
  }

  private record Resource(String name) implements Source {
    @Override
    public void copyTo(Path file) throws IOException {
      try (InputStream in = NativeLibrary.class.getResourceAsStream(name)) {
        if (in == null) {
          throw new NotThereException("the jar has none for this platform");
        }
        Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
      }
    }

    @Override
    public String toString() {
      return "the jar's " + name;
    }
  }

  private static final class NotThereException extends IOException {
    NotThereException(String message) {
      super(message);
    }
  }

  private static List<Source> sources() {
    String given = System.getProperty(PATH_PROPERTY);
    if (given != null) {
      return List.of(new File(Path.of(given)));
    }
    List<Source> sources = new ArrayList<>();
    sources.add(new Resource("/dev/grpsqlite/native/" + PLATFORM + "/" + FILE));
    for (String folder :
        System.getProperty("java.library.path", "").split(java.io.File.pathSeparator, -1)) {
      if (!folder.isEmpty()) {
        sources.add(new File(Path.of(folder, FILE)));
      }
    }
    return sources;
  }

  /** The first one that will do is used; sqlite-jdbc's own was chosen for the same reason. */
  private static Set<Path> folders() {
    Set<Path> folders = new LinkedHashSet<>();
    for (String property : List.of(TMPDIR_PROPERTY, "org.sqlite.tmpdir", "java.io.tmpdir")) {
      String folder = System.getProperty(property);
      if (folder != null && !folder.isEmpty()) {
        folders.add(Path.of(folder).toAbsolutePath());
      }
    }
    return folders;
  }

  // ---- What went wrong later

  /** The same exception with the VFS's own sentence, where SQLite has no more than a code. */
  SQLException explained(SQLException e, Target target) {
    String sentence = "";
    try (Connection sqlite =
            new JDBC4Connection("jdbc:sqlite::memory:", ":memory:", new Properties());
        Statement statement = sqlite.createStatement();
        ResultSet error = statement.executeQuery("SELECT grpsqlite_last_error()")) {
      error.next();
      sentence = String.valueOf(error.getString(1));
    } catch (SQLException unexplained) {
      e.addSuppressed(unexplained);
    }
    // The last error of the process: it may be another thread's.
    if (!sentence.contains(target.database())) {
      return e;
    }
    SQLException explained =
        e instanceof SQLiteException sqlite
            ? new SQLiteException(sentence, sqlite.getResultCode())
            : new SQLException(sentence, e.getSQLState(), e.getErrorCode());
    explained.initCause(e);
    return explained;
  }
}
