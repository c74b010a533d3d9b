package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;

/**
 * The journals and write-ahead logs of clients of the file service, which keep them at the server.
 * They are bytes that belong to a database, without versions, and go with it. The page service
 * never uses them.
 *
 * <p>Every write says which lease it is done under, and fails with LEASE_LOST if that is not the
 * current one (P3). A file that does not exist has size 0. Offsets and sizes are bytes.
 * Thread-safe; futures as in {@link PageStore}.
 */
public interface SideFiles {
  /**
   * Reads at most {@code length} bytes; fewer at the end of the file, none behind it.
   *
   * @param length at most one message's worth
   */
  CompletableFuture<ByteBuffer> read(DatabaseId database, String file, long offset, int length);

  /** Writes, growing the file if need be; a gap reads as zeros. Durable like a commit. */
  CompletableFuture<Void> write(
      DatabaseId database, long epoch, String file, long offset, ByteBuffer data);

  /** Sets the size; growing adds zeros. */
  CompletableFuture<Void> truncate(DatabaseId database, long epoch, String file, long size);

  CompletableFuture<Long> size(DatabaseId database, String file);

  /** Succeeds also if there is no such file. */
  CompletableFuture<Void> delete(DatabaseId database, long epoch, String file);
}
