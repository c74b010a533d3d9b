package dev.grpsqlite.server.rocksdb;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Sizes and counts as people write them in settings. */
final class Quantities {
  private static final Pattern NUMBER_AND_UNIT = Pattern.compile("(\\d{1,12})\\s*([A-Za-z]*)");

  private static final Map<String, Long> BYTES =
      Map.of("", 1L, "KiB", 1L << 10, "MiB", 1L << 20, "GiB", 1L << 30);

  private static final long MOST_BYTES = 1L << 50;

  private Quantities() {}

  static String sizeProblem(String value, long least) {
    long size = parse(value, BYTES);
    return size < least || size > MOST_BYTES
        ? "not a size from %dMiB on, like 64MiB or 2GiB: %s".formatted(least >> 20, value)
        : "";
  }

  static long size(String value) {
    return parse(value, BYTES);
  }

  static String countProblem(String value, int least, int most) {
    long count = parse(value, Map.of("", 1L));
    return count < least || count > most
        ? "not a number from %d to %d: %s".formatted(least, most, value)
        : "";
  }

  /** The quantity in its smallest unit, or -1. */
  private static long parse(String value, Map<String, Long> units) {
    Matcher matcher = NUMBER_AND_UNIT.matcher(value.strip());
    Long unit = matcher.matches() ? units.get(matcher.group(2)) : null;
    if (unit == null) {
      return -1;
    }
    long number = Long.parseLong(matcher.group(1));
    return number > Long.MAX_VALUE / unit ? -1 : number * unit;
  }
}
