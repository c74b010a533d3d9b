package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Comparison;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.report.Series;
import java.util.List;

/** The workloads that there are, and how one is run. */
public final class Comparing {
  /** In the order of the report. */
  public static final List<Workload> ALL =
      List.of(
          new WarmReads(),
          new Mix(),
          new SmallCommit(),
          new ManyWriters(),
          new Points(),
          new Scan(),
          new WarmDisk(),
          new Range(),
          new Joins(),
          new BulkLoad(),
          new OpenClose(),
          new TpcB(),
          new Replicas(),
          new Collecting(),
          new Scale());

  private static final double WASTE_BAR = 1.3;

  private Comparing() {}

  /** What the cold queries of all workloads had sent to them, to what they needed. */
  public static Figure waste(List<Comparison> all) {
    String what = "pages sent to pages needed, all cold queries in all places";
    double sent = sum(all, Statistics.PAGES_SENT);
    double needed = sum(all, Statistics.PAGES_NEEDED);
    return needed == 0
        ? Figure.notMeasured(what, Bar.below(WASTE_BAR), "no cold query was run")
        : Figure.ratio(what, new Series(List.of(sent / needed)), Bar.below(WASTE_BAR));
  }

  private static double sum(List<Comparison> all, String count) {
    return all.stream()
        .flatMap(each -> each.rows().stream())
        .mapToDouble(row -> row.counts().getOrDefault(count, 0.0))
        .sum();
  }

  /** Prepares a workload, measures it in all its places in turn, and judges. */
  public static Comparison run(Workload workload, Rig rig) throws Exception {
    try {
      Measured measured = Alternation.run(workload.prepare(rig), rig.sizes().rounds());
      return new Comparison(
          workload.name(), workload.about(), measured.rows(), workload.judge(measured));
    } finally {
      rig.closeLeft();
    }
  }
}
