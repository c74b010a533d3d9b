package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.CommitId;
import org.jspecify.annotations.Nullable;

/**
 * Which commit made each of the newest versions (P5), 16 bytes for each. Not thread-safe: guarded
 * by the database's lock.
 */
final class CommitIds {
  private static final int SMALLEST = 8;

  /** The id of version v is at 2v and 2v+1, modulo the length, which is a power of two. */
  private long[] ring = new long[2 * SMALLEST];

  private long first = 1;
  private long next = 1;

  /** The oldest version whose commit is known; the next version's number if none is. */
  long first() {
    return first;
  }

  @Nullable CommitId get(long version) {
    if (version < first || version >= next) {
      return null;
    }
    int at = at(ring, version);
    return new CommitId(ring[at], ring[at + 1]);
  }

  /** Makes room for one more, so that {@link #add} can't fail. */
  void reserve() {
    if (2 * (next - first) == ring.length) {
      resize(2 * ring.length);
    }
  }

  void add(CommitId id) {
    int at = at(ring, next++);
    ring[at] = id.high();
    ring[at + 1] = id.low();
  }

  void forgetBelow(long version) {
    first = Math.max(first, Math.min(version, next));
    if (ring.length > 2 * SMALLEST && 2 * (next - first) < ring.length / 4) {
      resize(ring.length / 2);
    }
  }

  private void resize(int length) {
    long[] resized = new long[length];
    for (long v = first; v < next; v++) {
      System.arraycopy(ring, at(ring, v), resized, at(resized, v), 2);
    }
    ring = resized;
  }

  private static int at(long[] ring, long version) {
    return (int) (2 * version) & (ring.length - 1);
  }
}
