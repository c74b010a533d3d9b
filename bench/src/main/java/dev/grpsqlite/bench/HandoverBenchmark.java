package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Path;
import java.util.List;

/** Two writers in turn: how long a transaction takes whose lease the other one has. */
final class HandoverBenchmark implements Benchmark {
  private static final int ROUNDS = 500;
  private static final double BAR_MS = 5;

  @Override
  public String name() {
    return "handover";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    try (ServerProcess server = ServerProcess.memoryAsShipped(folder)) {
      Client client = new Client(folder, server.url());
      return List.of(
          new Figure(
              "one-row transaction of a lone writer, memory-server",
              "ms",
              Scripts.run(client, "handover.py", "alone.db", 1, ROUNDS),
              Bar.NONE),
          new Figure(
              "one-row transaction of two writers in turn, memory-server",
              "ms",
              Scripts.run(client, "handover.py", "two.db", 2, ROUNDS),
              Bar.below(BAR_MS)));
    }
  }
}
