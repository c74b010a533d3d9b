package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.Snapshot;

/**
 * A version as somebody outside knows it. It may be one of a history that the server has lost: its
 * data were replaced by an older copy, and what was committed since made other versions of the same
 * numbers.
 *
 * @param mark the version's (see {@link Snapshot}); 0 if it is not known, and then not compared
 */
public record KnownVersion(long version, long mark) {
  public static KnownVersion of(Snapshot snapshot) {
    return new KnownVersion(snapshot.version(), snapshot.mark());
  }

  /** Whether this is that version, for all that is known. */
  public boolean is(Snapshot snapshot) {
    return version == snapshot.version() && !isOther(snapshot.mark());
  }

  /** Whether the version of this number here, which has that mark, is certainly another one. */
  boolean isOther(long here) {
    return mark != 0 && here != 0 && mark != here;
  }
}
