package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.profile.Profile;
import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Comparison;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.report.Figure.Verdict;
import dev.grpsqlite.bench.report.Series;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

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

  private static final long PROFILE_NANOS = 2_000_000_000;
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
      Sizes sizes = rig.sizes();
      List<Contender> contenders = workload.prepare(rig);
      Measured measured =
          Alternation.run(
              contenders,
              sizes.leastRounds(),
              sizes.rounds(),
              TimeUnit.MILLISECONDS.toNanos(sizes.longMs()),
              TimeUnit.MILLISECONDS.toNanos(sizes.warmUpMs()),
              System::nanoTime);
      List<Figure> figures = workload.judge(measured);
      boolean isMissed = figures.stream().anyMatch(each -> each.verdict() == Verdict.MISSED);
      return new Comparison(
          workload.name(),
          isMissed ? workload.about() + "\n\n" + workload.tried() : workload.about(),
          measured.rows(),
          figures,
          isMissed ? profiles(rig, contenders) : List.of());
    } finally {
      rig.closeLeft();
    }
  }

  /** Of the places without delay, for what is missed there is missed everywhere. */
  private static List<Profile> profiles(Rig rig, List<Contender> contenders) throws Exception {
    List<Profile> profiles = new ArrayList<>();
    for (Contender each : contenders) {
      for (String server : List.of(Rig.MEMORY, Rig.ROCKSDB)) {
        if (each.name().startsWith(RemotePlace.name(server, 0))) {
          long pid = rig.server(server).pid();
          profiles.add(Profile.of(each.name(), pid, rig.folder(), () -> repeat(each)));
        }
      }
    }
    return profiles;
  }

  private static void repeat(Contender contender) throws Exception {
    long begun = System.nanoTime();
    do {
      Sample unused = contender.measurement().take();
    } while (System.nanoTime() - begun < PROFILE_NANOS);
  }
}
