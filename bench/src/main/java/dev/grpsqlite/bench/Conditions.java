package dev.grpsqlite.bench;

import dev.grpsqlite.bench.workload.Sizes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** What a reader of numbers must know of the machine that they come from. */
final class Conditions {
  private Conditions() {}

  static String now(Sizes sizes) throws IOException {
    String cpu =
        Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 2))
            .findFirst()
            .orElse("unknown processor");
    String load = Files.readString(Path.of("/proc/loadavg")).strip();
    return """
        %s.

        %d × %s, Java %s, %s; load average at the start: %s. All processes share this machine:
        client, server and proxy. Medians; the spread is from the least to the most of the rounds, of the median. Ratios
        are of the same round. Before the rounds that count, each place is repeated for %d ms, for the compilers
        of the client and of the servers; "the first" is its very first turn, which counts for nothing. Every
        other round goes through the places backwards.

        Places: `local` is SQLite's own VFS with `synchronous` as named, all else SQLite's defaults, as for the servers
        (`memory`, `rocksdb`, as they are shipped, at that round trip of network delay, none of it at 0 ms, where there is
        no proxy). All of them through the same sqlite-jdbc in one client process. `echo` is the bare transport: the VFS's
        own C channel in a process, and a server on the gRPC library of ours in another, that answers with zeros.
        Local files come from the page cache of the system also where a read is called cold.
        """
        .formatted(
            sizes,
            Runtime.getRuntime().availableProcessors(),
            cpu,
            Runtime.version(),
            System.getProperty("os.name") + " " + System.getProperty("os.version"),
            load,
            sizes.warmUpMs());
  }
}
