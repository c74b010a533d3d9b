package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.VersionInfo;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** One version of a database. Immutable. */
@SuppressWarnings("ArrayRecordComponent") // never compared; thousands of boxed numbers are worse
record Version(
    Snapshot snapshot,
    long committedAtMillis,
    /** The version from which on every page size is this one's. */
    long pageSizeSince,
    /** The pages that its commit wrote, ascending as unsigned numbers. */
    int[] pagesChanged,
    /** Null once it was collected. */
    @Nullable PageTree pages) {

  long number() {
    return snapshot.version();
  }

  VersionInfo info() {
    return new VersionInfo(snapshot, Instant.ofEpochMilli(committedAtMillis), pagesChanged.length);
  }

  Version collected() {
    return new Version(snapshot, committedAtMillis, pageSizeSince, pagesChanged, null);
  }
}
