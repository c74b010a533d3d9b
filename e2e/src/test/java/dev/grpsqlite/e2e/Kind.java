package dev.grpsqlite.e2e;

import dev.grpsqlite.server.fdb.LocalCluster;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;

/**
 * The ways to serve a database. Each has one server for all tests that do no harm to it, started
 * when the first asks for it; tests keep apart by the names of their databases.
 */
enum Kind {
  MEMORY,
  VERSIONED,
  ROCKSDB,
  /** On a FoundationDB cluster of one process, where there is FoundationDB. */
  FDB,
  /** The file service alone, as other implementations of the protocol have it. */
  FILES,
  /** The same without atomic batches: the client's journal is a file at the server. */
  FILES_NOT_ATOMIC;

  private static final Map<Kind, ServerProcess> SHARED = new EnumMap<>(Kind.class);
  private static final AtomicLong NAMES = new AtomicLong();
  private static @Nullable LocalCluster cluster;

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
      case FDB -> ServerProcess.fdb(folder, cluster().clusterFile(), freshName("store"), given);
    };
  }

  /** The same with the Java options that a user gets. */
  ServerProcess startAsShipped(Path folder, String... options) throws Exception {
    return startWith("", folder, options);
  }

  /** The same with Java options that win over those that a user gets. */
  ServerProcess startWith(String javaOptions, Path folder, String... options) throws Exception {
    List<String> all = new ArrayList<>();
    switch (this) {
      case ROCKSDB -> all.addAll(List.of("--data", folder.resolve("data").toString()));
      case FDB -> {
        all.addAll(List.of("--cluster-file", cluster().clusterFile().toString()));
        all.addAll(List.of("--prefix", freshName("store")));
      }
      case MEMORY, VERSIONED -> {}
      default -> throw new IllegalArgumentException(name());
    }
    all.addAll(List.of(options));
    String server = name().toLowerCase(Locale.ROOT) + "-server";
    return ServerProcess.with(javaOptions, server, folder, all.toArray(new String[0]));
  }

  /** The cluster of all tests that do no harm to it; without FoundationDB the test is skipped. */
  static LocalCluster cluster() throws Exception {
    Optional<String> missing = LocalCluster.missing();
    Assumptions.assumeTrue(
        missing.isEmpty(),
        () ->
            "no FoundationDB here ("
                + missing.orElse("")
                + " is neither on the PATH nor in FDB_HOME)");
    synchronized (SHARED) {
      LocalCluster started = cluster;
      if (started == null) {
        started = LocalCluster.start(Folders.make("fdb-cluster"));
        cluster = started;
      }
      return started;
    }
  }

  boolean hasPageService() {
    return this != FILES && this != FILES_NOT_ATOMIC;
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
