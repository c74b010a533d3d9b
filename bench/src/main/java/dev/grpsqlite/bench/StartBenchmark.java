package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.testing.Backend;
import dev.grpsqlite.testing.GrpsqliteServer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** What a test waits for its server within the process, once the classes are there. */
final class StartBenchmark implements Benchmark {
  private static final int STARTS = 21;
  private static final double BAR_MS = 300;

  @Override
  public String name() {
    return "start";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) {
    return List.of(measure(Backend.memory()), measure(Backend.versioned()));
  }

  private static Figure measure(Backend backend) {
    GrpsqliteServer.start(backend).close();
    List<Double> times = new ArrayList<>();
    for (int i = 0; i < STARTS; i++) {
      long before = System.nanoTime();
      try (GrpsqliteServer server = GrpsqliteServer.start(backend)) {
        times.add((System.nanoTime() - before) / (double) TimeUnit.MILLISECONDS.toNanos(1));
        if (!server.isHealthy()) {
          throw new IllegalStateException(server + " is not healthy");
        }
      }
    }
    return new Figure(
        "start of a " + backend.name() + " server in process", "ms", times, Bar.below(BAR_MS));
  }
}
