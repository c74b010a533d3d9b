package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.StoreException;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/** Something that is written in turn, by the {@link Committer}. Its methods run on its thread. */
interface Change {
  /** How much it adds to a batch, about. */
  long bytes();

  /** Whether there is more than before when it is written. */
  default boolean needsRoom() {
    return false;
  }

  /** What must not be touched twice by one group, or null. */
  default @Nullable Object alone() {
    return null;
  }

  /**
   * Decides, given what the group has decided before, and adds what is to be written.
   *
   * @return what to do once the group is durable: publish, and answer
   * @throws StoreException nothing was added, and {@link #fail} will be called with it
   */
  Runnable apply(Group group) throws RocksDBException;

  /** Answers that it failed. */
  void fail(StoreException why);
}
