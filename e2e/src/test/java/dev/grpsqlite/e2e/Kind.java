package dev.grpsqlite.e2e;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

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

  /** A server of this kind for one test. */
  ServerProcess start(Path folder, String... options) throws Exception {
    List<String> all = new ArrayList<>(List.of(options));
    if (!hasPageService()) {
      all.addAll(List.of("--services", "file"));
    }
    if (this == FILES_NOT_ATOMIC) {
      all.add("--no-atomic");
    }
    String[] given = all.toArray(new String[0]);
    return switch (this) {
      case MEMORY, FILES, FILES_NOT_ATOMIC -> ServerProcess.memory(folder, given);
      case VERSIONED -> ServerProcess.versioned(folder, given);
      case ROCKSDB -> ServerProcess.rocksdb(folder, given);
    };
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
}
