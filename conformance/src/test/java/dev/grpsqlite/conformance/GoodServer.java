package dev.grpsqlite.conformance;

import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.launch.StorageServer;
import dev.grpsqlite.server.spi.PageStoreProvider;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Clock;
import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;

/** One of our own servers on a port. */
final class GoodServer implements AutoCloseable {
  private final StorageServer server;
  private final int port;

  GoodServer(String backend, Path folder, ServerOptions options) throws Exception {
    PageStoreProvider provider =
        ServiceLoader.load(PageStoreProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .filter(found -> found.name().equals(backend))
            .findFirst()
            .orElseThrow();
    Map<String, String> settings = new HashMap<>();
    provider.settings().stream()
        .filter(setting -> !setting.defaultValue().isEmpty())
        .forEach(setting -> settings.put(setting.name(), setting.defaultValue()));
    settings.put("data", folder.toString());
    server =
        StorageServer.builder(
                backend + "-server", pins -> provider.open(settings, pins, Clock.systemUTC()))
            .options(options)
            .open();
    ListenAddress.Tcp listening =
        (ListenAddress.Tcp)
            server.listen(
                new ListenAddress.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
    port = listening.address().getPort();
  }

  String address() {
    return "127.0.0.1:" + port;
  }

  Target target() {
    return target(address());
  }

  static Target target(String address) {
    return new Target(
        NettyChannelBuilder.forTarget("dns:///" + address)
            .usePlaintext()
            .maxInboundMessageSize(64 << 20)
            .build(),
        address,
        "");
  }

  @Override
  public void close() {
    server.close();
  }
}
