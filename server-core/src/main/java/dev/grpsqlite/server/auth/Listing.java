package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/** Collects one page of the databases that a caller may read. One thread at a time. */
final class Listing {
  private static final int LOOKED_AT_ONCE = 1000;

  private final Caller caller;
  private final PageStore store;
  private final List<String> prefixes;
  private final int limit;
  private final List<DatabaseInfo> found = new ArrayList<>();
  private int prefix;
  private String after;

  /**
   * @param prefixes in the order of their bytes, none the beginning of another, so that what they
   *     list is in order as well
   */
  Listing(Caller caller, PageStore store, List<String> prefixes, String after, int limit) {
    this.caller = caller;
    this.store = store;
    this.prefixes = prefixes;
    this.after = after;
    this.limit = limit;
  }

  CompletableFuture<List<DatabaseInfo>> run() {
    while (found.size() < limit && prefix < prefixes.size()) {
      CompletableFuture<List<DatabaseInfo>> part =
          store.list(prefixes.get(prefix), after, LOOKED_AT_ONCE);
      if (!part.isDone() || part.isCompletedExceptionally()) {
        return part.thenCompose(
            infos -> {
              take(infos);
              return run();
            });
      }
      take(part.join());
    }
    return CompletableFuture.completedFuture(found);
  }

  private void take(List<DatabaseInfo> infos) {
    for (DatabaseInfo info : infos) {
      if (found.size() < limit && caller.may(info.name(), Right.READ)) {
        found.add(info);
      }
    }
    if (infos.size() < LOOKED_AT_ONCE) {
      prefix++;
    } else {
      after = infos.get(infos.size() - 1).name();
    }
  }
}
