package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.VersionInfo;
import java.nio.ByteBuffer;
import java.time.Instant;

/**
 * A version, its pages aside.
 *
 * @param attempt under which its staged pages are; {@link Keys#INLINE} if it has none
 * @param committedAtMillis since 1970, and later than that of the version before
 * @param pagesChanged how many pages its commit wrote
 * @param restored the commit was a restore, so its id is entered by itself too
 */
record VersionRecord(
    long version,
    int pageSize,
    long pageCount,
    long committedAtMillis,
    CommitId commit,
    long epoch,
    int attempt,
    long pagesChanged,
    boolean restored) {

  private static final int BYTES = 8 + 4 + 8 + 8 + CommitId.BYTES + 8 + 4 + 8 + 1;

  /** Version 0: empty, or what a database was forked from. */
  static VersionRecord first(int pageSize, long pageCount, long atMillis) {
    return new VersionRecord(
        0, pageSize, pageCount, atMillis, new CommitId(0, 0), 0, Keys.INLINE, 0, false);
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
        from.getInt(),
        from.getLong(),
        from.get() != 0);
  }

  byte[] bytes() {
    ByteBuffer to =
        ByteBuffer.allocate(BYTES)
            .putLong(version)
            .putInt(pageSize)
            .putLong(pageCount)
            .putLong(committedAtMillis);
    commit.write(to);
    return to.putLong(epoch)
        .putInt(attempt)
        .putLong(pagesChanged)
        .put((byte) (restored ? 1 : 0))
        .array();
  }

  Snapshot snapshot() {
    return new Snapshot(version, pageSize, pageCount, commit.mark());
  }

  VersionInfo info() {
    return new VersionInfo(snapshot(), Instant.ofEpochMilli(committedAtMillis), pagesChanged);
  }

  /** The last page that a commit of this page size may leave as it is. */
  long kept(int newPageSize) {
    return pageSize == newPageSize ? pageCount : 0;
  }
}
