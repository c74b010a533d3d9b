package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.session.KnownVersion;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * The pages that were looked at for an open, and what it was answered with, kept for the next one:
 * whoever opens the same version is answered the same, and of a newer one most of the upper pages
 * of the b-trees are the same. Bounded, for all databases. Thread-safe.
 */
final class OpenedPages {
  private static final long MOST_BYTES = 64L << 20;

  private static final long MOST_OF_ONE_BYTES = 2 * Ahead.MOST_AT_OPEN_BYTES;

  /** A page that changed is read again; if more did, all are. */
  private static final int MOST_CHANGES = 1024;

  /** What is kept of a page besides its content, which for a page of zeros is all. */
  static final long BYTES_PER_PAGE = 160;

  /** What the session knows, and a page's message without the page. */
  private static final long BYTES_PER_ANSWER = 2048;

  private static final long BYTES_PER_MESSAGE = 256;

  /** As of a version; none of them is changed. */
  private record Kept(
      KnownVersion at, Map<Long, PageImage> pages, long bytes, @Nullable Answer answer) {}

  /**
   * All that an open of the version was answered with, ready to be sent again.
   *
   * @param creditBytes of pages that were not asked for
   * @param lz4 whether the client accepts pages so
   * @param opened what the session knows from then on
   */
  record Answer(
      long creditBytes, boolean lz4, List<Page> pages, long plainBytes, Predictor.Opened opened) {
    /** About what it takes besides the pages themselves. */
    private long bytes() {
      return BYTES_PER_ANSWER
          + pages.stream().mapToLong(page -> BYTES_PER_MESSAGE + page.getLz4().size()).sum();
    }
  }

  private final PageStore store;
  private final long mostBytes;
  private final LinkedHashMap<DatabaseId, Kept> kept = new LinkedHashMap<>(16, 0.75f, true);
  private long bytes;

  OpenedPages(PageStore store) {
    this(store, Math.min(MOST_BYTES, Runtime.getRuntime().maxMemory() / 16));
  }

  OpenedPages(PageStore store, long mostBytes) {
    this.store = store;
    this.mostBytes = mostBytes;
  }

  /** Begins an open of this snapshot. Never fails: what can't be known is read. */
  CompletableFuture<Reading> of(DatabaseId database, Snapshot snapshot) {
    Kept before = find(database);
    if (before == null || before.at.version() > snapshot.version()) {
      return CompletableFuture.completedFuture(
          new Reading(database, snapshot, Map.of(), null, false));
    }
    if (before.at.is(snapshot)) {
      return CompletableFuture.completedFuture(
          new Reading(database, snapshot, before.pages, before.answer, true));
    }
    return CompletableFuture.completedFuture(before.at)
        .thenCompose(at -> changes(database, at, snapshot.version()))
        .handle(
            (changes, error) ->
                new Reading(
                    database,
                    snapshot,
                    error == null ? unchanged(before.pages, changes) : Map.of(),
                    null,
                    false));
  }

  /** All, if what the version was is lost and it is another one now. */
  private CompletableFuture<Changes> changes(DatabaseId database, KnownVersion at, long upTo) {
    CompletableFuture<Changes> changes = store.changes(database, at.version(), upTo, MOST_CHANGES);
    return at.mark() == 0
        ? changes
        : store
            .mark(database, at.version())
            .thenCombine(changes, (here, found) -> here == at.mark() ? found : Changes.ALL);
  }

  private static Map<Long, PageImage> unchanged(Map<Long, PageImage> pages, Changes changes) {
    if (changes.all()) {
      return Map.of();
    }
    Map<Long, PageImage> left = new HashMap<>(pages);
    for (long page : changes.pages()) {
      left.remove(page);
    }
    return left;
  }

  private static long bytesOf(Map<Long, PageImage> pages) {
    return pages.values().stream()
        .mapToLong(image -> BYTES_PER_PAGE + image.data().remaining())
        .sum();
  }

  private synchronized @Nullable Kept find(DatabaseId database) {
    return kept.get(database);
  }

  private synchronized void keep(DatabaseId database, Kept added) {
    Kept before = kept.get(database);
    if ((before != null && before.at.version() > added.at.version()) || added.bytes > mostBytes) {
      return;
    }
    kept.put(database, added);
    bytes += added.bytes - (before == null ? 0 : before.bytes);
    while (bytes > mostBytes) {
      Map.Entry<DatabaseId, Kept> eldest = kept.entrySet().iterator().next();
      bytes -= eldest.getValue().bytes;
      kept.remove(eldest.getKey());
    }
  }

  /** Of all databases. */
  synchronized long bytes() {
    return bytes;
  }

  /** What one open reads. Its calls come one after the other. */
  final class Reading {
    private final DatabaseId database;
    private final Snapshot snapshot;
    private final Map<Long, PageImage> had;
    private final @Nullable Answer before;
    private final List<PageImage> used = new ArrayList<>();

    /** Whether what it had is kept as of this version, and it needed nothing else. */
    private boolean isKept;

    private Reading(
        DatabaseId database,
        Snapshot snapshot,
        Map<Long, PageImage> had,
        @Nullable Answer before,
        boolean isKept) {
      this.database = database;
      this.snapshot = snapshot;
      this.had = had;
      this.before = before;
      this.isKept = isKept;
    }

    /** What an open like this one was answered with last, if it is known still. */
    @Nullable Answer before(long creditBytes, boolean lz4) {
      return before != null && before.creditBytes == creditBytes && before.lz4 == lz4
          ? before
          : null;
    }

    /** These pages, in any order. */
    CompletableFuture<List<PageImage>> read(long[] pages) {
      List<PageImage> found = new ArrayList<>(pages.length);
      long[] missing = new long[pages.length];
      int missed = 0;
      for (long page : pages) {
        PageImage image = had.get(page);
        if (image == null) {
          missing[missed++] = page;
        } else {
          found.add(image);
        }
      }
      used.addAll(found);
      if (missed == 0) {
        return CompletableFuture.completedFuture(found);
      }
      isKept = false;
      return store
          .read(database, snapshot.version(), Arrays.copyOf(missing, missed))
          .thenApply(
              read -> {
                found.addAll(read);
                used.addAll(read);
                return found;
              });
    }

    /** It is over: what it read may be of use to others, and so may its answer. */
    void keep(@Nullable Answer answer) {
      if (isKept && answer == null) {
        return;
      }
      Map<Long, PageImage> all = isKept ? had : withUsed();
      if (!all.isEmpty()) {
        long bytes = bytesOf(all) + (answer == null ? 0 : answer.bytes());
        OpenedPages.this.keep(database, new Kept(KnownVersion.of(snapshot), all, bytes, answer));
      }
    }

    private Map<Long, PageImage> withUsed() {
      Map<Long, PageImage> all = new HashMap<>(had);
      used.forEach(image -> all.put(image.number(), image));
      if (bytesOf(all) > MOST_OF_ONE_BYTES) {
        // What no open has looked at for long is not kept for ever.
        all.clear();
        used.forEach(image -> all.put(image.number(), image));
      }
      return all;
    }
  }
}
