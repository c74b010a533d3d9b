package dev.grpsqlite.server.spi;

/**
 * How to bring a cache from one version to another.
 *
 * @param all forget everything: the list would be too long, is not known any more, or the page size
 *     changed; {@code pages} is then empty
 * @param pages the numbers of the pages that changed, ascending, each once
 */
@SuppressWarnings("ArrayRecordComponent") // never compared; thousands of boxed numbers are worse
public record Changes(boolean all, long[] pages) {
  public static final Changes ALL = new Changes(true, new long[0]);
  public static final Changes NONE = new Changes(false, new long[0]);
}
