package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SideFiles;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Side files, in chunks, of which those of zeros need not be there. Thread-safe.
 *
 * <p>A write of a message's worth is one transaction.
 */
final class FdbSideFiles implements SideFiles {
  private static final int CHUNK = 8192;

  /** Chunks have numbers that a file of this size does not exceed. */
  private static final long LARGEST = 1L << 46;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;

  FdbSideFiles(Transactions transactions, Databases databases) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
  }

  @Override
  public CompletableFuture<ByteBuffer> read(
      DatabaseId database, String file, long offset, int length) {
    return checked(
        database,
        file,
        offset,
        length,
        () ->
            transactions.read(
                transaction ->
                    databases
                        .head(transaction, database)
                        .thenCompose(
                            head -> databases.number(transaction, keys.fileSize(database, file)))
                        .thenCompose(
                            size -> {
                              byte[] data =
                                  new byte[(int) Math.max(0, Math.min(length, size - offset))];
                              if (data.length == 0) {
                                return Futures.done(ByteBuffer.wrap(data));
                              }
                              return Databases.list(
                                      transaction,
                                      new com.apple.foundationdb.Range(
                                          keys.fileChunk(database, file, offset / CHUNK),
                                          keys.fileChunk(
                                              database,
                                              file,
                                              (offset + data.length - 1) / CHUNK + 1)))
                                  .thenApply(
                                      chunks -> {
                                        chunks.forEach(chunk -> copy(chunk, data, offset));
                                        return ByteBuffer.wrap(data);
                                      });
                            })));
  }

  private void copy(KeyValue chunk, byte[] data, long offset) {
    long at = keys.chunkOf(chunk.getKey()) * CHUNK - offset; // where it begins in the data
    byte[] bytes = chunk.getValue();
    int from = (int) Math.max(0, -at);
    int to = (int) Math.min(bytes.length, data.length - at);
    if (from < to) {
      System.arraycopy(bytes, from, data, (int) (at + from), to - from);
    }
  }

  @Override
  public CompletableFuture<Long> size(DatabaseId database, String file) {
    return checked(
        database,
        file,
        0,
        0,
        () ->
            transactions.read(
                transaction ->
                    databases
                        .head(transaction, database)
                        .thenCompose(
                            head -> databases.number(transaction, keys.fileSize(database, file)))));
  }

  @Override
  public CompletableFuture<Void> write(
      DatabaseId database, long epoch, String file, long offset, ByteBuffer data) {
    int length = data.remaining();
    return change(
        database,
        epoch,
        file,
        offset,
        length,
        (transaction, size) -> {
          long end = offset + length;
          transaction.set(
              keys.fileSize(database, file),
              Values.number(length == 0 ? size : Math.max(size, end)));
          if (length == 0) {
            return Futures.done();
          }
          LongFunction<byte[]> key = chunk -> keys.fileChunk(database, file, chunk);
          long first = offset / CHUNK;
          long last = (end - 1) / CHUNK;
          // What is left of the chunks at both ends stays.
          CompletableFuture<byte[]> head = transaction.get(key.apply(first));
          CompletableFuture<byte[]> tail = last == first ? head : transaction.get(key.apply(last));
          return head.thenAcceptBoth(
              tail,
              (before, behind) -> {
                ByteBuffer from = data.duplicate();
                for (long chunk = first; chunk <= last; chunk++) {
                  int start = chunk == first ? (int) (offset % CHUNK) : 0;
                  int part = Math.min(CHUNK - start, from.remaining());
                  byte[] there = chunk == first ? before : chunk == last ? behind : null;
                  byte[] bytes = grown(there, start + part);
                  from.get(bytes, start, part);
                  transaction.set(key.apply(chunk), bytes);
                }
              });
        });
  }

  private static byte[] grown(byte @Nullable [] bytes, int size) {
    if (bytes == null) {
      return new byte[size];
    }
    return Arrays.copyOf(bytes, Math.max(size, bytes.length));
  }

  @Override
  public CompletableFuture<Void> truncate(
      DatabaseId database, long epoch, String file, long newSize) {
    return change(
        database,
        epoch,
        file,
        newSize,
        0,
        (transaction, size) -> {
          transaction.set(keys.fileSize(database, file), Values.number(newSize));
          if (newSize >= size) {
            return Futures.done();
          }
          byte[] key = keys.fileChunk(database, file, newSize / CHUNK);
          int within = (int) (newSize % CHUNK);
          return transaction
              .get(key)
              .thenAccept(
                  last -> {
                    transaction.clear(key, keys.fileChunk(database, file, Long.MAX_VALUE));
                    if (last != null && within > 0) {
                      transaction.set(key, Arrays.copyOf(last, Math.min(within, last.length)));
                    }
                  });
        });
  }

  @Override
  public CompletableFuture<Void> delete(DatabaseId database, long epoch, String file) {
    return change(
        database,
        epoch,
        file,
        0,
        0,
        (transaction, size) -> {
          transaction.clear(keys.fileSize(database, file));
          transaction.clear(
              keys.fileChunk(database, file, 0), keys.fileChunk(database, file, Long.MAX_VALUE));
          return Futures.done();
        });
  }

  @FunctionalInterface
  private interface Edit {
    CompletableFuture<Void> apply(Transaction transaction, long size);
  }

  private CompletableFuture<Void> change(
      DatabaseId database, long epoch, String file, long offset, long length, Edit edit) {
    return checked(
        database,
        file,
        offset,
        length,
        () ->
            transactions.write(
                transaction ->
                    databases
                        .lease(transaction, database)
                        .thenCompose(
                            lease -> {
                              if (lease.epoch() != epoch || lease.holder() == null) {
                                throw FdbErrors.leaseLost(database, epoch, lease.epoch());
                              }
                              return databases.number(transaction, keys.fileSize(database, file));
                            })
                        .thenCompose(size -> edit.apply(transaction, size))));
  }

  private static <T> CompletableFuture<T> checked(
      DatabaseId database,
      String file,
      long offset,
      long length,
      java.util.function.Supplier<CompletableFuture<T>> work) {
    if (offset < 0 || length < 0 || offset > LARGEST - length) {
      return CompletableFuture.failedFuture(
          FdbErrors.invalid(database, "a side file has at most %d bytes".formatted(LARGEST)));
    }
    if (file.indexOf(0) >= 0) {
      return CompletableFuture.failedFuture(
          FdbErrors.invalid(database, "a side file's name has no NUL"));
    }
    return work.get();
  }
}
