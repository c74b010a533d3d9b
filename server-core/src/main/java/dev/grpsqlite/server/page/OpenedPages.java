package dev.grpsqlite.server.page;

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
 * The pages that were looked at for an open, kept for the next one: they are the same upper pages
 * of the b-trees, for whoever opens the database. Bounded, for all databases. Thread-safe.
 */
final class OpenedPages {
  private static final long MOST_BYTES = 64L << 20;

  private static final long MOST_OF_ONE_BYTES = 2 * Ahead.MOST_AT_OPEN_BYTES;

  /** A page that changed is read again; if more did, all are. */
  private static final int MOST_CHANGES = 1024;

  /** As of a version; none of them is changed. */
  private record Kept(long version, Map<Long, PageImage> pages, long bytes) {}

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
    if (before == null || before.version > snapshot.version()) {
      return CompletableFuture.completedFuture(new Reading(database, snapshot, Map.of(), false));
    }
    if (before.version == snapshot.version()) {
      return CompletableFuture.completedFuture(new Reading(database, snapshot, before.pages, true));
    }
    return CompletableFuture.completedFuture(before.version)
        .thenCompose(version -> store.changes(database, version, snapshot.version(), MOST_CHANGES))
        .handle(
            (changes, error) ->
                new Reading(
                    database,
                    snapshot,
                    error == null ? unchanged(before.pages, changes) : Map.of(),
                    false));
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
    return pages.values().stream().mapToLong(image -> image.data().remaining()).sum();
  }

  private synchronized @Nullable Kept find(DatabaseId database) {
    return kept.get(database);
  }

  private synchronized void keep(DatabaseId database, Kept added) {
    Kept before = kept.get(database);
    if ((before != null && before.version > added.version) || added.bytes > mostBytes) {
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
    private final List<PageImage> used = new ArrayList<>();

    /** Whether what it had is kept as of this version, and it needed nothing else. */
    private boolean isKept;

    private Reading(
        DatabaseId database, Snapshot snapshot, Map<Long, PageImage> had, boolean isKept) {
      this.database = database;
      this.snapshot = snapshot;
      this.had = had;
      this.isKept = isKept;
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

    /** It is over: what it read may be of use to others. */
    void keep() {
      if (isKept) {
        return;
      }
      Map<Long, PageImage> all = new HashMap<>(had);
      used.forEach(image -> all.put(image.number(), image));
      if (bytesOf(all) > MOST_OF_ONE_BYTES) {
        // What no open has looked at for long is not kept for ever.
        all.clear();
        used.forEach(image -> all.put(image.number(), image));
      }
      if (!all.isEmpty()) {
        OpenedPages.this.keep(database, new Kept(snapshot.version(), all, bytesOf(all)));
      }
    }
  }
}
