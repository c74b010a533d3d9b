package dev.grpsqlite.server.predict;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The walks of a session that were of use last. */
final class Walks {
  private static final int MOST = 8;

  /** So many demands ago a walk was of use, if rows of it may lead to what is read now. */
  private static final int LATELY = 24;

  private final @Nullable Walk[] walks = new @Nullable Walk[MOST];

  void clear() {
    Arrays.fill(walks, null);
  }

  /** One that waits for a page to be asked for. */
  @Nullable Walk expecting(long page) {
    for (Walk walk : walks) {
      if (walk != null && walk.expects(page)) {
        return walk;
      }
    }
    return null;
  }

  /** One that is at a leaf. */
  @Nullable Walk at(long leaf) {
    for (Walk walk : walks) {
      if (walk != null && walk.leaf() == leaf) {
        return walk;
      }
    }
    return null;
  }

  /** Is of use now, in place of the one that was so longest ago. */
  void keep(Walk walk, long demands) {
    walk.lastUse = demands;
    int oldest = 0;
    for (int i = 0; i < walks.length; i++) {
      if (walks[i] == walk) {
        return;
      }
      if (isOlder(walks[i], walks[oldest])) {
        oldest = i;
      }
    }
    walks[oldest] = walk;
  }

  private static boolean isOlder(@Nullable Walk walk, @Nullable Walk other) {
    return other != null && (walk == null || walk.lastUse < other.lastUse);
  }

  /** Those that were of use lately, the newest first. */
  Walk[] newest(long demands) {
    return Arrays.stream(walks)
        .filter(Objects::nonNull)
        .filter(walk -> demands - walk.lastUse <= LATELY)
        .sorted(Comparator.comparingLong((Walk walk) -> walk.lastUse).reversed())
        .toArray(Walk[]::new);
  }
}
