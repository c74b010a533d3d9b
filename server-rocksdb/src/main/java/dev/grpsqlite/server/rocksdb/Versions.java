package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Changes;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/** A database's versions, and what changed between them. Thread-safe. */
final class Versions {
  private final Engine engine;

  Versions(Engine engine) {
    this.engine = engine;
  }

  /** A version that can be read. Fails with NO_SUCH_VERSION, SNAPSHOT_TOO_OLD. */
  VersionRecord readable(DatabaseState state, long version, Tier tier) throws RocksDBException {
    VersionRecord head = state.head;
    if (version == head.version()) {
      return head;
    }
    if (version > head.version() || version < 0) {
      throw RocksErrors.noSuchVersion(state, version, head.version());
    }
    VersionRecord record =
        version < state.oldest
            ? null
            : find(state.number, version, state.createdAt.toEpochMilli(), tier);
    if (record == null) {
      throw RocksErrors.tooOld(state, version, state.oldest);
    }
    return record;
  }

  /** A version that is remembered, whether or not its pages are. */
  @Nullable VersionRecord find(DatabaseState state, long version, Tier tier)
      throws RocksDBException {
    return find(state.number, version, state.createdAt.toEpochMilli(), tier);
  }

  private @Nullable VersionRecord find(long database, long version, long createdAt, Tier tier)
      throws RocksDBException {
    if (version == 0) {
      return VersionRecord.created(createdAt);
    }
    byte[] value = engine.get(Keys.version(database, version), tier);
    return value == null ? null : VersionRecord.read(value);
  }

  /** What changed in (after, upTo]. */
  Changes changes(DatabaseState state, long after, long upTo, int limit, Tier tier)
      throws RocksDBException {
    VersionRecord from = find(state, after, tier);
    if (from == null) {
      return Changes.ALL;
    }
    Map<Long, Integer> attempts = new HashMap<>();
    int pageSize = from.pageSize();
    byte[] end = Keys.version(state.number, upTo);
    try (RocksIterator each = engine.metaIterator(tier)) {
      each.seek(Keys.version(state.number, after + 1));
      for (; each.isValid(); each.next()) {
        if (Arrays.compareUnsigned(each.key(), end) > 0) {
          break;
        }
        VersionRecord version = VersionRecord.read(each.value());
        if (version.pageSize() != pageSize && pageSize != 0) {
          return Changes.ALL;
        }
        pageSize = version.pageSize();
        attempts.put(version.version(), version.attempt());
      }
      each.status();
    }
    if (attempts.size() != upTo - after) {
      return Changes.ALL; // some are forgotten
    }
    Distinct pages = new Distinct(limit);
    try (RocksIterator each = engine.metaIterator(tier)) {
      byte[] past = Keys.changed(state.number, upTo + 1, 0);
      each.seek(Keys.changed(state.number, after + 1, 0));
      for (; each.isValid(); each.next()) {
        byte[] key = each.key();
        if (Arrays.compareUnsigned(key, past) >= 0) {
          break;
        }
        int attempt = Keys.attemptOf(key);
        Integer staged = attempts.get(Keys.versionOf(key));
        if (attempt == Keys.INLINE || (staged != null && staged == attempt)) {
          if (!pages.add(Values.pages(each.value()))) {
            return Changes.ALL;
          }
        }
      }
      each.status();
    }
    return pages.finish();
  }

  /** Collects numbers, each once, up to a limit. */
  private static final class Distinct {
    private final int limit;
    private long[] pages = new long[64];
    private int count;

    Distinct(int limit) {
      this.limit = limit;
    }

    boolean add(long[] more) {
      if (count + more.length > pages.length) {
        compact();
        if (count > limit) {
          return false;
        }
        pages = Arrays.copyOf(pages, Math.max(2 * count, count + more.length));
      }
      System.arraycopy(more, 0, pages, count, more.length);
      count += more.length;
      return true;
    }

    private void compact() {
      Arrays.sort(pages, 0, count);
      int kept = 0;
      for (int i = 0; i < count; i++) {
        if (kept == 0 || pages[kept - 1] != pages[i]) {
          pages[kept++] = pages[i];
        }
      }
      count = kept;
    }

    Changes finish() {
      compact();
      return count > limit ? Changes.ALL : new Changes(false, Arrays.copyOf(pages, count));
    }
  }
}
