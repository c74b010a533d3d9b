package dev.grpsqlite.server.spi;

import java.time.Duration;

/**
 * How far back versions are kept: what any of these keeps is kept. The head, versions that are
 * pinned, and versions that a fork began from are kept in any case.
 *
 * @param forever keep every version
 * @param duration keep versions that were the head less than this ago; zero for none
 * @param versions keep this many versions behind the head; 0 for none
 */
public record Retention(boolean forever, Duration duration, long versions) {
  public static final Retention FOREVER = new Retention(true, Duration.ZERO, 0);

  public static Retention lasting(Duration duration) {
    return new Retention(false, duration, 0);
  }
}
