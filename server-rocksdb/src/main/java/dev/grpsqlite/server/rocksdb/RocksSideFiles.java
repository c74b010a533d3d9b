package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SideFiles;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import org.rocksdb.RocksDBException;

/**
 * Side files, in chunks. A chunk that is not there, or short, goes on with zeros; there is never
 * one behind the end, nor bytes behind the end in the last. Writes go through the commit thread,
 * one of each file in a group, since they begin from what is stored. Thread-safe.
 */
final class RocksSideFiles implements SideFiles {
  /** A frame of a write-ahead log with 4 KiB pages touches one or two. */
  static final int CHUNK = 16 << 10;

  /** The size of the largest file that can be asked for. */
  static final long LARGEST = 1L << 42;

  private final Engine engine;
  private final Databases databases;
  private final Readers readers;
  private final Committer committer;

  RocksSideFiles(Engine engine, Databases databases, Readers readers, Committer committer) {
    this.engine = engine;
    this.databases = databases;
    this.readers = readers;
    this.committer = committer;
  }

  @Override
  public CompletableFuture<ByteBuffer> read(DatabaseId id, String file, long offset, int length) {
    return readers.answer(
        tier -> {
          DatabaseState state = databases.get(id, tier);
          check(state, file, offset, length);
          return read(state, file, offset, length, tier);
        });
  }

  private ByteBuffer read(DatabaseState state, String file, long offset, int length, Tier tier)
      throws RocksDBException {
    long size = size(state, file, tier);
    byte[] data = new byte[(int) Math.max(0, Math.min(length, size - offset))];
    for (int done = 0; done < data.length; ) {
      long at = offset + done;
      int within = (int) (at % CHUNK);
      int part = Math.min(CHUNK - within, data.length - done);
      byte[] chunk = engine.get(Keys.fileChunk(state.number, file, at / CHUNK), tier);
      if (chunk != null && chunk.length > within) {
        System.arraycopy(chunk, within, data, done, Math.min(part, chunk.length - within));
      }
      done += part;
    }
    return ByteBuffer.wrap(data);
  }

  @Override
  public CompletableFuture<Long> size(DatabaseId id, String file) {
    return readers.answer(
        tier -> {
          DatabaseState state = databases.get(id, tier);
          check(state, file, 0, 0);
          return size(state, file, tier);
        });
  }

  private long size(DatabaseState state, String file, Tier tier) throws RocksDBException {
    byte[] size = engine.get(Keys.fileSize(state.number, file), tier);
    return size == null ? 0 : Values.number(size);
  }

  @Override
  public CompletableFuture<Void> write(
      DatabaseId id, long epoch, String file, long offset, ByteBuffer data) {
    return change(
        id,
        epoch,
        file,
        offset,
        data.remaining(),
        (group, state) -> {
          long size = size(state, file, Tier.DISK);
          ByteBuffer from = data.duplicate();
          long at = offset;
          while (from.hasRemaining()) {
            int within = (int) (at % CHUNK);
            int part = Math.min(CHUNK - within, from.remaining());
            byte[] key = Keys.fileChunk(state.number, file, at / CHUNK);
            byte[] chunk = part == CHUNK ? null : group.get(key);
            byte[] bytes = chunk == null ? new byte[within + part] : grown(chunk, within + part);
            from.get(bytes, within, part);
            group.put(key, bytes);
            at += part;
          }
          group.put(Keys.fileSize(state.number, file), Values.number(Math.max(size, at)));
        });
  }

  private static byte[] grown(byte[] bytes, int size) {
    return bytes.length < size ? Arrays.copyOf(bytes, size) : bytes;
  }

  @Override
  public CompletableFuture<Void> truncate(DatabaseId id, long epoch, String file, long size) {
    return change(
        id,
        epoch,
        file,
        size,
        0,
        (group, state) -> {
          long before = size(state, file, Tier.DISK);
          if (size < before) {
            long chunk = size / CHUNK;
            int within = (int) (size % CHUNK);
            byte[] key = Keys.fileChunk(state.number, file, chunk);
            byte[] last = within == 0 ? null : group.get(key);
            deleteChunks(group, state, file, chunk, before);
            if (last != null) {
              group.put(key, last.length > within ? Arrays.copyOf(last, within) : last);
            }
          }
          group.put(Keys.fileSize(state.number, file), Values.number(size));
        });
  }

  @Override
  public CompletableFuture<Void> delete(DatabaseId id, long epoch, String file) {
    return change(
        id,
        epoch,
        file,
        0,
        0,
        (group, state) -> {
          byte[] key = Keys.fileSize(state.number, file);
          byte[] size = group.get(key);
          if (size != null) {
            deleteChunks(group, state, file, 0, Values.number(size));
            group.delete(key);
          }
        });
  }

  /**
   * A range for many; one by one for few, since ranges that are deleted slow down others' reads.
   */
  private static void deleteChunks(
      Group group, DatabaseState state, String file, long from, long size) throws RocksDBException {
    long end = (size + CHUNK - 1) / CHUNK;
    if (end - from > 256) {
      group.deleteRange(
          Keys.fileChunk(state.number, file, from), Keys.fileChunk(state.number, file, end));
    } else {
      for (long chunk = from; chunk < end; chunk++) {
        group.delete(Keys.fileChunk(state.number, file, chunk));
      }
    }
  }

  private static void check(DatabaseState state, String file, long offset, long length) {
    if (offset < 0 || length < 0 || offset > LARGEST - length) {
      throw RocksErrors.invalid(state, "a side file has at most %d bytes".formatted(LARGEST));
    }
    if (file.indexOf(0) >= 0) {
      throw RocksErrors.invalid(state, "a side file's name has no NUL");
    }
  }

  @FunctionalInterface
  private interface Edit {
    void apply(Group group, DatabaseState state) throws RocksDBException;
  }

  private CompletableFuture<Void> change(
      DatabaseId id, long epoch, String file, long offset, long length, Edit edit) {
    return Futures.then(
        readers.answer(
            tier -> {
              DatabaseState state = databases.get(id, tier);
              check(state, file, offset, length);
              return state;
            }),
        state -> {
          CompletableFuture<Void> answer = new CompletableFuture<>();
          committer.submit(new Writing(state, epoch, file, length, edit, answer));
          return answer;
        });
  }

  private record Touched(long database, String file) {}

  private record Writing(
      DatabaseState before,
      long epoch,
      String file,
      long bytes,
      Edit edit,
      CompletableFuture<Void> answer)
      implements Change {
    @Override
    public boolean needsRoom() {
      return bytes > 0;
    }

    @Override
    public Object alone() {
      return new Touched(before.number, file);
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      LeaseState lease = state.nextLease;
      if (lease.epoch() != epoch || lease.holder() == null) {
        throw RocksErrors.leaseLost(state, epoch, lease.epoch());
      }
      edit.apply(group, state);
      group.mustBeDurable();
      return () -> answer.complete(null);
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }
}
