package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Path;

/** The servers that there are. */
public enum Backend {
  MEMORY,
  VERSIONED,
  ROCKSDB;

  /** Short, so that stops past it do not take long. */
  static final int SESSION_TTL_MS = 2000;

  ServerProcess start(Path folder) throws Exception {
    String[] options = {"--session-ttl-ms", "" + SESSION_TTL_MS};
    return switch (this) {
      case MEMORY -> ServerProcess.memory(folder, options);
      case VERSIONED -> ServerProcess.versioned(folder, options);
      case ROCKSDB -> ServerProcess.rocksdb(folder, options);
    };
  }

  /** Whether what was acknowledged survives the server's death. */
  boolean isDurable() {
    return this == ROCKSDB;
  }
}
