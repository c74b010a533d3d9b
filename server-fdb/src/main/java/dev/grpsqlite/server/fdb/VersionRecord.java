package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.VersionInfo;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * What is known of a version.
 *
 * @param attempts under which numbers its images are, beside {@link Keys#INLINE}; ascending, which
 *     is also their precedence
 * @param pagesChanged how many pages it wrote
 */
record VersionRecord(
    long version,
    int pageSize,
    long pageCount,
    long committedAtMillis,
    CommitId commit,
    List<Long> attempts,
    long pagesChanged) {

  private static final CommitId NONE = new CommitId(0, 0);

  /** What a database begins with. */
  static VersionRecord first(int pageSize, long pageCount, long createdAtMillis) {
    return new VersionRecord(0, pageSize, pageCount, createdAtMillis, NONE, List.of(), 0);
  }

  byte[] bytes() {
    ByteBuffer to = ByteBuffer.allocate(8 + 4 + 8 + 8 + CommitId.BYTES + 8 + 8 * attempts.size());
    to.putLong(version).putInt(pageSize).putLong(pageCount).putLong(committedAtMillis);
    commit.write(to);
    to.putLong(pagesChanged);
    attempts.forEach(to::putLong);
    return to.array();
  }

  static VersionRecord read(byte[] value) {
    ByteBuffer from = ByteBuffer.wrap(value);
    long version = from.getLong();
    int pageSize = from.getInt();
    long pageCount = from.getLong();
    long committedAtMillis = from.getLong();
    CommitId commit = CommitId.read(from);
    long pagesChanged = from.getLong();
    List<Long> attempts = new ArrayList<>();
    while (from.hasRemaining()) {
      attempts.add(from.getLong());
    }
    return new VersionRecord(
        version,
        pageSize,
        pageCount,
        committedAtMillis,
        commit,
        List.copyOf(attempts),
        pagesChanged);
  }

  Snapshot snapshot() {
    return new Snapshot(version, pageSize, pageCount, commit.mark());
  }

  Instant committedAt() {
    return Instant.ofEpochMilli(committedAtMillis);
  }

  VersionInfo info() {
    return new VersionInfo(snapshot(), committedAt(), pagesChanged);
  }

  /** The last page that a commit of this page size may leave as it is. */
  long kept(int newPageSize) {
    return pageSize == newPageSize ? pageCount : 0;
  }
}
