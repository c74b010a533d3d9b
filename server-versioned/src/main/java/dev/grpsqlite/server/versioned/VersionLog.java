package dev.grpsqlite.server.versioned;

import org.jspecify.annotations.Nullable;

/**
 * Consecutive versions of one database, found by number in constant time.
 *
 * <h2>Threads</h2>
 *
 * One thread at a time changes it, under the database's lock. Any number read without a lock: a
 * slot is written before the head that makes it known is, {@link #head} is volatile, and versions
 * are immutable. A reader that comes upon a slot used anew sees the number of another version in
 * it.
 */
final class VersionLog {
  private static final int SMALLEST = 8;

  /** Version v is in slot v modulo the length, which is a power of two. */
  private volatile @Nullable Version[] ring = new @Nullable Version[SMALLEST];

  private volatile Version head;

  /** The oldest one in it. Guarded by the database's lock. */
  private long first;

  VersionLog(Version first) {
    this.first = first.number();
    ring[slot(ring, first.number())] = first;
    head = first;
  }

  Version head() {
    return head;
  }

  long first() {
    return first;
  }

  /** The version, or null if it is above the head or forgotten. */
  @Nullable Version get(long number) {
    if (number < 0 || number > head.number()) {
      return null;
    }
    @Nullable Version[] slots = ring;
    Version found = slots[slot(slots, number)];
    return found != null && found.number() == number ? found : null;
  }

  /** Makes room for one more, so that {@link #add} can't fail. */
  void reserve() {
    long size = head.number() - first + 1;
    if (size == ring.length) {
      resize(2 * ring.length);
    }
  }

  void add(Version next) {
    @Nullable Version[] slots = ring;
    slots[slot(slots, next.number())] = next;
    head = next;
  }

  /** Puts another record of a version in the place of the one that is there. */
  void replace(Version version) {
    @Nullable Version[] slots = ring;
    slots[slot(slots, version.number())] = version;
  }

  /** Forgets versions below one that is at most the head. */
  void forgetBelow(long number) {
    @Nullable Version[] slots = ring;
    for (; first < number; first++) {
      slots[slot(slots, first)] = null;
    }
    long size = head.number() - first + 1;
    if (slots.length > SMALLEST && size < slots.length / 4) {
      resize(Math.max(SMALLEST, slots.length / 2));
    }
  }

  private void resize(int length) {
    @Nullable Version[] resized = new @Nullable Version[length];
    for (long v = first; v <= head.number(); v++) {
      resized[slot(resized, v)] = ring[slot(ring, v)];
    }
    ring = resized;
  }

  private static int slot(@Nullable Version[] slots, long number) {
    return (int) number & (slots.length - 1);
  }
}
