package dev.grpsqlite.testing;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/**
 * Where a server keeps its databases. Any backend on the class path can be named, not only ours.
 *
 * @param name as in {@code NAME-server}
 * @param settings the backend's own, as {@code NAME-server --help} lists them, without the dashes
 */
public record Backend(String name, Map<String, String> settings) {
  public Backend {
    settings = Map.copyOf(settings);
  }

  /** In the heap, the newest version of each. */
  public static Backend memory() {
    return new Backend("memory", Map.of());
  }

  /** In the heap, with the versions of the last ten minutes: for history, forks and restores. */
  public static Backend versioned() {
    return versioned(Duration.ofMinutes(10));
  }

  public static Backend versioned(Duration retention) {
    return new Backend("versioned", Map.of("retention", retention.toMillis() + "ms"));
  }

  /**
   * In a RocksDB: what a server left there, the next one has. Needs {@code
   * dev.grpsqlite:server-rocksdb} as a dependency, which is large.
   *
   * @param folder made if it is not there; of one server at a time
   */
  public static Backend rocksdb(Path folder) {
    return new Backend("rocksdb", Map.of("data", folder.toString()));
  }
}
