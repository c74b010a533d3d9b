package dev.grpsqlite.server.spi;

import java.time.Instant;

/**
 * A version in a database's history.
 *
 * @param snapshot the version, its page size and page count
 * @param committedAt when it was committed; never earlier than the version before it
 * @param pagesChanged how many pages its commit wrote
 */
public record VersionInfo(Snapshot snapshot, Instant committedAt, long pagesChanged) {}
