package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Attack;
import dev.grpsqlite.e2e.Await;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.Program;
import dev.grpsqlite.e2e.ServerProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Pattern;

/**
 * An honest client alone, and beside a hostile one. The hostile one runs on the same machine, where
 * a real one has a machine of its own: so it has the lowest priority and a rate, and what it takes
 * is the server's time and not the client's. Its limits are the server's own defaults.
 */
final class HostileBenchmark implements Benchmark {
  private static final int SECONDS = 15;
  private static final int PAIRS = 2;

  /** What the attacker takes of this machine's processors it would not take of the server's. */
  private static final int NICENESS = 19;

  /** Requests a second of each kind of attack. */
  private static final int RATE = Integer.getInteger("grpsqlite.bench.attack.rate", 200);

  /** Enough for 10,000 connections to be tried in the time. */
  private static final int CONNECTIONS_RATE = 1000;

  private static final int CONNECTIONS = 10_000;
  private static final Pattern TRIED =
      Pattern.compile("(\\d+) (?:connections|silent connections|refused)\\b");

  /** A full collection leaves up to a twentieth of the heap as it is, dead or not, unless told. */
  private static final String JAVA_OPTIONS = "-Xmx512m -XX:MarkSweepDeadRatio=0";

  private static final long TTL_MS = 5000;
  private static final double LATENCY_BAR = 2;
  private static final double HEAP_BAR_MIB = 32;
  private static final double FOLDER_BAR_MIB = 64;
  private static final double MIB = 1 << 20;

  @Override
  public String name() {
    return "hostile";
  }

  @Override
  public String note() {
    return ("the attacker shares the machine with the server and the honest client, where a real one has its"
            + " own. So it runs at the lowest priority (nice %d), %d requests a second of each kind, %d"
            + " connections a second up to %d, from another address; what it costs this machine beyond"
            + " that is in the ratio too.")
        .formatted(NICENESS, RATE, CONNECTIONS_RATE, CONNECTIONS);
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    List<Figure> figures = new ArrayList<>();
    for (String server : List.of("memory-server", "rocksdb-server")) {
      figures.addAll(run(server, Files.createDirectories(folder.resolve(server))));
    }
    return figures;
  }

  private static List<Figure> run(String name, Path folder) throws Exception {
    Path data = folder.resolve("data");
    List<String> options =
        new ArrayList<>(
            List.of("--session-ttl-ms", "" + TTL_MS, "--metrics-listen", "127.0.0.1:0"));
    if (name.equals("rocksdb-server")) {
      options.addAll(List.of("--data", data.toString()));
    }
    try (ServerProcess server =
        ServerProcess.with(JAVA_OPTIONS, name, folder, options.toArray(new String[0]))) {
      Client client = new Client(folder, server.url());
      List<Double> alone = new ArrayList<>();
      List<Double> attacked = new ArrayList<>();
      try (Program honest = Scripts.start(client, "honest.py", "honest.db")) {
        honest.readTo("ready");
        measure(honest, 5); // The compiler's time.
        double heapBefore = Attack.liveHeapBytes(server.pid()) / MIB;
        double folderBefore = Attack.folderBytes(data) / MIB;
        for (int pair = 0; pair < PAIRS; pair++) {
          alone.addAll(measure(honest, SECONDS / 2));
          try (Program attack =
                  Attack.start(
                      client,
                      NICENESS,
                      server.port(),
                      SECONDS,
                      RATE,
                      "fuzz",
                      "staging",
                      "sessions",
                      "unfinished");
              Program crowd =
                  Attack.start(
                      client, NICENESS, server.port(), SECONDS, CONNECTIONS_RATE, "connections")) {
            attacked.addAll(measure(honest, SECONDS));
            String tried = crowd.finish().ok();
            System.err.print(name + ":\n" + attack.finish().ok() + tried);
            checkDelivered(tried);
          }
          awaitForgotten(server);
        }
        Await.until(
            "the folder of " + name + " to come back",
            Duration.ofMinutes(2),
            () -> Attack.folderBytes(data) / MIB - folderBefore < FOLDER_BAR_MIB);
        double heapAfter = Attack.liveHeapBytes(server.pid()) / MIB;
        double folderAfter = Attack.folderBytes(data) / MIB;
        honest.finish().ok();
        double before = median(alone);
        return List.of(
            new Figure("transaction of an honest client, " + name, "ms", alone, Bar.NONE),
            new Figure("the same under attack, " + name, "ms", attacked, Bar.NONE),
            new Figure(
                "under attack to alone, medians, " + name,
                "",
                List.of(median(attacked) / before),
                Bar.below(LATENCY_BAR)),
            new Figure(
                "heap after the attack, more than before, " + name,
                "MiB",
                List.of(heapAfter - heapBefore),
                Bar.below(HEAP_BAR_MIB)),
            new Figure(
                "folder after the attack, more than before, " + name,
                "MiB",
                List.of(folderAfter - folderBefore),
                Bar.below(FOLDER_BAR_MIB)));
      }
    }
  }

  /** An attack that did not take place shows nothing. */
  private static void checkDelivered(String said) throws IOException {
    int tried =
        TRIED.matcher(said).results().mapToInt(found -> Integer.parseInt(found.group(1))).sum();
    if (tried < CONNECTIONS) {
      throw new IOException(
          "the attacker tried %d connections, not %d, in %d s; is the machine busy?"
              .formatted(tried, CONNECTIONS, SECONDS));
    }
  }

  /** Milliseconds of each transaction in the time to come. */
  private static List<Double> measure(Program honest, int seconds) throws Exception {
    honest.send("\n");
    honest.readTo("--");
    Thread.sleep(Duration.ofSeconds(seconds).toMillis());
    honest.send("\n");
    return honest.readTo("--").lines().map(Double::valueOf).toList();
  }

  private static double median(List<Double> values) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    return sorted.get(sorted.size() / 2);
  }

  private static void awaitForgotten(ServerProcess server) throws Exception {
    Await.until(
        "the attacker's sessions to end",
        Duration.ofMinutes(1),
        () ->
            server.metric("grpsqlite_sessions", "") <= 1
                && server.metric("grpsqlite_staged_bytes", "") == 0
                && server.metric("grpsqlite_connections", "") <= 16);
  }
}
