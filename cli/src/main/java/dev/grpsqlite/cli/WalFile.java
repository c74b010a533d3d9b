package dev.grpsqlite.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The committed pages that a write-ahead log has, as <a
 * href="https://www.sqlite.org/fileformat2.html#the_write_ahead_log">SQLite's file format</a> says:
 * frames whose salts are the header's and whose checksums go on from the frame before, up to the
 * last that ends a transaction.
 *
 * <p>Whoever reads it holds the database's write lock, so that the log neither grows nor begins
 * anew. A checkpoint meanwhile does no harm: it changes only pages of the file that are taken from
 * the log here.
 */
final class WalFile {
  private static final int HEADER_BYTES = 32;
  private static final int FRAME_HEADER_BYTES = 24;
  private static final int MAGIC_LITTLE_ENDIAN = 0x377f0682;
  private static final int MAGIC_BIG_ENDIAN = 0x377f0683;

  private final FileChannel file;
  private final int pageSize;
  private final Map<Long, Long> offsets;
  private final long pageCount;

  private WalFile(FileChannel file, int pageSize, Map<Long, Long> offsets, long pageCount) {
    this.file = file;
    this.pageSize = pageSize;
    this.offsets = offsets;
    this.pageCount = pageCount;
  }

  /** Null if the log has no committed page. */
  static @Nullable WalFile read(FileChannel file, int pageSize) throws IOException {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
    if (!SourceFile.readFully(file, header, 0)) {
      return null;
    }
    int magic = header.getInt(0);
    if ((magic != MAGIC_LITTLE_ENDIAN && magic != MAGIC_BIG_ENDIAN)
        || header.getInt(8) != pageSize) {
      return null;
    }
    Checksum checksum =
        new Checksum(magic == MAGIC_BIG_ENDIAN ? ByteOrder.BIG_ENDIAN : ByteOrder.LITTLE_ENDIAN);
    checksum.add(header, 0, 24);
    if (!checksum.is(header.getInt(24), header.getInt(28))) {
      return null;
    }
    long salts = header.getLong(16);
    Map<Long, Long> committed = new HashMap<>();
    Map<Long, Long> open = new HashMap<>();
    long pageCount = 0;
    ByteBuffer frame = ByteBuffer.allocate(FRAME_HEADER_BYTES + pageSize);
    for (long at = HEADER_BYTES; SourceFile.readFully(file, frame, at); at += frame.capacity()) {
      checksum.add(frame, 0, 8);
      checksum.add(frame, FRAME_HEADER_BYTES, pageSize);
      long page = Integer.toUnsignedLong(frame.getInt(0));
      if (page == 0
          || frame.getLong(8) != salts
          || !checksum.is(frame.getInt(16), frame.getInt(20))) {
        break;
      }
      open.put(page, at + FRAME_HEADER_BYTES);
      long sizeAfterCommit = Integer.toUnsignedLong(frame.getInt(4));
      if (sizeAfterCommit != 0) {
        committed.putAll(open);
        open.clear();
        pageCount = sizeAfterCommit;
      }
    }
    return pageCount == 0 ? null : new WalFile(file, pageSize, committed, pageCount);
  }

  /** Of the database, after the last transaction. */
  long pageCount() {
    return pageCount;
  }

  boolean has(long page) {
    return offsets.containsKey(page);
  }

  /** Puts a page where it belongs, if the log has it. */
  void overlay(long page, byte[] to, int offset) throws IOException {
    Long at = offsets.get(page);
    if (at != null && !SourceFile.readFully(file, ByteBuffer.wrap(to, offset, pageSize), at)) {
      throw new IOException("the write-ahead log became shorter while it was read");
    }
  }

  private static final class Checksum {
    private final ByteOrder order;
    private int s0;
    private int s1;

    Checksum(ByteOrder order) {
      this.order = order;
    }

    void add(ByteBuffer bytes, int from, int length) {
      ByteBuffer words = bytes.duplicate().order(order);
      for (int at = from; at < from + length; at += 8) {
        s0 += words.getInt(at) + s1;
        s1 += words.getInt(at + 4) + s0;
      }
    }

    boolean is(int first, int second) {
      return s0 == first && s1 == second;
    }
  }
}
