package dev.grpsqlite.server.spi;

import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * How far back versions are kept: what any of these keeps is kept. The head and versions that are
 * pinned are kept in any case, and so is whatever a fork needs, for the fork.
 *
 * @param forever keep every version
 * @param duration keep versions that were the head less than this ago; zero for none
 * @param versions keep this many versions behind the head; 0 for none
 */
public record Retention(boolean forever, Duration duration, long versions) {
  public static final Retention FOREVER = new Retention(true, Duration.ZERO, 0);
  public static final Retention NONE = new Retention(false, Duration.ZERO, 0);

  /** What a setting says, for its help. See {@link #parse}. */
  public static final String SYNTAX =
      "a time as 90s, 10m, 24h or 7d, a number as 100versions, both as 10m,100versions (what either"
          + " keeps), 0 or forever";

  private static final Pattern PART = Pattern.compile("(\\d{1,12})(ms|s|m|h|d|versions?)");

  public static Retention lasting(Duration duration) {
    return new Retention(false, duration, 0);
  }

  /**
   * Reads what a person wrote: {@code forever}, {@code 0}, a time ({@code 500ms}, {@code 90s},
   * {@code 10m}, {@code 24h}, {@code 7d}), a number of versions ({@code 100versions}), or a time
   * and a number with a comma between.
   *
   * @throws IllegalArgumentException with a message that says what would be right
   */
  public static Retention parse(String text) {
    if (text.equals("forever")) {
      return FOREVER;
    }
    if (text.equals("0")) {
      return NONE;
    }
    Duration duration = Duration.ZERO;
    long versions = 0;
    int times = 0;
    int counts = 0;
    for (String part : text.split(",", -1)) {
      Matcher matcher = PART.matcher(part.strip());
      if (!matcher.matches()) {
        throw notUnderstood(text);
      }
      long number = Long.parseLong(matcher.group(1));
      switch (matcher.group(2)) {
        case "ms" -> duration = Duration.ofMillis(number);
        case "s" -> duration = Duration.ofSeconds(number);
        case "m" -> duration = Duration.ofMinutes(number);
        case "h" -> duration = Duration.ofHours(number);
        case "d" -> duration = Duration.ofDays(number);
        default -> {
          versions = number;
          counts++;
          continue;
        }
      }
      times++;
    }
    if (times > 1 || counts > 1) {
      throw notUnderstood(text);
    }
    return new Retention(false, duration, versions);
  }

  /** What is wrong with a setting's value, as {@link PageStoreProvider.Check} wants it. */
  public static String problem(String text) {
    try {
      parse(text);
      return "";
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
  }

  private static IllegalArgumentException notUnderstood(String text) {
    return new IllegalArgumentException("\"" + text + "\" is none of: " + SYNTAX);
  }
}
