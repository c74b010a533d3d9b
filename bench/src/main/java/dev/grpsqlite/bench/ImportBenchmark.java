package dev.grpsqlite.bench;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.bench.workload.Sizes;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code grpsqlite import} of a large file, against {@code cp} and a sync of the same file to the
 * same disk, in turn; the start of the command is in its time.
 */
final class ImportBenchmark implements Benchmark {
  private static final int MIB = 1024;
  private static final int ROUNDS = 5;

  /** For the server's compilers: its CPU for an import halves until the fourth, and then stays. */
  private static final int WARM_UP_ROUNDS = 4;

  private static final double BAR = 2;
  private static final double NANOS = 1e9;

  @Override
  public String name() {
    return "import";
  }

  @Override
  public String note() {
    return "Client and server share this machine's processors, and are bound by them: of 4.1 s of two processors in an"
        + " import of 2.05 s, the command's own Java has 0.6 (0.3 s pass before the first page is sent), the relay, which"
        + " sends, 0.75 (half of it two copies, out of the page cache and into the socket), the server's event loops 1.0"
        + " (the copy out of the socket, the one into an array, checksums), the thread that writes tables 1.2 (half of it"
        + " the kernel's), the server's compiler 0.1, and 0.3 are idle. Kept: the relay speaks to the server, so that"
        + " nothing of gRPC's transport is loaded; what is needed later is loaded by a second thread while the command line"
        + " is read; few methods are compiled, strings are joined without method handles, and the file is opened beside the"
        + " session; tables whose run is over are completed while others are written, with xxHash64, the fastest checksum"
        + " as RocksDB is built for Java; requests are read into arrays used before. Without effect: direct writes of the"
        + " tables, which cost as much CPU, and have the thread wait for the disk (2.6 to 3.1 s); a mapped file in place"
        + " of reads; smaller messages; blocks of 64 KiB in the tables; large memory pages; no verification of classes; options described to the command"
        + " line's parser by calls in place of annotations (0.03 s).";
  }

  @Override
  public List<Figure> run(Path folder, Sizes sizes) throws Exception {
    Path source = folder.resolve("source.db");
    try (ServerProcess server = ServerProcess.rocksdbAsShipped(folder)) {
      Client client = new Client(folder, server.url());
      client
          .localShell(
              source,
              "PRAGMA journal_mode = off; PRAGMA synchronous = off; CREATE TABLE t (b);"
                  + "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
                  + MIB * 256
                  + ") INSERT INTO t SELECT randomblob(4000) FROM n;")
          .ok();
      List<Double> imports = new ArrayList<>();
      List<Double> copies = new ArrayList<>();
      List<Double> ratios = new ArrayList<>();
      double first = 0;
      for (int round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
        Path copy = folder.resolve("copy.db");
        client.run("", "sync", source.toString()).ok();
        long begun = System.nanoTime();
        client.run("", "cp", source.toString(), copy.toString()).ok();
        client.run("", "sync", copy.toString()).ok();
        double copied = (System.nanoTime() - begun) / NANOS;
        Files.delete(copy);
        begun = System.nanoTime();
        client.command("import", "--json", source.toString(), "copy" + round + ".db").ok();
        double imported = (System.nanoTime() - begun) / NANOS;
        if (round == -WARM_UP_ROUNDS) {
          first = imported;
        }
        if (round >= 0) {
          copies.add(copied);
          imports.add(imported);
          ratios.add(imported / copied);
        }
      }
      return List.of(
          new Figure("cp and sync of " + MIB + " MiB", "s", copies, Bar.NONE),
          new Figure("grpsqlite import of " + MIB + " MiB, rocksdb-server", "s", imports, Bar.NONE),
          new Figure("the same into a server that just started", "s", List.of(first), Bar.NONE),
          new Figure("import to cp and sync", "", ratios, Bar.below(BAR)));
    }
  }
}
