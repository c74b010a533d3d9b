package dev.grpsqlite.server.session;

import dev.grpsqlite.server.predict.Relations;
import dev.grpsqlite.server.spi.DatabaseId;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What sessions have found out about databases, for those that come after them: a program that
 * starts to ask one query is the rule. Each identity has its own, so that nobody's reading makes
 * anybody else's slower. Thread-safe.
 */
final class KnownRelations {
  /** Some 3 KiB each. What is forgotten is found out again, in a few round trips. */
  static final int MOST = 1024;

  private record Key(String owner, DatabaseId database) {}

  private final Map<Key, Relations> known =
      new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Key, Relations> eldest) {
          return size() > MOST;
        }
      };

  synchronized Relations of(String owner, DatabaseId database) {
    return known.computeIfAbsent(new Key(owner, database), key -> new Relations());
  }
}
