package dev.grpsqlite.server.spi;

/**
 * What a version is, its pages aside.
 *
 * @param version 0: created, nothing committed; a fork has content there
 * @param pageSize in bytes, a power of two from 512 to 65536; 0 as long as nothing was written
 * @param pageCount from 0 to 4294967294
 * @param mark tells it from another version of this number, which there is once a store was
 *     replaced by an older copy of itself and went on from there: {@link CommitId#mark} of the
 *     commit or restore that made it; 0 at version 0
 */
public record Snapshot(long version, int pageSize, long pageCount, long mark) {
  public static final Snapshot EMPTY = new Snapshot(0, 0, 0, 0);
}
