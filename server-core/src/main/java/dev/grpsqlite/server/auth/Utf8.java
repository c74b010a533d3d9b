package dev.grpsqlite.server.auth;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/** The order in which databases are listed. */
final class Utf8 {
  static final Comparator<String> ORDER =
      (a, b) ->
          Arrays.compareUnsigned(
              a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));

  private Utf8() {}

  /** In order, without those that begin with another of them. */
  static List<String> withoutExtensions(Collection<String> prefixes) {
    List<String> kept = new ArrayList<>();
    for (String prefix : prefixes.stream().distinct().sorted(ORDER).toList()) {
      if (kept.isEmpty() || !prefix.startsWith(kept.get(kept.size() - 1))) {
        kept.add(prefix);
      }
    }
    return List.copyOf(kept);
  }
}
