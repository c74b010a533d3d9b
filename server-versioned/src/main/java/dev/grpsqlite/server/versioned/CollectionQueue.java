package dev.grpsqlite.server.versioned;

import java.util.Comparator;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * When which database has versions to drop, so that the collector looks at no other. Each is in it
 * once or not at all. Thread-safe; takes no other lock.
 */
final class CollectionQueue {
  private record Entry(long atMillis, long order, VersionedDatabase database) {}

  private final TreeSet<Entry> byTime =
      new TreeSet<>(Comparator.comparingLong(Entry::atMillis).thenComparingLong(Entry::order));

  private final Map<VersionedDatabase, Entry> entries = new HashMap<>();
  private long order;

  /** Notes a time for a database, unless an earlier one is noted. */
  synchronized void add(VersionedDatabase database, long atMillis) {
    Entry before = entries.get(database);
    if (atMillis == Long.MAX_VALUE || (before != null && before.atMillis <= atMillis)) {
      return;
    }
    remove(database);
    Entry entry = new Entry(atMillis, order++, database);
    entries.put(database, entry);
    byTime.add(entry);
  }

  synchronized void remove(VersionedDatabase database) {
    Entry entry = entries.remove(database);
    if (entry != null) {
      byTime.remove(entry);
    }
  }

  /** Takes the one that has been due for longest, or null if none is. */
  synchronized @Nullable VersionedDatabase poll(long nowMillis) {
    if (byTime.isEmpty() || byTime.first().atMillis > nowMillis) {
      return null;
    }
    VersionedDatabase database = byTime.first().database;
    remove(database);
    return database;
  }

  synchronized int size() {
    return entries.size();
  }
}
