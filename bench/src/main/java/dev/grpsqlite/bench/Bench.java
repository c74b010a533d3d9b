package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Comparison;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.report.Figure.Verdict;
import dev.grpsqlite.bench.report.Report;
import dev.grpsqlite.bench.workload.Comparing;
import dev.grpsqlite.bench.workload.Rig;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.bench.workload.Workload;
import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Folders;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * Runs workloads and benchmarks and reports: {@code Bench [--full] [NAME...]}, all without a name.
 *
 * <p>The report goes to {@code build/bench/}, and is written anew after each of them. The exit
 * status is 2 if one could not be run to its end; else 1 if a single figure misses its bar or, in
 * the full form, a comparison does: the short form's sizes are not those that the comparisons' bars
 * are about.
 */
public final class Bench {
  private static final String FULL = "--full";
  private static final List<Benchmark> SINGLE =
      List.of(
          new ForkBenchmark(),
          new HandoverBenchmark(),
          new FairnessBenchmark(),
          new ImportBenchmark(),
          new StartBenchmark(),
          new HostileBenchmark(),
          new DatabasesBenchmark(),
          new CompressionBenchmark(),
          new UnmeasuredBars());

  private Bench() {}

  public static void main(String[] arguments) throws Exception {
    List<String> names = new ArrayList<>(List.of(arguments));
    Sizes sizes = names.remove(FULL) ? Sizes.FULL : Sizes.SHORT;
    List<String> known = new ArrayList<>();
    Comparing.ALL.forEach(each -> known.add(each.name()));
    SINGLE.forEach(each -> known.add(each.name()));
    if (!known.containsAll(names)) {
      System.err.println("bench: there are " + known + " to choose from");
      System.exit(2);
    }
    System.exit(run(Set.copyOf(names.isEmpty() ? known : names), sizes));
  }

  private static int run(Set<String> chosen, Sizes sizes) throws Exception {
    Path reports = Files.createDirectories(Dist.root().resolve("build/bench"));
    Report report = new Report(Conditions.now(sizes));
    Path folder = Files.createTempDirectory(reports, "data-");
    List<Comparison> compared = new ArrayList<>();
    List<Figure> strict = new ArrayList<>();
    try {
      try (Rig rig = new Rig(folder, sizes)) {
        for (Workload each : Comparing.ALL) {
          if (chosen.contains(each.name())) {
            step(
                report,
                reports,
                each.name(),
                () -> {
                  Comparison comparison = Comparing.run(each, rig);
                  compared.add(comparison);
                  report.add(comparison);
                });
          }
        }
      }
      if (!compared.isEmpty()) {
        report.add("waste", "", List.of(Comparing.waste(compared)));
      }
      for (Benchmark each : SINGLE) {
        if (chosen.contains(each.name())) {
          step(
              report,
              reports,
              each.name(),
              () -> strict.addAll(single(each, report, folder, sizes)));
        }
      }
    } finally {
      Folders.delete(folder);
    }
    System.out.print(report.summary());
    System.out.println("More is in " + reports.resolve("report.md"));
    if (report.hasFailures()) {
      return 2;
    }
    List<Figure> judged = sizes.equals(Sizes.FULL) ? report.figures(Verdict.MISSED) : strict;
    return judged.stream().anyMatch(each -> each.verdict() == Verdict.MISSED) ? 1 : 0;
  }

  private static List<Figure> single(Benchmark each, Report report, Path folder, Sizes sizes)
      throws Exception {
    List<Figure> figures = each.run(Files.createTempDirectory(folder, each.name()), sizes);
    report.add(each.name(), each.note(), figures);
    return figures;
  }

  private interface Step {
    void run() throws Exception;
  }

  /** What one could not be run with is no reason not to run the others. */
  @SuppressWarnings("CatchAndPrintStackTrace")
  private static void step(Report report, Path reports, String name, Step step) throws Exception {
    long begun = System.nanoTime();
    try {
      step.run();
    } catch (Exception | AssertionError e) {
      e.printStackTrace();
      report.addFailure(name, String.valueOf(e.getMessage()));
    }
    report.write(reports);
    System.out.printf("%s: %.0f s%n", name, (System.nanoTime() - begun) / 1e9);
  }
}
