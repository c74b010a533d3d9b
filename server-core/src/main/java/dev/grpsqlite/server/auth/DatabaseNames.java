package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.spi.DatabaseId;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/**
 * The names of databases that were asked for, by id. A database keeps its name and an id is never
 * used again, so nothing here is ever wrong. Thread-safe.
 */
final class DatabaseNames {
  /** A few hundred bytes each. */
  private static final int MAX_NAMES = 65_536;

  private final Map<DatabaseId, String> names = new ConcurrentHashMap<>();

  @Nullable String get(DatabaseId database) {
    return names.get(database);
  }

  void put(DatabaseId database, String name) {
    if (names.size() >= MAX_NAMES) {
      names.clear();
    }
    names.put(database, name);
  }
}
