package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.baseline.Echo;
import dev.grpsqlite.bench.proxy.DelayProxy;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.ServerProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What workloads run on: servers in processes of their own, each started when it is first wanted,
 * with the options that a user gets; proxies before them; the bare transport. All of it is closed
 * with this, and with it what a workload left to be closed. One thread at a time.
 */
public final class Rig implements AutoCloseable {
  static final String MEMORY = "memory";
  static final String ROCKSDB = "rocksdb";

  private final Path folder;
  private final Sizes sizes;
  private final Map<String, ServerProcess> servers = new HashMap<>();
  private final Map<String, RemotePlace> remotes = new HashMap<>();
  private final Map<String, LocalPlace> locals = new HashMap<>();
  private final Map<Double, Echo> echoes = new HashMap<>();
  private final Set<String> loaded = new HashSet<>();
  private Echo.@Nullable ServerProcess echoServer;
  private final Deque<Ending> open = new ArrayDeque<>();
  private final Deque<Ending> left = new ArrayDeque<>();

  /** How something is closed. */
  interface Ending {
    void run() throws IOException, SQLException;
  }

  /**
   * Starts nothing yet.
   *
   * @param folder for all data, on the disk that is measured
   */
  public Rig(Path folder, Sizes sizes) {
    this.folder = folder;
    this.sizes = sizes;
  }

  Sizes sizes() {
    return sizes;
  }

  Path folder() {
    return folder;
  }

  /** Closed after the workload that is being prepared. */
  Connection closing(Connection connection) {
    left.push(connection::close);
    return connection;
  }

  /** Done after the workload that is being prepared. */
  void atEnd(Ending ending) {
    left.push(ending);
  }

  /** Closes what a workload left, and fails if that fails. */
  void closeLeft() throws IOException {
    close(left);
  }

  /** SQLite's own files. */
  Place local(String synchronous) throws IOException {
    @Nullable LocalPlace known = locals.get(synchronous);
    if (known == null) {
      known = new LocalPlace(folder, synchronous);
      locals.put(synchronous, known);
    }
    return known;
  }

  /** A server, through a proxy unless the delay is none. */
  Place remote(String server, double delayMs) throws Exception {
    String name = RemotePlace.name(server, delayMs);
    @Nullable RemotePlace known = remotes.get(name);
    if (known == null) {
      ServerProcess process = server(server);
      known =
          new RemotePlace(
              server, delayMs, far(process.port(), delayMs), new Client(folder, process.url()));
      remotes.put(name, known);
    }
    return known;
  }

  /** A server at each of the delays. */
  List<Place> remotes(String server, List<Double> delaysMs) throws Exception {
    List<Place> places = new ArrayList<>();
    for (double delayMs : delaysMs) {
      places.add(remote(server, delayMs));
    }
    return places;
  }

  /**
   * Puts a copy of a SQLite file at a server, for all distances, unless it was put there before.
   */
  void loadOnce(String server, Path source, String database) throws Exception {
    if (loaded.add(server + " " + database)) {
      remote(server, 0).load(source, database);
    }
  }

  /** Of a backend, with the options that a user gets; started when it is first asked for. */
  ServerProcess server(String backend) throws Exception {
    @Nullable ServerProcess known = servers.get(backend);
    return known != null ? known : start(backend, backend);
  }

  /** A server of its own, with more options, without delay. */
  Place another(String name, String backend, String... options) throws Exception {
    ServerProcess process = start(name, backend, options);
    return new RemotePlace(name, 0, process.port(), new Client(folder, process.url()));
  }

  private ServerProcess start(String name, String backend, String... options) throws Exception {
    Path own = Files.createDirectories(folder.resolve(name));
    ServerProcess started =
        backend.equals(MEMORY)
            ? ServerProcess.memoryAsShipped(own, options)
            : ServerProcess.rocksdbAsShipped(own, options);
    open.push(started::close);
    servers.put(name, started);
    return started;
  }

  /** The bare transport at a distance. */
  Echo echo(double delayMs) throws Exception {
    @Nullable Echo known = echoes.get(delayMs);
    if (known == null) {
      if (echoServer == null) {
        echoServer = Echo.ServerProcess.start(folder);
        open.push(echoServer::close);
      }
      known = Echo.start(folder, "http://127.0.0.1:" + far(echoServer.port(), delayMs));
      open.push(known::close);
      echoes.put(delayMs, known);
    }
    return known;
  }

  private int far(int port, double delayMs) throws IOException {
    if (delayMs == 0) {
      return port;
    }
    DelayProxy proxy = new DelayProxy(port, Duration.ofNanos((long) (delayMs * 1e6)));
    open.push(proxy::close);
    return proxy.port();
  }

  static String echoName(double delayMs) {
    return "echo " + RemotePlace.milliseconds(delayMs);
  }

  private static void close(Deque<Ending> all) throws IOException {
    try {
      while (!all.isEmpty()) {
        all.pop().run();
      }
    } catch (SQLException e) {
      throw new IOException(e.getMessage(), e);
    }
  }

  @Override
  public void close() throws IOException {
    try {
      close(left);
    } finally {
      close(open);
    }
  }
}
