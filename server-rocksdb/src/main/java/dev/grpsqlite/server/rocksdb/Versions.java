package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.VersionInfo;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/** A database's versions, and what changed between them. Thread-safe. */
final class Versions {
  private static final long[] NO_PAGES = new long[0];

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
    VersionRecord record = version < state.oldest ? null : find(state, version, tier);
    if (record == null) {
      throw RocksErrors.tooOld(state, version, state.oldest);
    }
    return record;
  }

  /** A version that is remembered, whether or not its pages are. */
  @Nullable VersionRecord find(DatabaseState state, long version, Tier tier)
      throws RocksDBException {
    if (version == 0) {
      return state.first;
    }
    byte[] value = engine.get(Keys.version(state.number, version), tier);
    return value == null ? null : VersionRecord.read(value);
  }

  /** The newest version at or before a time. */
  VersionRecord at(DatabaseState state, Instant time, Tier tier) throws RocksDBException {
    if (time.isBefore(state.createdAt)) {
      throw new StoreException(
          StoreException.Code.NO_SUCH_VERSION,
          "database %s was created at %s, after %s".formatted(state.name, state.createdAt, time));
    }
    while (true) {
      long oldest = state.oldest; // before the head, which is never below it
      VersionRecord found = newestUntil(state, time, oldest, tier);
      if (found != null && found.version() >= state.oldest) {
        return found;
      }
      if (state.oldest == oldest) {
        throw new StoreException(
            StoreException.Code.SNAPSHOT_TOO_OLD,
            "the version of database %s at %s is no longer kept; the oldest is %d"
                .formatted(state.name, time, oldest));
      }
      // Some were collected meanwhile.
    }
  }

  /** The newest from this version on that was committed by then; null: none, or it is collected. */
  private @Nullable VersionRecord newestUntil(
      DatabaseState state, Instant time, long from, Tier tier) throws RocksDBException {
    VersionRecord head = state.head;
    if (!isAfter(head, time)) {
      return head;
    }
    long low = from;
    long high = head.version() - 1;
    while (low < high) {
      long middle = (low + high + 1) >>> 1;
      VersionRecord record = find(state, middle, tier);
      if (record != null && isAfter(record, time)) {
        high = middle - 1;
      } else {
        low = middle;
      }
    }
    VersionRecord found = find(state, low, tier);
    return found == null || isAfter(found, time) ? null : found;
  }

  private static boolean isAfter(VersionRecord record, Instant time) {
    return Instant.ofEpochMilli(record.committedAtMillis()).isAfter(time);
  }

  /** Retained versions below one, newest first. */
  List<VersionInfo> history(DatabaseState state, long below, int limit, Tier tier)
      throws RocksDBException {
    List<VersionInfo> infos = new ArrayList<>();
    long oldest = state.oldest; // before the head, which is never below it
    long newest = state.head.version();
    if (below <= newest) {
      newest = below < 1 ? -1 : below - 1;
    }
    byte[] prefix = Keys.of(Keys.VERSION, state.number);
    try (RocksIterator each = engine.metaIterator(tier)) {
      each.seekForPrev(Keys.version(state.number, Math.max(0, newest)));
      for (; each.isValid() && infos.size() < limit; each.prev()) {
        if (!Keys.startsWith(each.key(), prefix) || Keys.versionOf(each.key()) < oldest) {
          break;
        }
        infos.add(VersionRecord.read(each.value()).info());
      }
      each.status();
    }
    if (oldest == 0 && newest >= 0 && infos.size() < limit) {
      infos.add(state.first.info());
    }
    return infos;
  }

  /**
   * The pages of a version that a later one may have otherwise; those that the later one does not
   * have are among them. Fails with SNAPSHOT_TOO_OLD if that is not known any more.
   */
  PageSet differing(DatabaseState state, VersionRecord wanted, VersionRecord later, Tier tier)
      throws RocksDBException {
    PageSet pages = new PageSet();
    long kept = later.kept(wanted.pageSize());
    for (long page = kept + 1; page <= wanted.pageCount(); page++) {
      pages.add(page);
    }
    // A page that was cut off on the way, and is there again, is in a list: it grew.
    boolean known =
        visit(
            state,
            wanted.version() + 1,
            later.version(),
            tier,
            (version, changed) -> {
              for (long page : changed) {
                if (page <= wanted.pageCount()) {
                  pages.add(page);
                }
              }
              return true;
            });
    if (!known) {
      throw RocksErrors.tooOld(state, wanted.version(), state.oldest);
    }
    return pages;
  }

  /** Takes a version with some of the pages that it changed, and says whether to go on. */
  @FunctionalInterface
  private interface Visitor {
    boolean take(VersionRecord version, long[] pages);
  }

  /**
   * Goes through versions in their order, each with no pages first, then with each of its lists.
   * Says whether all were there, and the visitor wanted all.
   */
  private boolean visit(DatabaseState state, long first, long last, Tier tier, Visitor visitor)
      throws RocksDBException {
    byte[] prefix = Keys.of(Keys.VERSION, state.number);
    try (RocksIterator versions = engine.metaIterator(tier);
        RocksIterator lists = engine.metaIterator(tier)) {
      long next = first;
      versions.seek(Keys.version(state.number, first));
      for (; next <= last && versions.isValid(); versions.next()) {
        if (!Keys.startsWith(versions.key(), prefix) || Keys.versionOf(versions.key()) != next) {
          break; // some are forgotten
        }
        VersionRecord record = VersionRecord.read(versions.value());
        if (!visitor.take(record, NO_PAGES)
            || !visitLists(lists, state, record, Keys.INLINE, visitor)
            || (record.attempt() != Keys.INLINE
                && !visitLists(lists, state, record, record.attempt(), visitor))) {
          return false;
        }
        next++;
      }
      versions.status();
      return next > last;
    }
  }

  private static boolean visitLists(
      RocksIterator lists, DatabaseState state, VersionRecord record, int attempt, Visitor visitor)
      throws RocksDBException {
    byte[] prefix = Keys.changed(state.number, record.version(), attempt);
    lists.seek(prefix);
    for (; lists.isValid() && Keys.startsWith(lists.key(), prefix); lists.next()) {
      if (!visitor.take(record, Values.pages(lists.value()))) {
        return false;
      }
    }
    lists.status();
    return true;
  }

  /** What changed in (after, upTo]. */
  Changes changes(DatabaseState state, long after, long upTo, int limit, Tier tier)
      throws RocksDBException {
    VersionRecord from = find(state, after, tier);
    if (from == null) {
      return Changes.ALL;
    }
    Distinct pages = new Distinct(from.pageSize(), limit);
    boolean told =
        visit(
            state,
            after + 1,
            upTo,
            tier,
            (version, changed) -> pages.isOf(version.pageSize()) && pages.add(changed));
    return told ? pages.finish() : Changes.ALL;
  }

  /** Collects numbers, each once, up to a limit, as long as the page size stays. */
  private static final class Distinct {
    private int pageSize;
    private final int limit;
    private long[] pages = new long[64];
    private int count;

    Distinct(int pageSize, int limit) {
      this.pageSize = pageSize;
      this.limit = limit;
    }

    boolean isOf(int next) {
      boolean same = next == pageSize || pageSize == 0;
      pageSize = next;
      return same;
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
