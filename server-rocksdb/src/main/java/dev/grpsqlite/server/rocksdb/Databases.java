package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Created;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import dev.grpsqlite.server.rocksdb.Values.StageRecord;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.StageCalls;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The databases that are in use: read when first asked for, forgotten when there are too many.
 * Thread-safe.
 */
final class Databases {
  private static final Logger log = LoggerFactory.getLogger(Databases.class);

  private final Engine engine;
  private final int most;
  private final ConcurrentMap<DatabaseId, DatabaseState> known = new ConcurrentHashMap<>();

  /**
   * Counts what was taken out of the map. What was read while something went out may be out of
   * date, so it is not put in.
   */
  private final AtomicLong removals = new AtomicLong();

  /**
   * @param most how many to know at once, about; those with stages are known beyond it
   */
  Databases(Engine engine, int most) {
    this.engine = engine;
    this.most = most;
  }

  /** Fails with NO_SUCH_DATABASE. */
  DatabaseState get(DatabaseId id, Tier tier) throws RocksDBException {
    DatabaseState state = known.get(id);
    if (state != null) {
      state.used = true;
      return state;
    }
    while (true) {
      long before = removals.get();
      DatabaseState loaded = load(id, tier);
      if (loaded == null) {
        throw RocksErrors.noSuchDatabase(id);
      }
      DatabaseState current =
          known.compute(id, (key, now) -> now != null || removals.get() != before ? now : loaded);
      if (current != null) {
        return current;
      }
    }
  }

  @Nullable DatabaseState load(DatabaseId id, Tier tier) throws RocksDBException {
    byte[] number = engine.get(Keys.id(id), tier);
    return number == null ? null : load(Values.number(number), tier);
  }

  /** Reads a database, and leaves the map alone. */
  @Nullable DatabaseState load(long number, Tier tier) throws RocksDBException {
    byte[] created = engine.get(Keys.of(Keys.DATABASE, number), tier);
    byte[] head = engine.get(Keys.of(Keys.HEAD, number), tier);
    if (created == null || head == null) {
      return null;
    }
    Created database = Created.read(created);
    VersionRecord newest = VersionRecord.read(head);
    byte[] oldest = engine.get(Keys.of(Keys.OLDEST, number), tier);
    return new DatabaseState(
        number,
        database,
        loadOrigins(number, tier),
        newest,
        Values.lease(engine.get(Keys.of(Keys.LEASE, number), tier)),
        Values.retention(engine.get(Keys.of(Keys.RETENTION, number), tier)),
        oldest == null ? 0 : Values.number(oldest),
        engine.get(Keys.of(Keys.TO_COLLECT, number), tier) != null,
        loadStages(number, tier));
  }

  private List<Forked> loadOrigins(long number, Tier tier) throws RocksDBException {
    List<Forked> origins = new ArrayList<>();
    byte[] forked = engine.get(Keys.of(Keys.FORKED_FROM, number), tier);
    while (forked != null) {
      Forked origin = Forked.read(forked);
      origins.add(origin);
      forked = engine.get(Keys.of(Keys.FORKED_FROM, origin.parent()), tier);
    }
    return origins;
  }

  private List<Stage> loadStages(long number, Tier tier) throws RocksDBException {
    List<Stage> stages = new ArrayList<>();
    byte[] prefix = Keys.of(Keys.STAGE, number);
    try (RocksIterator each = engine.metaIterator(tier)) {
      each.seek(prefix);
      for (; each.isValid(); each.next()) {
        byte[] key = each.key();
        if (!Keys.startsWith(key, prefix)) {
          break;
        }
        StageRecord record = StageRecord.read(each.value());
        Stage stage = new Stage(number, Keys.versionOf(key), Keys.attemptOf(key), record);
        stage.calls = StageCalls.UNKNOWN; // an earlier run counted them; what it left undone is not
        stage.unread = true;
        stages.add(stage);
      }
      each.status();
    }
    return stages;
  }

  /** Enters a database that has just been made. */
  void add(DatabaseState state) {
    known.put(state.id, state);
  }

  /**
   * Reads again what the commit thread may have wrong, since it does not know what became of its
   * write. The commit thread's.
   */
  void readAgain(DatabaseState state) {
    try {
      DatabaseState stored = load(state.number, Tier.DISK);
      if (stored != null) {
        state.nextHead = stored.head;
        state.nextLease = stored.lease;
        state.nextRetention = stored.retention;
        state.retention = stored.retention;
        state.toCollect = stored.toCollect;
        state.oldest = stored.oldest;
        state.lease = stored.lease;
        state.head = stored.head;
        return;
      }
    } catch (RocksDBException e) {
      log.error("database {} can't be read", state.name, e);
    }
    remove(state);
  }

  /** Takes out a database that is not there any more, or whose object can't be trusted. */
  void remove(DatabaseState state) {
    state.stale = true;
    removals.incrementAndGet();
    known.remove(state.id, state);
  }

  /** Forgets some if there are too many. The commit thread's, between two groups. */
  void makeRoom() {
    if (known.size() <= most) {
      return;
    }
    int tooMany = known.size() - most / 10 * 9;
    Iterator<DatabaseState> each = known.values().iterator();
    while (each.hasNext() && tooMany > 0) {
      DatabaseState state = each.next();
      if (state.used) {
        state.used = false;
      } else if (state.retire()) {
        removals.incrementAndGet();
        each.remove();
        tooMany--;
      }
    }
  }
}
