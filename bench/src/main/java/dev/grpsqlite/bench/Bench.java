package dev.grpsqlite.bench;

import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Folders;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Runs benchmarks and reports: {@code Bench [NAME...]}, all without a name.
 *
 * <p>The report goes to {@code build/bench/report.md}, the raw numbers to {@code
 * build/bench/report.json}. The exit status is 1 if a figure misses its bar, 2 if a benchmark could
 * not be run.
 */
public final class Bench {
  private static final List<Benchmark> ALL =
      List.of(
          new ForkBenchmark(),
          new HandoverBenchmark(),
          new FairnessBenchmark(),
          new ImportBenchmark(),
          new StartBenchmark(),
          new HostileBenchmark());

  private Bench() {}

  public static void main(String[] names) throws Exception {
    List<Benchmark> chosen = new ArrayList<>();
    for (Benchmark benchmark : ALL) {
      if (names.length == 0 || List.of(names).contains(benchmark.name())) {
        chosen.add(benchmark);
      }
    }
    if (chosen.isEmpty() || (names.length > 0 && chosen.size() < names.length)) {
      System.err.println(
          "bench: there are " + ALL.stream().map(Benchmark::name).toList() + " to choose from");
      System.exit(2);
    }
    System.exit(run(chosen));
  }

  private static int run(List<Benchmark> chosen) throws Exception {
    Path reports = Files.createDirectories(Dist.root().resolve("build/bench"));
    List<String> rows = new ArrayList<>();
    rows.add("| what | median | least … most | values | bar | reached |");
    rows.add("|---|---|---|---|---|---|");
    rows.forEach(System.out::println);
    List<String> json = new ArrayList<>();
    boolean all = true;
    for (Benchmark benchmark : chosen) {
      Path folder = Files.createTempDirectory(reports, benchmark.name() + "-");
      try {
        for (Figure figure : benchmark.run(folder)) {
          System.out.println(figure.row());
          rows.add(figure.row());
          json.add("  " + figure.json());
          all &= figure.holds();
        }
      } finally {
        Folders.delete(folder);
      }
    }
    for (Benchmark benchmark : chosen) {
      if (!benchmark.note().isEmpty()) {
        rows.add("\n" + benchmark.name() + ": " + benchmark.note());
      }
    }
    Files.write(reports.resolve("report.md"), rows);
    Files.writeString(reports.resolve("report.json"), "[\n" + String.join(",\n", json) + "\n]\n");
    return all ? 0 : 1;
  }
}
