package dev.grpsqlite.e2e;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

/**
 * The ways to serve a database. Each has one server for all tests that do no harm to it, started
 * when the first asks for it; tests keep apart by the names of their databases.
 */
enum Kind {
  MEMORY,
  VERSIONED,
  ROCKSDB,
  /** The file service alone, as other implementations of the protocol have it. */
  FILES,
  /** The same without atomic batches: the client's journal is a file at the server. */
  FILES_NOT_ATOMIC;

  private static final Map<Kind, ServerProcess> SHARED = new EnumMap<>(Kind.class);
  private static final AtomicLong NAMES = new AtomicLong();

  /** The server that all tests share. */
  ServerProcess server() throws Exception {
    synchronized (SHARED) {
      ServerProcess server = SHARED.get(this);
      if (server == null) {
        server = start(Folders.make(name().toLowerCase(Locale.ROOT)));
        SHARED.put(this, server);
      }
      return server;
    }
  }

  /** Starts a server for one test alone. */
  ServerProcess start(Path folder, String... options) throws Exception {
    return switch (this) {
      case MEMORY -> ServerProcess.memory(folder, options);
      case VERSIONED -> ServerProcess.versioned(folder, options);
      case ROCKSDB -> ServerProcess.rocksdb(folder, options);
      case FILES -> ServerProcess.memory(folder, with(options, "--services", "file"));
      case FILES_NOT_ATOMIC ->
          ServerProcess.memory(folder, with(options, "--services", "file", "--no-atomic"));
    };
  }

  private static String[] with(String[] options, String... more) {
    return Stream.concat(Stream.of(options), Stream.of(more)).toArray(String[]::new);
  }

  boolean hasPageService() {
    return this == MEMORY || this == VERSIONED || this == ROCKSDB;
  }

  /** A client of the shared server, in a working directory of its own. */
  Client client(Path folder) throws Exception {
    return new Client(folder, server().url());
  }

  /** A database name that no other test uses. */
  static String freshName(String what) {
    return what + "-" + NAMES.incrementAndGet() + ".db";
  }

  /** Folders below the build's: a temporary folder of the system may be memory. */
  static final class Folders {
    private Folders() {}

    static Path make(String what) throws Exception {
      Path parent = Files.createDirectories(Dist.root().resolve("e2e/target/e2e"));
      return Files.createTempDirectory(parent, what + "-");
    }
  }
}
