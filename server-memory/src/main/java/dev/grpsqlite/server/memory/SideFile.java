package dev.grpsqlite.server.memory;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.TreeMap;

/** A file of bytes, in chunks that are made when something is written to them. Not thread-safe. */
final class SideFile {
  private static final int CHUNK_BYTES = 64 << 10;

  private final TreeMap<Long, byte[]> chunks = new TreeMap<>();
  private long size;

  long size() {
    return size;
  }

  ByteBuffer read(long offset, int length) {
    int count = (int) Math.max(0, Math.min(length, size - offset));
    byte[] result = new byte[count];
    for (int done = 0; done < count; ) {
      int within = (int) ((offset + done) % CHUNK_BYTES);
      int part = Math.min(count - done, CHUNK_BYTES - within);
      byte[] chunk = chunks.get((offset + done) / CHUNK_BYTES);
      if (chunk != null) {
        System.arraycopy(chunk, within, result, done, part);
      }
      done += part;
    }
    return ByteBuffer.wrap(result);
  }

  void write(long offset, ByteBuffer data) {
    ByteBuffer from = data.duplicate();
    long position = offset;
    while (from.hasRemaining()) {
      int within = (int) (position % CHUNK_BYTES);
      int part = Math.min(from.remaining(), CHUNK_BYTES - within);
      byte[] chunk =
          chunks.computeIfAbsent(position / CHUNK_BYTES, number -> new byte[CHUNK_BYTES]);
      from.get(chunk, within, part);
      position += part;
    }
    size = Math.max(size, position);
  }

  void truncate(long newSize) {
    if (newSize < size) {
      // Bytes behind the end are zeros, so that growing again shows zeros.
      long lastChunk = newSize / CHUNK_BYTES;
      chunks.tailMap(lastChunk, false).clear();
      byte[] chunk = chunks.get(lastChunk);
      if (chunk != null) {
        Arrays.fill(chunk, (int) (newSize % CHUNK_BYTES), CHUNK_BYTES, (byte) 0);
      }
    }
    size = newSize;
  }
}
