package dev.grpsqlite.bench;

import dev.grpsqlite.bench.proxy.DelayProxy;
import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** What compressed pages make of a cold scan through networks of several bandwidths. */
final class CompressionBenchmark implements Benchmark {
  private static final int ROWS = 150_000;
  private static final int ROUNDS = 5;
  private static final Duration ROUND_TRIP = Duration.ofMillis(1);
  private static final double BAR = 0.75;

  @Override
  public String name() {
    return "compression";
  }

  @Override
  public String note() {
    return "A cold scan with `compression=lz4`, as a part of its time with `compression=off`: below 1"
        + " it pays. `auto` asks for it below 64 MiB/s (537 Mbit/s), and above 96 MiB/s (805 Mbit/s)"
        + " no more.";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    try (ServerProcess server = ServerProcess.rocksdbAsShipped(folder)) {
      List<Double> nothing =
          Scripts.run(new Client(folder, server.url()), "scan.py", "orders.db", ROWS);
      if (!nothing.isEmpty()) {
        throw new IllegalStateException("what makes the table prints " + nothing);
      }
      List<Figure> figures = new ArrayList<>();
      figures.add(at(folder, server, 100, Bar.below(BAR)));
      figures.add(at(folder, server, 500, Bar.NONE));
      figures.add(at(folder, server, 1000, Bar.NONE));
      return figures;
    }
  }

  private static Figure at(Path folder, ServerProcess server, int megabits, Bar bar)
      throws Exception {
    List<Double> ratios = new ArrayList<>();
    try (DelayProxy proxy = new DelayProxy(server.port(), ROUND_TRIP, megabits * 125_000L)) {
      Client client = new Client(folder, proxy.url());
      for (int round = 0; round <= ROUNDS; round++) {
        double ratio = scan(client, "lz4") / scan(client, "off");
        if (round > 0) { // The first one warms the server up.
          ratios.add(ratio);
        }
      }
    }
    return new Figure("compressed cold scan at " + megabits + " Mbit/s", "", ratios, bar);
  }

  private static double scan(Client client, String compression) throws Exception {
    return Scripts.run(client, "scan.py", "file:orders.db?mode=ro&compression=" + compression)
        .get(0);
  }
}
