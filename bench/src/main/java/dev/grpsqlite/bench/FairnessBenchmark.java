package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Ten processes that increment one row: nobody fails, and nobody takes much longer. */
final class FairnessBenchmark implements Benchmark {
  private static final int PROCESSES = 10;
  private static final int INCREMENTS = 200;
  private static final int ROUNDS = 3;
  private static final double BAR = 3;

  @Override
  public String name() {
    return "fairness";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    try (ServerProcess server = ServerProcess.memoryAsShipped(folder)) {
      Client client = new Client(folder, server.url());
      List<Double> ratios = new ArrayList<>();
      List<Double> totals = new ArrayList<>();
      for (int round = 0; round < ROUNDS; round++) {
        List<Double> seconds =
            Scripts.run(client, "increments.py", "row-" + round + ".db", PROCESSES, INCREMENTS);
        double slowest = Collections.max(seconds);
        ratios.add(slowest / Collections.min(seconds));
        totals.add(PROCESSES * INCREMENTS / slowest);
      }
      return List.of(
          new Figure("slowest to fastest of " + PROCESSES + " writers", "", ratios, Bar.below(BAR)),
          new Figure("transactions of " + PROCESSES + " writers", "/s", totals, Bar.NONE));
    }
  }
}
