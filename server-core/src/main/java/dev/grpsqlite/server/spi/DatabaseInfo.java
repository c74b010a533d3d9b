package dev.grpsqlite.server.spi;

import java.time.Instant;

/**
 * A database as it stood at one moment.
 *
 * @param head its newest version
 * @param oldestVersion the oldest version that can be read
 * @param committedAt when the head was committed; when it was created, at version 0
 */
public record DatabaseInfo(
    DatabaseId id,
    String name,
    Snapshot head,
    long oldestVersion,
    Instant createdAt,
    Instant committedAt) {}
