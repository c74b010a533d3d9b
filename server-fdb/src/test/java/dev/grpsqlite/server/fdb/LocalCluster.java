package dev.grpsqlite.server.fdb;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/** A FoundationDB cluster of one process, with all it has in a folder. */
final class LocalCluster implements AutoCloseable {
  private static final long START_SECONDS = 60;

  private final Path folder;
  private final Process server;

  private LocalCluster(Path folder, Process server) {
    this.folder = folder;
    this.server = server;
  }

  /** What is not installed, if anything. */
  static Optional<String> missing() {
    for (String program : List.of("fdbserver", "fdbcli")) {
      if (program(program).isEmpty()) {
        return Optional.of(program);
      }
    }
    return library().isEmpty() ? Optional.of("libfdb_c.so") : Optional.empty();
  }

  private static Optional<Path> program(String name) {
    List<Path> folders = new ArrayList<>();
    String home = System.getenv("FDB_HOME");
    if (home != null) {
      folders.add(Path.of(home, "bin"));
      folders.add(Path.of(home, "sbin"));
    }
    for (String folder : System.getenv().getOrDefault("PATH", "").split(File.pathSeparator, -1)) {
      folders.add(Path.of(folder));
    }
    folders.add(Path.of("/usr/sbin")); // where its package has fdbserver
    return folders.stream()
        .map(folder -> folder.resolve(name))
        .filter(Files::isExecutable)
        .findFirst();
  }

  private static Optional<Path> library() {
    List<Path> places = new ArrayList<>();
    String home = System.getenv("FDB_HOME");
    if (home != null) {
      places.add(Path.of(home, "lib", "libfdb_c.so"));
    }
    places.add(Path.of("/usr/lib/libfdb_c.so"));
    places.add(Path.of("/usr/lib64/libfdb_c.so"));
    places.add(Path.of("/usr/local/lib/libfdb_c.so"));
    return places.stream().filter(Files::isReadable).findFirst();
  }

  /** Starts a new cluster in an empty folder. */
  static LocalCluster start(Path folder) throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Files.writeString(folder.resolve("fdb.cluster"), "test:test@127.0.0.1:" + port + "\n");
    Files.createDirectories(folder.resolve("data"));
    Files.createDirectories(folder.resolve("logs"));
    LocalCluster cluster = new LocalCluster(folder, startServer(folder, port));
    boolean ready = false;
    try {
      cluster.configure();
      ready = true;
      return cluster;
    } finally {
      if (!ready) {
        cluster.close();
      }
    }
  }

  private static Process startServer(Path folder, int port) throws IOException {
    return new ProcessBuilder(
            program("fdbserver").orElseThrow().toString(),
            "--cluster-file",
            folder.resolve("fdb.cluster").toString(),
            "--public-address",
            "127.0.0.1:" + port,
            "--listen-address",
            "public",
            "--datadir",
            folder.resolve("data").toString(),
            "--logdir",
            folder.resolve("logs").toString(),
            "--memory",
            "4GiB")
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve("fdbserver.log").toFile())
        .start();
  }

  private void configure() throws Exception {
    Path log = folder.resolve("fdbcli.log");
    Process configuring =
        new ProcessBuilder(
                program("fdbcli").orElseThrow().toString(),
                "-C",
                clusterFile().toString(),
                "--timeout",
                String.valueOf(START_SECONDS),
                "--exec",
                "configure new single memory")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    if (!configuring.waitFor(START_SECONDS + 10, TimeUnit.SECONDS)
        || configuring.exitValue() != 0) {
      configuring.destroyForcibly();
      throw new IOException("the cluster was not configured: " + Files.readString(log));
    }
  }

  Path clusterFile() {
    return folder.resolve("fdb.cluster");
  }

  @Override
  public void close() {
    server.destroyForcibly();
    try {
      if (!server.waitFor(30, TimeUnit.SECONDS)) {
        throw new AssertionError("fdbserver does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
