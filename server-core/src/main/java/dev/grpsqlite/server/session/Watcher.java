package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import java.util.concurrent.CompletableFuture;

/**
 * The client's end of a {@link Watch}. Called by one thread at a time; no method blocks, and what
 * is told is delivered in that order.
 */
public interface Watcher {
  /** Whether it takes more. Once it does again after it did not, it calls {@link Watch#advance}. */
  boolean isReady();

  /** Complete when it may be told of this database; fails, which ends the watch, if it may not. */
  CompletableFuture<Boolean> whenAllowed(DatabaseId database);

  /** Whether {@link #whenAllowed} may say something else than when this was last asked. */
  boolean rightsMayHaveChanged();

  void headMoved(DatabaseId database, long fromVersion, Heads.Move move);

  void dropped(DatabaseId database);

  void leaseWanted(DatabaseId database, long epoch);

  void leaseLost(DatabaseId database, long epoch);

  void confirmed(long elapsedMillis);

  /** Nothing comes after this. */
  void ended(Throwable reason);
}
