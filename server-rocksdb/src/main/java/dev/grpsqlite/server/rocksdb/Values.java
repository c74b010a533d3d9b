package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/** The small values, to bytes and back. */
final class Values {
  /** Database id, creation time, name. */
  record Created(DatabaseId id, long atMillis, String name) {
    static Created read(byte[] value) {
      ByteBuffer from = ByteBuffer.wrap(value);
      DatabaseId id = DatabaseId.read(from);
      long at = from.getLong();
      return new Created(id, at, StandardCharsets.UTF_8.decode(from).toString());
    }

    byte[] bytes() {
      byte[] utf8 = name.getBytes(StandardCharsets.UTF_8);
      ByteBuffer to = ByteBuffer.allocate(DatabaseId.BYTES + 8 + utf8.length);
      id.write(to);
      return to.putLong(atMillis).put(utf8).array();
    }
  }

  /**
   * A stage as it is kept.
   *
   * @param abandoned its pages are being deleted: it can't be committed any more
   */
  record StageRecord(
      SessionId session, StageId stage, long epoch, int pageSize, boolean abandoned) {
    private static final int BYTES = SessionId.BYTES + StageId.BYTES + 8 + 4 + 1;

    static StageRecord read(byte[] value) {
      ByteBuffer from = ByteBuffer.wrap(value);
      return new StageRecord(
          SessionId.read(from), StageId.read(from), from.getLong(), from.getInt(), from.get() != 0);
    }

    byte[] bytes() {
      ByteBuffer to = ByteBuffer.allocate(BYTES);
      session.write(to);
      stage.write(to);
      return to.putLong(epoch).putInt(pageSize).put((byte) (abandoned ? 1 : 0)).array();
    }
  }

  private Values() {}

  static byte[] number(long number) {
    return ByteBuffer.allocate(8).putLong(number).array();
  }

  static long number(byte[] value) {
    return ByteBuffer.wrap(value).getLong();
  }

  static byte[] lease(LeaseState lease) {
    SessionId holder = lease.holder();
    ByteBuffer to = ByteBuffer.allocate(holder == null ? 8 : 8 + SessionId.BYTES);
    to.putLong(lease.epoch());
    if (holder != null) {
      holder.write(to);
    }
    return to.array();
  }

  static LeaseState lease(byte @Nullable [] value) {
    if (value == null) {
      return new LeaseState(0, null);
    }
    ByteBuffer from = ByteBuffer.wrap(value);
    long epoch = from.getLong();
    return new LeaseState(epoch, from.hasRemaining() ? SessionId.read(from) : null);
  }

  /** A list of page numbers, 4 bytes each: none is above 2^32 - 2. */
  static byte[] pages(long[] pages, int count) {
    ByteBuffer to = ByteBuffer.allocate(4 * count);
    for (int i = 0; i < count; i++) {
      to.putInt((int) pages[i]);
    }
    return to.array();
  }

  static long[] pages(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long[] pages = new long[value.length / 4];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = Integer.toUnsignedLong(from.getInt());
    }
    return pages;
  }
}
