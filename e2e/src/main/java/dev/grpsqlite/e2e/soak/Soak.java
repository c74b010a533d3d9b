package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Folders;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.jspecify.annotations.Nullable;

/**
 * Runs until the time is over: {@code Soak MINUTES [BACKEND [SEED]]}; the minutes are for each
 * backend, and an empty backend means all that are installed.
 *
 * <p>The time is cut in rounds, each with a server and a seed of its own, so that a round can be
 * done again alone. The exit status is 1 if anything was violated; then the round's folder is kept.
 */
public final class Soak {
  private static final Duration ROUND = Duration.ofSeconds(60);

  /** How many rounds of recorded workloads there are for one of random SQL. */
  private static final int RECORDED_ROUNDS = 3;

  private Soak() {}

  public static void main(String[] arguments) throws Exception {
    Duration length = Duration.ofMillis((long) (Double.parseDouble(arguments[0]) * 60_000));
    List<Backend> backends = Backend.installed();
    if (arguments.length > 1 && !arguments[1].isEmpty()) {
      backends = List.of(Backend.valueOf(arguments[1].toUpperCase(Locale.ROOT)));
    }
    long seed =
        arguments.length > 2 && !arguments[2].isEmpty()
            ? Long.parseLong(arguments[2])
            : new Random().nextInt(Integer.MAX_VALUE);
    Path folder = Files.createDirectories(Dist.root().resolve("build/soak"));
    List<Report> totals = new ArrayList<>();
    for (Backend backend : backends) {
      totals.add(soak(backend, seed, length, folder));
    }
    System.out.println("In all:");
    totals.forEach(System.out::println);
    System.exit(totals.stream().allMatch(r -> r.complaints().isEmpty()) ? 0 : 1);
  }

  private static Report soak(Backend backend, long firstSeed, Duration length, Path parent)
      throws Exception {
    long end = System.nanoTime() + length.toNanos();
    @Nullable Report total = null;
    for (long seed = firstSeed; total == null || System.nanoTime() < end; seed++) {
      Duration left = Duration.ofNanos(Math.max(0, end - System.nanoTime()));
      Path folder = Files.createTempDirectory(parent, "seed-" + seed + "-");
      Duration round = left.compareTo(ROUND) < 0 ? left : ROUND;
      Report report;
      try {
        report =
            (seed - firstSeed) % (RECORDED_ROUNDS + 1) == 1
                ? Compared.run(backend, seed, round, folder)
                : Recorded.run(backend, seed, round, folder);
      } catch (AssertionError e) {
        System.out.println(backend + ", seed " + seed + ", in " + folder);
        throw e;
      }
      System.out.println(report);
      if (report.complaints().isEmpty()) {
        Folders.delete(folder);
      } else {
        System.out.println("what it left is in " + folder);
      }
      total = total == null ? report : total.plus(report);
    }
    return total;
  }
}
