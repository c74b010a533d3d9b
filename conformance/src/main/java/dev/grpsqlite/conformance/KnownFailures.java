package dev.grpsqlite.conformance;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/**
 * Rules that a server is known not to keep, with the reason for each.
 *
 * <p>In a file: {@code NUMBER reason}, one on a line; empty lines and those that begin with # are
 * comments. A rule that is kept after all makes the run fail, so that the file stays true.
 */
record KnownFailures(Map<String, String> reasons) {
  static final KnownFailures NONE = new KnownFailures(Map.of());

  /**
   * @param file its name, for messages
   */
  static KnownFailures parse(String file, List<String> lines, List<Rule> rules)
      throws UsageException {
    Set<String> numbers = new HashSet<>();
    rules.forEach(rule -> numbers.add(rule.number()));
    Map<String, String> reasons = new TreeMap<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).strip();
      if (line.isEmpty() || line.startsWith("#")) {
        continue;
      }
      String where = file + ":" + (i + 1) + ": ";
      String[] words = line.split("\\s+", 2);
      if (!numbers.contains(words[0])) {
        throw new UsageException(where + "there is no rule " + words[0]);
      }
      if (words.length < 2) {
        throw new UsageException(where + words[0] + " needs a reason");
      }
      if (reasons.put(words[0], words[1]) != null) {
        throw new UsageException(where + words[0] + " is there already");
      }
    }
    return new KnownFailures(Map.copyOf(reasons));
  }
}
