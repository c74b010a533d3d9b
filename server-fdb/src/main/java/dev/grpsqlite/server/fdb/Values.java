package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;

/** What stands under the smaller keys. */
final class Values {
  static final byte[] NOTHING = new byte[0];

  /** Of the checksum that comes before a page. */
  static final int CHECKSUM_BYTES = Long.BYTES;

  private Values() {}

  static byte[] number(long number) {
    return ByteBuffer.allocate(Long.BYTES).putLong(number).array();
  }

  static long number(byte[] value) {
    return ByteBuffer.wrap(value).getLong();
  }

  static byte[] numbers(List<Long> numbers) {
    ByteBuffer to = ByteBuffer.allocate(Long.BYTES * numbers.size());
    numbers.forEach(to::putLong);
    return to.array();
  }

  static boolean contains(byte[] numbers, long number) {
    ByteBuffer from = ByteBuffer.wrap(numbers);
    while (from.hasRemaining()) {
      if (from.getLong() == number) {
        return true;
      }
    }
    return false;
  }

  static byte[] id(DatabaseId id) {
    ByteBuffer to = ByteBuffer.allocate(DatabaseId.BYTES);
    id.write(to);
    return to.array();
  }

  static DatabaseId id(byte[] value) {
    return DatabaseId.read(ByteBuffer.wrap(value));
  }

  static byte[] lease(LeaseState lease) {
    SessionId holder = lease.holder();
    ByteBuffer to = ByteBuffer.allocate(Long.BYTES + (holder == null ? 0 : SessionId.BYTES));
    to.putLong(lease.epoch());
    if (holder != null) {
      holder.write(to);
    }
    return to.array();
  }

  static LeaseState lease(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long epoch = from.getLong();
    return new LeaseState(epoch, from.hasRemaining() ? SessionId.read(from) : null);
  }

  static byte[] retention(Retention retention) {
    return ByteBuffer.allocate(1 + 8 + 4 + 8)
        .put((byte) (retention.forever() ? 1 : 0))
        .putLong(retention.duration().toSeconds())
        .putInt(retention.duration().toNanosPart())
        .putLong(retention.versions())
        .array();
  }

  static Retention retention(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    boolean forever = from.get() != 0;
    Duration duration = Duration.ofSeconds(from.getLong(), from.getInt());
    return new Retention(forever, duration, from.getLong());
  }

  /** Page numbers; each fits 32 bits. */
  static byte[] pages(List<PageImage> pages) {
    ByteBuffer to = ByteBuffer.allocate(Integer.BYTES * pages.size());
    pages.forEach(page -> to.putInt((int) page.number()));
    return to.array();
  }

  static long[] pages(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long[] pages = new long[value.length / Integer.BYTES];
    for (int i = 0; i < pages.length; i++) {
      pages[i] = Integer.toUnsignedLong(from.getInt());
    }
    return pages;
  }

  /** A page's checksum and data; of a page of zeros, no data. */
  static byte[] image(PageImage page) {
    ByteBuffer data = page.data().duplicate();
    return ByteBuffer.allocate(CHECKSUM_BYTES + data.remaining())
        .putLong(page.checksum())
        .put(data)
        .array();
  }

  static PageImage image(long number, long version, byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long checksum = from.getLong();
    return new PageImage(number, version, checksum, from.slice());
  }
}
