package dev.grpsqlite.server.spi;

/**
 * What a version is, its pages aside.
 *
 * @param version 0: created, nothing committed; a fork has content there
 * @param pageSize in bytes, a power of two from 512 to 65536; 0 as long as nothing was written
 * @param pageCount from 0 to 4294967294
 */
public record Snapshot(long version, int pageSize, long pageCount) {
  public static final Snapshot EMPTY = new Snapshot(0, 0, 0);
}
