package dev.grpsqlite.server.spi;

/**
 * What a database was forked from.
 *
 * @param parentName the name that the parent had then; it may be gone since
 * @param version the parent's version that is the fork's version 0
 * @param id the one that {@link PageStore#fork} was given
 */
public record ForkPoint(String parentName, long version, CommitId id) {}
