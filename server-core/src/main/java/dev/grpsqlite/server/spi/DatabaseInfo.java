package dev.grpsqlite.server.spi;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A database as it stood at one moment.
 *
 * @param head its newest version
 * @param oldestVersion the oldest version that can be read
 * @param committedAt when the head was committed, as {@link VersionInfo#committedAt}; when it was
 *     created, at version 0
 * @param retention what {@link PageStore#setRetention} set for it; null where the store's setting
 *     holds
 * @param forkedFrom null if it is no fork
 */
public record DatabaseInfo(
    DatabaseId id,
    String name,
    Snapshot head,
    long oldestVersion,
    Instant createdAt,
    Instant committedAt,
    @Nullable Retention retention,
    @Nullable ForkPoint forkedFrom) {

  /** A database without retention of its own that is no fork. */
  public DatabaseInfo(
      DatabaseId id,
      String name,
      Snapshot head,
      long oldestVersion,
      Instant createdAt,
      Instant committedAt) {
    this(id, name, head, oldestVersion, createdAt, committedAt, null, null);
  }
}
