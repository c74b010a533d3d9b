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
import org.jspecify.annotations.Nullable;

/**
 * A FoundationDB cluster of one process, with all it has in a folder; the process can be killed and
 * started again. It ends with this JVM at the latest. Safe to use from several threads.
 */
public final class LocalCluster implements AutoCloseable {
  private static final long START_SECONDS = 60;

  private final Path folder;
  private final int port;
  private final Thread atExit = new Thread(this::kill);
  private @Nullable Process server;

  private LocalCluster(Path folder, int port) {
    this.folder = folder;
    this.port = port;
  }

  /** What is not installed, if anything. */
  public static Optional<String> missing() {
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
  public static LocalCluster start(Path folder) throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Files.writeString(folder.resolve("fdb.cluster"), "test:test@127.0.0.1:" + port + "\n");
    Files.createDirectories(folder.resolve("data"));
    Files.createDirectories(folder.resolve("logs"));
    LocalCluster cluster = new LocalCluster(folder, port);
    Runtime.getRuntime().addShutdownHook(cluster.atExit);
    boolean ready = false;
    try {
      cluster.start();
      cluster.configure();
      ready = true;
      return cluster;
    } finally {
      if (!ready) {
        cluster.close();
      }
    }
  }

  /** Starts its process, on the data that it has. Clients find it by themselves. */
  public synchronized void start() throws IOException {
    server =
        new ProcessBuilder(
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
                "configure new single ssd-redwood-1")
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    if (!configuring.waitFor(START_SECONDS + 10, TimeUnit.SECONDS)
        || configuring.exitValue() != 0) {
      configuring.destroyForcibly();
      throw new IOException("the cluster was not configured: " + Files.readString(log));
    }
  }

  public Path clusterFile() {
    return folder.resolve("fdb.cluster");
  }

  /** SIGKILL; returns when the process is gone. */
  public synchronized void kill() {
    Process running = server;
    if (running == null) {
      return;
    }
    running.destroyForcibly();
    try {
      if (!running.waitFor(30, TimeUnit.SECONDS)) {
        throw new AssertionError("fdbserver does not end");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    server = null;
  }

  @Override
  public void close() {
    kill();
    try {
      Runtime.getRuntime().removeShutdownHook(atExit);
    } catch (IllegalStateException e) {
      // It is running.
    }
  }
}
