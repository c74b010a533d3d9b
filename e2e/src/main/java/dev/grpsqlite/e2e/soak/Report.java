package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.soak.Nemesis.Mischief;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What a run did and what came of it.
 *
 * @param ok how many transactions were acknowledged
 * @param failed how many were not made
 * @param whole how many of unknown outcome had been made
 * @param absent how many of unknown outcome had not
 * @param steps how many reads and writes, or statements, all of them had
 * @param mischief how often each kind happened
 * @param complaints what must not be; empty in a good run
 */
public record Report(
    Backend backend,
    long seed,
    int ok,
    int failed,
    int whole,
    int absent,
    int steps,
    Map<Mischief, Integer> mischief,
    List<String> complaints) {
  public Report {
    mischief = Map.copyOf(mischief);
    complaints = List.copyOf(complaints);
  }

  /** The sum of two runs; the seed is the first one's. */
  Report plus(Report other) {
    Map<Mischief, Integer> both = new EnumMap<>(Mischief.class);
    both.putAll(mischief);
    other.mischief.forEach((m, n) -> both.merge(m, n, Integer::sum));
    List<String> all = new ArrayList<>(complaints);
    all.addAll(other.complaints);
    return new Report(
        backend,
        seed,
        ok + other.ok,
        failed + other.failed,
        whole + other.whole,
        absent + other.absent,
        steps + other.steps,
        both,
        all);
  }

  /** In words; the complaints, a line each, at the end. */
  @Override
  public String toString() {
    String happened =
        mischief.entrySet().stream()
            .sorted(Map.Entry.comparingByKey())
            .map(e -> words(e.getKey()) + " " + e.getValue())
            .collect(Collectors.joining(", "));
    return String.format(
        "%s, seed %d: %d transactions with %d operations; %d ok, %d failed, %d unknown (%d whole,"
            + " %d absent); %s; %s",
        backend.name().toLowerCase(Locale.ROOT),
        seed,
        ok + failed + whole + absent,
        steps,
        ok,
        failed,
        whole + absent,
        whole,
        absent,
        happened,
        complaints.isEmpty() ? "no violation" : "VIOLATIONS:\n" + String.join("\n", complaints));
  }

  private static String words(Mischief mischief) {
    return mischief.name().toLowerCase(Locale.ROOT).replace('_', ' ');
  }
}
