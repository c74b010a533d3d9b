package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.ForkPoint;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
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
   * @param bulk some of its pages may be in tables that are not complete: it ends with the process
   * @param abandoned its pages are being deleted: it can't be committed any more
   */
  record StageRecord(
      SessionId session, StageId stage, long epoch, int pageSize, boolean bulk, boolean abandoned) {
    private static final int BYTES = SessionId.BYTES + StageId.BYTES + 8 + 4 + 1;
    private static final int ABANDONED = 1;
    private static final int BULK = 2;

    static StageRecord read(byte[] value) {
      ByteBuffer from = ByteBuffer.wrap(value);
      SessionId session = SessionId.read(from);
      StageId stage = StageId.read(from);
      long epoch = from.getLong();
      int pageSize = from.getInt();
      int flags = from.get();
      return new StageRecord(
          session, stage, epoch, pageSize, (flags & BULK) != 0, (flags & ABANDONED) != 0);
    }

    StageRecord abandon() {
      return new StageRecord(session, stage, epoch, pageSize, bulk, true);
    }

    byte[] bytes() {
      ByteBuffer to = ByteBuffer.allocate(BYTES);
      session.write(to);
      stage.write(to);
      int flags = (bulk ? BULK : 0) | (abandoned ? ABANDONED : 0);
      return to.putLong(epoch).putInt(pageSize).put((byte) flags).array();
    }
  }

  /** A stage's images, as their keys tell them from others. */
  record Attempt(long version, int number) {}

  /**
   * Where a database's pages come from that it has no image of.
   *
   * @param parent the number of the database whose images those are
   * @param version the version at which it has them
   * @param pageSize of that version
   * @param pageCount of that version
   * @param skipped images up to that version that were staged and not committed at the time
   * @param told what it was forked from, as those who asked for it named it
   */
  record Forked(
      long parent,
      long version,
      int pageSize,
      long pageCount,
      List<Attempt> skipped,
      ForkPoint told) {
    static Forked read(byte[] value) {
      ByteBuffer from = ByteBuffer.wrap(value);
      long parent = from.getLong();
      long version = from.getLong();
      int pageSize = from.getInt();
      long pageCount = from.getLong();
      long toldVersion = from.getLong();
      CommitId id = CommitId.read(from);
      List<Attempt> skipped = new ArrayList<>();
      for (int count = from.getInt(); count > 0; count--) {
        skipped.add(new Attempt(from.getLong(), from.getInt()));
      }
      String name = StandardCharsets.UTF_8.decode(from).toString();
      return new Forked(
          parent,
          version,
          pageSize,
          pageCount,
          List.copyOf(skipped),
          new ForkPoint(name, toldVersion, id));
    }

    byte[] bytes() {
      byte[] utf8 = told.parentName().getBytes(StandardCharsets.UTF_8);
      ByteBuffer to =
          ByteBuffer.allocate(
                  8 + 8 + 4 + 8 + 8 + CommitId.BYTES + 4 + 12 * skipped.size() + utf8.length)
              .putLong(parent)
              .putLong(version)
              .putInt(pageSize)
              .putLong(pageCount)
              .putLong(told.version());
      told.id().write(to);
      to.putInt(skipped.size());
      skipped.forEach(each -> to.putLong(each.version()).putInt(each.number()));
      return to.put(utf8).array();
    }
  }

  private Values() {}

  static byte[] retention(Retention retention) {
    return ByteBuffer.allocate(1 + 8 + 4 + 8)
        .put((byte) (retention.forever() ? 1 : 0))
        .putLong(retention.duration().toSeconds())
        .putInt(retention.duration().toNanosPart())
        .putLong(retention.versions())
        .array();
  }

  static @Nullable Retention retention(byte @Nullable [] value) {
    if (value == null) {
      return null;
    }
    ByteBuffer from = ByteBuffer.wrap(value);
    boolean forever = from.get() != 0;
    Duration duration = Duration.ofSeconds(from.getLong(), from.getInt());
    return new Retention(forever, duration, from.getLong());
  }

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
