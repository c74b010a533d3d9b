package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Comparison;
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
          new Range(),
          new Joins(),
          new BulkLoad(),
          new OpenClose(),
          new TpcB(),
          new Replicas(),
          new Collecting(),
          new Scale());

  private Comparing() {}

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
