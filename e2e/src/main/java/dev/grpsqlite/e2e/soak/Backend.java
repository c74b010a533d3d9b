package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.ServerProcess;
import dev.grpsqlite.server.fdb.LocalCluster;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The kinds of servers that there are. */
public enum Backend {
  MEMORY,
  VERSIONED,
  ROCKSDB,
  /** Two servers over a FoundationDB cluster of one process. */
  FDB;

  /** Short, so that stops past it do not take long. */
  static final int SESSION_TTL_MS = 2000;

  private static final int FDB_SERVERS = 2;

  /** Those that can be run on this machine. */
  static List<Backend> installed() {
    return Arrays.stream(values())
        .filter(each -> each != FDB || LocalCluster.missing().isEmpty())
        .toList();
  }

  Deployment start(Path folder) throws Exception {
    String[] options = {"--session-ttl-ms", "" + SESSION_TTL_MS};
    return switch (this) {
      case MEMORY -> new Deployment(List.of(ServerProcess.memory(folder, options)), null);
      case VERSIONED -> new Deployment(List.of(ServerProcess.versioned(folder, options)), null);
      case ROCKSDB -> new Deployment(List.of(ServerProcess.rocksdb(folder, options)), null);
      case FDB -> startFdb(folder, options);
    };
  }

  private static Deployment startFdb(Path folder, String... options) throws Exception {
    LocalCluster cluster = LocalCluster.start(Files.createDirectories(folder.resolve("cluster")));
    List<ServerProcess> servers = new ArrayList<>();
    boolean ready = false;
    try {
      for (int i = 0; i < FDB_SERVERS; i++) {
        servers.add(ServerProcess.fdb(folder, cluster.clusterFile(), "soak", options));
      }
      ready = true;
      return new Deployment(servers, cluster);
    } finally {
      if (!ready) {
        servers.forEach(ServerProcess::close);
        cluster.close();
      }
    }
  }

  /** Whether what was acknowledged survives the server's death. */
  boolean isDurable() {
    return this == ROCKSDB || this == FDB;
  }
}
