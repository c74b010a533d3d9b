package dev.grpsqlite.server.spi;

import java.time.Instant;

/**
 * A version in a database's history.
 *
 * @param snapshot the version, its page size and page count
 * @param committedAt when it was committed, in whole milliseconds, and at least one later than the
 *     version before it: the clock, or that plus one. So it names the version (the file service's
 *     {@code time_millis})
 * @param pagesChanged how many pages its commit wrote
 */
public record VersionInfo(Snapshot snapshot, Instant committedAt, long pagesChanged) {}
