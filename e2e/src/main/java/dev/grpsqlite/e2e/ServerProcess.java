package dev.grpsqlite.e2e;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * A server of the distribution, started by its launch script; it can be killed and started again on
 * the same port and data. One thread at a time.
 */
public final class ServerProcess implements AutoCloseable {
  /** Making one takes as long as a small import. */
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  private static final Pattern LISTENING =
      Pattern.compile("listening on (?:http://)?127\\.0\\.0\\.1:(\\d+)");
  private static final Pattern METRICS = Pattern.compile("metrics on 127\\.0\\.0\\.1:(\\d+)");
  private static final Duration START = Duration.ofMinutes(1);

  /** Half the start of a server is its compiler, and most tests are over before it pays. */
  private static final String QUICK_START = "-XX:TieredStopAtLevel=1";

  private final String name;
  private final List<String> options;
  private final Map<String, String> environment = new LinkedHashMap<>();
  private final Path log;
  private final Path workingFolder;
  private int port;
  private @Nullable Process process;

  private ServerProcess(String name, Path folder, String javaOptions, List<String> options)
      throws IOException {
    this.name = name;
    this.options = options;
    this.log = Files.createTempFile(folder, name, ".log");
    this.workingFolder = Files.createDirectories(folder.resolve("working-folder"));
    environment.put("GRPSQLITE_JAVA_OPTS", javaOptions);
  }

  /**
   * Starts a memory server.
   *
   * @param folder where its log goes
   */
  public static ServerProcess memory(Path folder, String... options) throws Exception {
    return inMemory("memory-server", folder, false, options);
  }

  /** With the Java options that a user gets, for those who measure. */
  public static ServerProcess memoryAsShipped(Path folder, String... options) throws Exception {
    return inMemory("memory-server", folder, true, options);
  }

  /**
   * Starts a server that keeps versions in memory.
   *
   * @param folder where its log goes
   */
  public static ServerProcess versioned(Path folder, String... options) throws Exception {
    return inMemory("versioned-server", folder, false, options);
  }

  private static ServerProcess inMemory(
      String name, Path folder, boolean asShipped, String... options) throws Exception {
    ServerProcess server =
        new ServerProcess(name, folder, asShipped ? "" : QUICK_START, Arrays.asList(options));
    server.start();
    return server;
  }

  /**
   * Starts a RocksDB server.
   *
   * @param folder where its log and, in {@code data}, its data go
   */
  public static ServerProcess rocksdb(Path folder, String... options) throws Exception {
    return rocksdb(folder, false, options);
  }

  /** With the Java options that a user gets, for those who measure. */
  public static ServerProcess rocksdbAsShipped(Path folder, String... options) throws Exception {
    return rocksdb(folder, true, options);
  }

  private static ServerProcess rocksdb(Path folder, boolean asShipped, String... options)
      throws Exception {
    List<String> all = new ArrayList<>(List.of("--data", folder.resolve("data").toString()));
    all.addAll(Arrays.asList(options));
    ServerProcess server =
        new ServerProcess("rocksdb-server", folder, asShipped ? "" : QUICK_START, all);
    server.start();
    return server;
  }

  /**
   * Starts a server on a FoundationDB cluster.
   *
   * @param folder where its log goes
   * @param prefix of its store, which other servers may serve as well
   */
  public static ServerProcess fdb(Path folder, Path clusterFile, String prefix, String... options)
      throws Exception {
    List<String> all =
        new ArrayList<>(List.of("--cluster-file", clusterFile.toString(), "--prefix", prefix));
    all.addAll(Arrays.asList(options));
    ServerProcess server = new ServerProcess("fdb-server", folder, QUICK_START, all);
    server.start();
    return server;
  }

  /**
   * Starts a server with Java options that win over those it is shipped with.
   *
   * @param name of its launch script
   */
  public static ServerProcess with(String javaOptions, String name, Path folder, String... options)
      throws Exception {
    ServerProcess server = new ServerProcess(name, folder, javaOptions, List.of(options));
    server.start();
    return server;
  }

  /** From the next start on, in addition to this process's own. */
  public void environment(Map<String, String> variables) {
    environment.putAll(variables);
  }

  /** Starts it, again on the port that it had. Returns when it listens. */
  public void start() throws Exception {
    launch();
    awaitListening();
  }

  /** Starts it without waiting. */
  public void launch() throws IOException {
    if (process != null && process.isAlive()) {
      throw new IllegalStateException(name + " runs already");
    }
    Files.writeString(log, "");
    List<String> command = new ArrayList<>();
    command.add(Dist.server(name).toString());
    command.addAll(List.of("--listen", "127.0.0.1:" + port));
    command.addAll(options);
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .directory(workingFolder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile());
    builder.environment().putAll(environment);
    process = Children.start(builder);
  }

  public void awaitListening() throws Exception {
    Process started = process();
    Await.until(
        name + " to listen",
        START,
        () -> {
          if (!started.isAlive()) {
            throw new AssertionError(name + " ended with " + started.exitValue() + ": " + log());
          }
          Matcher line = LISTENING.matcher(log());
          if (!line.find()) {
            return false;
          }
          port = Integer.parseInt(line.group(1));
          return true;
        },
        this::log);
  }

  /** SIGKILL; returns when the process is gone. */
  public void kill() {
    Children.kill(process());
  }

  public void signal(String signal) throws Exception {
    Children.signal(process().toHandle(), signal);
  }

  public boolean isAlive() {
    return process().isAlive();
  }

  public String url() {
    return "http://127.0.0.1:" + port;
  }

  public int port() {
    return port;
  }

  public long pid() {
    return process().pid();
  }

  /**
   * The sum of a metric over its labels, or over those with this label; 0 if there is none. Needs
   * {@code --metrics-listen}.
   */
  public double metric(String name, String label) throws Exception {
    URI uri = URI.create("http://127.0.0.1:" + metricsPort() + "/metrics");
    return HTTP.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
        .body()
        .lines()
        .filter(each -> each.startsWith(name + " ") || each.startsWith(name + "{"))
        .filter(each -> each.contains(label))
        .mapToDouble(each -> Double.parseDouble(each.substring(each.lastIndexOf(' ') + 1)))
        .sum();
  }

  /** Where it shows metrics. Needs {@code --metrics-listen}. */
  public int metricsPort() {
    Matcher line = METRICS.matcher(log());
    if (!line.find()) {
      throw new IllegalStateException(name + " shows no metrics");
    }
    return Integer.parseInt(line.group(1));
  }

  public long peakMemoryBytes() throws IOException {
    return Children.peakMemoryBytes(process());
  }

  /** What it has printed since it was started last. */
  public String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      return "its log cannot be read: " + e;
    }
  }

  private Process process() {
    if (process == null) {
      throw new IllegalStateException(name + " was not started");
    }
    return process;
  }

  @Override
  public void close() {
    if (process != null) {
      kill();
    }
  }
}
