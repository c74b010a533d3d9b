package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Path;
import java.util.List;

/** Forks of a large and of a small database, durable on disk: the time does not tell the size. */
final class ForkBenchmark implements Benchmark {
  private static final int LARGE_MIB = 1024;
  private static final int SMALL_MIB = 1;
  private static final int FORKS = 21;
  private static final double BAR_MS = 100;

  @Override
  public String name() {
    return "fork";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    try (ServerProcess server = ServerProcess.rocksdbAsShipped(folder)) {
      Client client = new Client(folder, server.url());
      return List.of(
          new Figure(
              "fork of " + LARGE_MIB + " MiB, rocksdb-server",
              "ms",
              Scripts.run(client, "fork.py", "large.db", LARGE_MIB, FORKS),
              Bar.below(BAR_MS)),
          new Figure(
              "fork of " + SMALL_MIB + " MiB, rocksdb-server",
              "ms",
              Scripts.run(client, "fork.py", "small.db", SMALL_MIB, FORKS),
              Bar.below(BAR_MS)));
    }
  }
}
