package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.Snapshot;
import java.nio.ByteBuffer;

/**
 * A version, its pages aside.
 *
 * @param attempt under which its staged pages are; {@link Keys#INLINE} if it has none
 * @param committedAtMillis since 1970, and later than that of the version before
 */
record VersionRecord(
    long version,
    int pageSize,
    long pageCount,
    long committedAtMillis,
    CommitId commit,
    long epoch,
    int attempt) {

  private static final int BYTES = 8 + 4 + 8 + 8 + CommitId.BYTES + 8 + 4;

  static VersionRecord created(long atMillis) {
    return new VersionRecord(0, 0, 0, atMillis, new CommitId(0, 0), 0, Keys.INLINE);
  }

  static VersionRecord read(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    return new VersionRecord(
        from.getLong(),
        from.getInt(),
        from.getLong(),
        from.getLong(),
        CommitId.read(from),
        from.getLong(),
        from.getInt());
  }

  byte[] bytes() {
    ByteBuffer to =
        ByteBuffer.allocate(BYTES)
            .putLong(version)
            .putInt(pageSize)
            .putLong(pageCount)
            .putLong(committedAtMillis);
    commit.write(to);
    return to.putLong(epoch).putInt(attempt).array();
  }

  Snapshot snapshot() {
    return new Snapshot(version, pageSize, pageCount);
  }
}
