package dev.grpsqlite.server.versioned;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.TreeMap;

/**
 * A journal or write-ahead log, in blocks; one that nothing was written to is not there and reads
 * as zeros. Bytes behind the end are always zeros, so growing has nothing to clear. Not
 * thread-safe: guarded by the database's lock.
 */
final class SideFile {
  private static final int BLOCK_BYTES = 1 << 16;

  private final TreeMap<Long, byte[]> blocks = new TreeMap<>();
  private long size;

  long size() {
    return size;
  }

  ByteBuffer read(long offset, int length) {
    int available = (int) Math.max(0, Math.min(length, size - offset));
    ByteBuffer result = ByteBuffer.allocate(available);
    while (result.hasRemaining()) {
      long position = offset + result.position();
      int inBlock = (int) (position % BLOCK_BYTES);
      int count = Math.min(result.remaining(), BLOCK_BYTES - inBlock);
      byte[] block = blocks.get(position / BLOCK_BYTES);
      if (block == null) {
        result.position(result.position() + count);
      } else {
        result.put(block, inBlock, count);
      }
    }
    return result.flip();
  }

  void write(long offset, ByteBuffer data) {
    ByteBuffer rest = data.duplicate();
    long position = offset;
    while (rest.hasRemaining()) {
      int inBlock = (int) (position % BLOCK_BYTES);
      int count = Math.min(rest.remaining(), BLOCK_BYTES - inBlock);
      byte[] block =
          blocks.computeIfAbsent(position / BLOCK_BYTES, absent -> new byte[BLOCK_BYTES]);
      rest.get(block, inBlock, count);
      position += count;
      size = Math.max(size, position);
    }
  }

  void truncate(long newSize) {
    if (newSize < size) {
      long last = newSize / BLOCK_BYTES;
      blocks.tailMap(last, false).clear();
      byte[] block = blocks.get(last);
      if (block != null) {
        Arrays.fill(block, (int) (newSize % BLOCK_BYTES), BLOCK_BYTES, (byte) 0);
      }
    }
    size = newSize;
  }
}
