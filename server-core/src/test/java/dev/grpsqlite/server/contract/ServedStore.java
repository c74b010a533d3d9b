package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.Security;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.launch.StorageServer;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** A server on a port of its own, a channel to it, and the clock of its sessions. */
final class ServedStore implements AutoCloseable {
  final AtomicLong nanos = new AtomicLong();

  /** System.nanoTime() before it began. */
  final long begunNanos = System.nanoTime();

  final StorageServer server;
  final ManagedChannel channel;
  private final InetSocketAddress address;
  private final HttpClient http = HttpClient.newHttpClient();
  private ListenAddress.@Nullable Tcp metrics;

  ServedStore(ServerOptions options, StorageServer.StoreOpener opener) throws Exception {
    this(options, Access.open(), opener);
  }

  ServedStore(ServerOptions options, Access access, StorageServer.StoreOpener opener)
      throws Exception {
    server =
        StorageServer.builder("test-server", opener)
            .options(options)
            .security(Security.by(access))
            .nanoTime(nanos::get)
            .open();
    ListenAddress.Tcp listening =
        (ListenAddress.Tcp)
            server.listen(
                new ListenAddress.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
    address = listening.address();
    channel =
        NettyChannelBuilder.forAddress(address)
            .usePlaintext()
            .maxInboundMessageSize(64 << 20)
            .build();
  }

  /** Another channel, on which little is under way. The caller shuts it down. */
  ManagedChannel narrowChannel() {
    return NettyChannelBuilder.forAddress(address).usePlaintext().flowControlWindow(65_535).build();
  }

  /** Lets time pass for sessions, and has the server look at it. */
  void pass(long millis) {
    nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
    server.expireSessions();
  }

  /** What the server shows to Prometheus under this name. */
  synchronized double metric(String name) throws Exception {
    ListenAddress.Tcp shown = metrics;
    if (shown == null) {
      shown =
          server.listenForMetrics(
              new ListenAddress.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
      metrics = shown;
    }
    URI uri = URI.create("http://127.0.0.1:" + shown.address().getPort() + "/metrics");
    return http.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString())
        .body()
        .lines()
        .filter(line -> line.startsWith(name + " "))
        .mapToDouble(line -> Double.parseDouble(line.substring(name.length() + 1)))
        .findFirst()
        .orElseThrow();
  }

  /** Waits until a metric has this value. */
  void await(String name, double value) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    double seen = metric(name);
    while (seen != value) {
      assertTrue(System.nanoTime() < deadline, name + " is " + seen + " instead of " + value);
      seen = metric(name);
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
    server.close();
  }
}
