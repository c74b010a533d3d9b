package dev.grpsqlite.server.contract;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.Security;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.launch.StorageServer;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** A server on a port of its own, a channel to it, and the clock of its sessions. */
final class ServedStore implements AutoCloseable {
  final AtomicLong nanos = new AtomicLong();
  final StorageServer server;
  final ManagedChannel channel;

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
    ListenAddress.Tcp address =
        (ListenAddress.Tcp)
            server.listen(
                new ListenAddress.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)));
    channel =
        NettyChannelBuilder.forAddress(address.address())
            .usePlaintext()
            .maxInboundMessageSize(64 << 20)
            .build();
  }

  /** Lets time pass for sessions, and has the server look at it. */
  void pass(long millis) {
    nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
    server.expireSessions();
  }

  @Override
  public void close() {
    channel.shutdownNow();
    server.close();
  }
}
