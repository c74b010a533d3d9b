package dev.grpsqlite.testing;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.StorageServer;
import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import dev.grpsqlite.server.spi.StoreOpenException;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.TimeUnit;

/**
 * A storage server within this process, for tests.
 *
 * <pre>{@code
 * try (var server = GrpsqliteServer.start()) {
 *   DataSource accounts = server.dataSource("accounts.db");
 *   …
 * }
 * }</pre>
 *
 * <p>It is the same as the server program, on a free port of 127.0.0.1, and asks nobody who it is;
 * other processes of this machine can use it too. There can be several at once. Close the
 * connections first, then the server. Thread-safe.
 */
public final class GrpsqliteServer implements AutoCloseable {
  private static final int HEALTH_SECONDS = 5;

  private final StorageServer server;
  private final int port;

  private GrpsqliteServer(StorageServer server, int port) {
    this.server = server;
    this.port = port;
  }

  /** Starts one that keeps its databases in the heap. */
  public static GrpsqliteServer start() {
    return start(Backend.memory());
  }

  /**
   * Starts one.
   *
   * @throws IllegalArgumentException if there is no such backend, or it has no such setting
   * @throws UncheckedIOException if it cannot be opened, or cannot listen
   */
  public static GrpsqliteServer start(Backend backend) {
    PageStoreProvider provider = provider(backend.name());
    Map<String, String> settings = settings(provider, backend.settings());
    StorageServer server;
    try {
      server =
          StorageServer.builder(
                  backend.name() + "-server in process",
                  pins -> provider.open(settings, pins, Clock.systemUTC()))
              .open();
    } catch (StoreOpenException e) {
      throw new UncheckedIOException(new IOException(e.getMessage(), e));
    }
    try {
      ListenAddress.Tcp address =
          (ListenAddress.Tcp) server.listen(ListenAddress.parse("127.0.0.1:0"));
      return new GrpsqliteServer(server, address.address().getPort());
    } catch (IOException e) {
      server.close();
      throw new UncheckedIOException(e);
    }
  }

  private static PageStoreProvider provider(String name) {
    List<String> there = new ArrayList<>();
    for (PageStoreProvider each :
        ServiceLoader.load(PageStoreProvider.class, GrpsqliteServer.class.getClassLoader())) {
      if (each.name().equals(name)) {
        return each;
      }
      there.add(each.name());
    }
    throw new IllegalArgumentException(
        "there is no backend '"
            + name
            + "' on the class path, only "
            + there
            + "; ours are in the modules dev.grpsqlite:server-NAME");
  }

  private static Map<String, String> settings(
      PageStoreProvider provider, Map<String, String> given) {
    Map<String, String> unknown = new HashMap<>(given);
    Map<String, String> settings = new HashMap<>();
    for (Setting setting : provider.settings()) {
      String value = unknown.remove(setting.name());
      if (value == null) {
        value = setting.defaultValue();
        if (value.isEmpty() && !setting.required()) {
          continue;
        }
      }
      String problem = setting.check().problem(value);
      if (!problem.isEmpty()) {
        throw new IllegalArgumentException(
            "the " + provider.name() + " backend's " + setting.name() + ": " + problem);
      }
      settings.put(setting.name(), value);
    }
    if (!unknown.isEmpty()) {
      throw new IllegalArgumentException(
          "the " + provider.name() + " backend has no setting " + unknown.keySet());
    }
    return settings;
  }

  /** The port of 127.0.0.1 that it serves. */
  public int port() {
    return port;
  }

  /** As in {@code GRPSQLITE_URL} and {@code server=}: {@code http://127.0.0.1:PORT}. */
  public String url() {
    return "http://127.0.0.1:" + port;
  }

  /** For the driver registry, and for connection pools. */
  public String jdbcUrl(String database) {
    return dataSource(database).url();
  }

  /** For a database that is made when it is first opened. */
  public GrpsqliteDataSource dataSource(String database) {
    return GrpsqliteDataSource.of("jdbc:grpsqlite://127.0.0.1:" + port + "/db")
        .withDatabase(database);
  }

  /** Whether it says so itself when it is asked by the gRPC health service. */
  public boolean isHealthy() {
    ManagedChannel channel =
        Grpc.newChannelBuilder("127.0.0.1:" + port, InsecureChannelCredentials.create()).build();
    try {
      HealthCheckResponse answer =
          HealthGrpc.newBlockingStub(channel)
              .withDeadlineAfter(HEALTH_SECONDS, TimeUnit.SECONDS)
              .check(HealthCheckRequest.getDefaultInstance());
      return answer.getStatus() == ServingStatus.SERVING;
    } catch (StatusRuntimeException e) {
      return false;
    } finally {
      channel.shutdownNow();
    }
  }

  /** Ends its calls and closes its store. Idempotent. */
  @Override
  public void close() {
    server.close();
  }

  @Override
  public String toString() {
    return server.name() + " at " + url();
  }
}
