package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageSet;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Which images become useless when nobody reads below a version any more. Pure; the {@linkplain
 * dev.grpsqlite.server.fdb package} has the argument.
 */
final class Purge {
  private final NavigableSet<Long> forks;

  /**
   * @param forks versions that were forked
   */
  Purge(Collection<Long> forks) {
    this.forks = new TreeSet<>(forks);
  }

  /**
   * A page whose images in (above, upTo] go.
   *
   * @param above the newest forked version, for which what is there or below stays, and is entered;
   *     null if there is none
   */
  record Cut(long page, long upTo, @Nullable Long above) {
    boolean isEmpty() {
      return above != null && above >= upTo;
    }
  }

  /** A version wrote or cut off a page, so that nobody needs what was there before. */
  Cut supersededBy(long version, long page) {
    return new Cut(page, version - 1, forks.lower(version));
  }

  /** A page of a database that was dropped. */
  Cut dropped(long page) {
    return new Cut(page, Long.MAX_VALUE, forks.isEmpty() ? null : forks.last());
  }

  /** A version is not forked any more, for which older images of a page were kept. */
  Cut released(long version, long page) {
    return new Cut(page, version, forks.lower(version));
  }

  static void apply(Transaction transaction, Keys keys, DatabaseId database, Cut cut) {
    Long above = cut.above;
    if (!cut.isEmpty()) {
      transaction.options().setNextWriteNoWriteConflictRange();
      transaction.clear(
          keys.imagesFrom(database, cut.page, cut.upTo),
          above == null
              ? keys.imagesEnd(database, cut.page)
              : keys.imagesFrom(database, cut.page, above));
    }
    if (above != null) {
      transaction.set(keys.keptForFork(database, above, cut.page), Values.NOTHING);
    }
  }

  /** A page and the version that made what was there before useless. */
  record Superseded(long version, long page) {}

  /** Pages that a version wrote, and those that it cut off. */
  static List<Superseded> by(VersionRecord before, VersionRecord version, PageSet written) {
    List<Superseded> all = new ArrayList<>();
    long[] some = written.above(0, Chunks.CHUNK_PAGES);
    while (some.length > 0) {
      for (long page : some) {
        all.add(new Superseded(version.version(), page));
      }
      some = written.above(some[some.length - 1], Chunks.CHUNK_PAGES);
    }
    for (long page = version.pageCount() + 1; page <= before.pageCount(); page++) {
      if (!written.has(page)) {
        all.add(new Superseded(version.version(), page));
      }
    }
    return all;
  }
}
