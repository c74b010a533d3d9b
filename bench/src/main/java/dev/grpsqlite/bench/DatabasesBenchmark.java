package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Attack;
import dev.grpsqlite.e2e.Folders;
import dev.grpsqlite.e2e.ServerProcess;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A server that keeps very many databases: what it needs for them, and how long it takes to open
 * one.
 */
final class DatabasesBenchmark implements Benchmark {
  private static final int THREADS = 8;
  private static final int OPENS = 200;
  private static final int STEP = 7919;
  private static final double HEAP_BAR_MIB = 512;
  private static final double MIB = 1 << 20;

  @Override
  public String name() {
    return "databases";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    int databases = sizes.manyDatabases();
    if (databases == 0) {
      return List.of(
          Figure.notMeasured(
              "heap of a server with 100,000 databases",
              Bar.below(HEAP_BAR_MIB),
              "the full form does"));
    }
    // As large a heap as the bar allows, so that it is the databases that fill it or don't.
    try (ServerProcess server =
        ServerProcess.with(
            "-Xmx512m", "rocksdb-server", folder, "--data", folder.resolve("data").toString())) {
      GrpsqliteDataSource source =
          GrpsqliteDataSource.of("jdbc:grpsqlite://127.0.0.1:" + server.port() + "/first.db");
      // The session stays while it is open.
      try (Connection held = source.getConnection();
          Statement statement = held.createStatement()) {
        statement.execute("CREATE TABLE t (a)");
        make(source, databases);
        List<Double> opens = new ArrayList<>();
        for (int i = 1; i <= OPENS; i++) {
          long begun = System.nanoTime();
          String name = name(i * STEP % databases);
          try (Connection connection = source.withDatabase(name).getConnection();
              Statement select = connection.createStatement()) {
            if (!select.executeQuery("SELECT a FROM t").next()) {
              throw new SQLException("no row");
            }
          }
          opens.add((System.nanoTime() - begun) / 1e6);
        }
        return List.of(
            new Figure(
                "heap of rocksdb-server with " + databases + " databases",
                "MiB",
                List.of(Attack.liveHeapBytes(server.pid()) / MIB),
                Bar.below(HEAP_BAR_MIB)),
            new Figure(
                "disk for each of them",
                "KiB",
                List.of(Folders.sizeBytes(folder.resolve("data")) / 1024.0 / databases),
                Bar.NONE),
            new Figure("open, query and close of one of them", "ms", opens, Bar.NONE));
      }
    }
  }

  private static void make(GrpsqliteDataSource source, int databases) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try {
      List<Callable<Boolean>> work = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        int first = thread;
        work.add(
            () -> {
              for (int i = first; i < databases; i += THREADS) {
                try (Connection connection = source.withDatabase(name(i)).getConnection();
                    Statement statement = connection.createStatement()) {
                  statement.execute("CREATE TABLE t AS SELECT 1 AS a");
                }
              }
              return true;
            });
      }
      for (Future<Boolean> each : threads.invokeAll(work)) {
        each.get();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static String name(int number) {
    return "tenants/" + number + ".db";
  }
}
