package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.PageImage;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.WriteBatch;

/**
 * Changes that are written, and become durable, together. Belongs to the commit thread. It knows
 * what its changes have decided on, since the database does not yet.
 */
final class Group {
  private final Engine engine;
  private final Databases databases;
  private final Engine.PageWriter pageWriter;
  final WriteBatch batch;

  private final Set<DatabaseState> touched = new HashSet<>();
  private final Set<DatabaseState> dropped = new HashSet<>();
  private final Map<String, DatabaseState> created = new HashMap<>();
  private final Set<Object> alone = new HashSet<>();
  private boolean durable;
  private long nextNumber;

  Group(Engine engine, Databases databases, Engine.PageWriter pageWriter, WriteBatch batch) {
    this.engine = engine;
    this.databases = databases;
    this.pageWriter = pageWriter;
    this.batch = batch;
  }

  /** The database's present object. Fails with NO_SUCH_DATABASE. */
  DatabaseState touch(DatabaseState state) throws RocksDBException {
    DatabaseState now = state.stale ? databases.get(state.id, Tier.DISK) : state;
    if (dropped.contains(now)) {
      throw RocksErrors.noSuchDatabase(now.id);
    }
    touched.add(now);
    return now;
  }

  Iterable<DatabaseState> touched() {
    return touched;
  }

  /** The number of a new database: none has it, or ever had. */
  long nextNumber() throws RocksDBException {
    if (nextNumber == 0) {
      byte[] stored = get(Keys.NEXT_DATABASE);
      nextNumber = stored == null ? 1 : Values.number(stored);
    }
    return nextNumber++;
  }

  void created(DatabaseState state) {
    created.put(state.name, state);
  }

  void dropped(DatabaseState state) {
    dropped.add(state);
    created.remove(state.name, state);
  }

  /** The database of that name. */
  @Nullable DatabaseState named(String name) throws RocksDBException {
    DatabaseState state = created.get(name);
    if (state == null) {
      byte[] id = engine.get(Keys.name(name), Tier.DISK);
      if (id != null) {
        state = databases.get(Catalog.idOf(id), Tier.DISK);
      }
    }
    return state == null || dropped.contains(state) ? null : state;
  }

  byte @Nullable [] get(byte[] key) throws RocksDBException {
    return engine.get(key, Tier.DISK);
  }

  void put(byte[] key, byte[] value) throws RocksDBException {
    engine.put(batch, key, value);
  }

  void delete(byte[] key) throws RocksDBException {
    engine.delete(batch, key);
  }

  void deleteRange(byte[] from, byte[] to) throws RocksDBException {
    engine.deleteRange(batch, from, to);
  }

  void putPage(DatabaseState state, long version, PageImage page) throws RocksDBException {
    pageWriter.put(batch, state.number, version, Keys.INLINE, page);
  }

  /** The group has to be synced before anything is answered. */
  void mustBeDurable() {
    durable = true;
  }

  boolean isDurable() {
    return durable;
  }

  /** Says whether the group has not touched this before. */
  boolean claim(@Nullable Object what) {
    return what == null || alone.add(what);
  }
}
