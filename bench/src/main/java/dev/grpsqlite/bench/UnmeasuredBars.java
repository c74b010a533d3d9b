package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import java.nio.file.Path;
import java.util.List;

/** Bars that nothing here measures: a report that left them out would look better than it is. */
final class UnmeasuredBars implements Benchmark {
  @Override
  public String name() {
    return "unmeasured";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) {
    return List.of(Figure.notMeasured("minutes of make test", Bar.below(15), "make test says it"));
  }
}
