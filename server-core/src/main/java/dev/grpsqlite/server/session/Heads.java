package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/** Where the databases are, and who wants to hear of it. Thread-safe. */
public final class Heads {
  /** A client with more changed pages than this is told to forget all: 320 KiB on the wire. */
  private static final int MAX_CHANGES = 65_536;

  /**
   * The head of a database, and what changed from a version that somebody has.
   *
   * @param otherHistory there is no such version here, or another one has its number; then all
   *     changed
   */
  public record Move(Snapshot head, Changes changes, boolean otherHistory) {}

  private final PageStore store;
  private final Neighbours neighbours;
  private final ConcurrentHashMap<DatabaseId, Set<Watch>> watches = new ConcurrentHashMap<>();

  public Heads(AnnouncingStore store) {
    this.store = store;
    this.neighbours = store.neighbours();
    store.whenHeadMayHaveMoved(this::mayHaveMoved);
  }

  /**
   * The head of this database may have moved, or the database may be gone. To be called before
   * whoever did it is answered; where several servers share an engine, also for what another one
   * did. On return every watch knows that it has something to tell.
   */
  public void mayHaveMoved(DatabaseId database) {
    Set<Watch> interested = watches.get(database);
    if (interested != null) {
      interested.forEach(watch -> watch.headMayHaveMoved(database));
    }
  }

  /** From here on, the watch hears of this database; so it asks for the head only afterwards. */
  void add(DatabaseId database, Watch watch) {
    watches.compute(
        database,
        (id, present) -> {
          Set<Watch> interested = present == null ? ConcurrentHashMap.newKeySet() : present;
          interested.add(watch);
          return interested;
        });
    neighbours.watchHead(database, () -> watches.containsKey(database));
  }

  /** Whether other servers move heads too, so that only asking tells where one is. */
  boolean areShared() {
    return neighbours.canBe();
  }

  void remove(DatabaseId database, Watch watch) {
    watches.computeIfPresent(
        database,
        (id, interested) -> {
          interested.remove(watch);
          return interested.isEmpty() ? null : interested;
        });
  }

  /** Brings somebody from a version to the head. Fails with NO_SUCH_DATABASE. */
  public CompletableFuture<Move> since(DatabaseId database, KnownVersion have) {
    return store.head(database).thenCompose(head -> since(database, have, head));
  }

  private CompletableFuture<Move> since(DatabaseId database, KnownVersion have, Snapshot head) {
    if (have.is(head)) {
      return CompletableFuture.completedFuture(new Move(head, Changes.NONE, false));
    }
    if (have.version() >= head.version()) {
      return CompletableFuture.completedFuture(new Move(head, Changes.ALL, true));
    }
    CompletableFuture<Move> move =
        store
            .changes(database, have.version(), head.version(), MAX_CHANGES)
            .thenApply(changes -> new Move(head, changes, false));
    return have.mark() == 0
        ? move
        : store
            .mark(database, have.version())
            .thenCombine(move, (here, to) -> judged(have, here, to));
  }

  /** To who has another version of that number, or one that is not known here, all changed. */
  private static Move judged(KnownVersion have, long here, Move move) {
    return here == have.mark() ? move : new Move(move.head(), Changes.ALL, have.isOther(here));
  }
}
