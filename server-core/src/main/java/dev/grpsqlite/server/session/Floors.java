package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SnapshotPins;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The floors of all views, by database, so that the lowest is at hand. Thread-safe; asking takes no
 * lock.
 */
final class Floors implements SnapshotPins {
  private final ConcurrentHashMap<DatabaseId, Counts> databases = new ConcurrentHashMap<>();

  @Override
  public long oldestPinned(DatabaseId database) {
    Counts counts = databases.get(database);
    return counts == null ? Long.MAX_VALUE : counts.lowest;
  }

  @Override
  public Set<DatabaseId> pinnedDatabases() {
    return Set.copyOf(databases.keySet());
  }

  void add(DatabaseId database, long floor) {
    databases.compute(
        database,
        (id, counts) -> {
          Counts changed = counts == null ? new Counts() : counts;
          changed.add(floor);
          return changed;
        });
  }

  void remove(DatabaseId database, long floor) {
    databases.computeIfPresent(database, (id, counts) -> counts.remove(floor) ? null : counts);
  }

  /** Never leaves the database without the one or the other. */
  void replace(DatabaseId database, long floor, long newFloor) {
    add(database, newFloor);
    remove(database, floor);
  }

  /** Changed inside of the map's compute methods alone. */
  private static final class Counts {
    private final TreeMap<Long, Integer> views = new TreeMap<>();
    private volatile long lowest = Long.MAX_VALUE;

    void add(long floor) {
      views.merge(floor, 1, Integer::sum);
      lowest = views.firstKey();
    }

    /** Returns whether nothing is left. */
    boolean remove(long floor) {
      views.computeIfPresent(floor, (key, count) -> count == 1 ? null : count - 1);
      Map.Entry<Long, Integer> first = views.firstEntry();
      lowest = first == null ? Long.MAX_VALUE : first.getKey();
      return first == null;
    }
  }
}
