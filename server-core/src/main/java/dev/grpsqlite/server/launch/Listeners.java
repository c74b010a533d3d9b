package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.admission.AdmissionLimits;
import dev.grpsqlite.server.admission.Connections;
import dev.grpsqlite.server.auth.ClientAuthority;
import dev.grpsqlite.server.auth.ServerKey;
import dev.grpsqlite.server.wire.PeerCertificates;
import io.grpc.InsecureServerCredentials;
import io.grpc.ServerBuilder;
import io.grpc.ServerCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelFactory;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.ServerChannel;
import io.grpc.netty.shaded.io.netty.channel.WriteBufferWaterMark;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollServerSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioServerSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.netty.shaded.io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** The sockets of a server, all on the same event loops. Not thread-safe. */
final class Listeners implements AutoCloseable {
  /** As much as a client may have on its way; a message of staged pages fits. */
  private static final int FLOW_CONTROL_WINDOW_BYTES = 1 << 20;

  /**
   * So much of an answer is given to the system at once. With Netty's own 64 KiB, client and server
   * wake each other for each such piece; what is here, an answer that comes later has to wait for.
   */
  private static final WriteBufferWaterMark WRITE_BUFFER =
      new WriteBufferWaterMark(64 << 10, 256 << 10);

  /** Clients may ping as often as this, also when idle. */
  private static final long MIN_PING_SECONDS = 10;

  /** A client of which nothing is heard is asked whether it is there, and given up. */
  private static final long PING_SECONDS = 60;

  private static final long PING_ANSWER_SECONDS = 20;

  private static final int RESETS_SECONDS = 10;

  private final ServerOptions options;
  private final Security security;
  private final Connections connections;
  private final EventLoopGroup boss;
  private final EventLoopGroup workers;
  private final List<Path> socketFiles = new ArrayList<>();

  Listeners(ServerOptions options, Security security, Connections connections) {
    this.options = options;
    this.security = security;
    this.connections = connections;
    this.boss = group("listener", 1);
    this.workers = group("worker", Runtime.getRuntime().availableProcessors());
  }

  private static EventLoopGroup group(String name, int threads) {
    DefaultThreadFactory factory = new DefaultThreadFactory(name, true);
    return new MultiThreadIoEventLoopGroup(
        threads,
        factory,
        Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
  }

  ServerBuilder<?> builder(ListenAddress address) throws IOException {
    NettyServerBuilder builder;
    if (address instanceof ListenAddress.Unix unix) {
      if (!Epoll.isAvailable()) {
        throw new IOException(
            "cannot listen on " + address + ": Unix sockets need Linux on x86-64 or AArch64");
      }
      removeStale(unix);
      builder =
          NettyServerBuilder.forAddress(new DomainSocketAddress(unix.path().toFile()))
              .channelFactory(guarded(EpollServerDomainSocketChannel::new));
      socketFiles.add(unix.path());
    } else {
      builder =
          NettyServerBuilder.forAddress(((ListenAddress.Tcp) address).address(), credentials())
              .channelFactory(
                  guarded(
                      Epoll.isAvailable()
                          ? EpollServerSocketChannel::new
                          : NioServerSocketChannel::new));
    }
    ClientAuthority authority = security.authority();
    if (authority != null) {
      builder.addTransportFilter(new PeerCertificates(authority));
    }
    AdmissionLimits limits = options.admission();
    return builder
        .bossEventLoopGroup(boss)
        .workerEventLoopGroup(workers)
        .flowControlWindow(FLOW_CONTROL_WINDOW_BYTES)
        .withChildOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WRITE_BUFFER)
        .maxConcurrentCallsPerConnection(options.maxCallsPerConnection())
        .permitKeepAliveTime(MIN_PING_SECONDS, TimeUnit.SECONDS)
        .permitKeepAliveWithoutCalls(true)
        .keepAliveTime(PING_SECONDS, TimeUnit.SECONDS)
        .keepAliveTimeout(PING_ANSWER_SECONDS, TimeUnit.SECONDS)
        // Later than Connections closes those on which nothing comes, which it counts.
        .handshakeTimeout(2 * limits.stall().toMillis(), TimeUnit.MILLISECONDS)
        .maxConnectionIdle(limits.connectionIdle().toMillis(), TimeUnit.MILLISECONDS)
        .maxInboundMetadataSize(limits.headerBytes())
        .maxRstFramesPerWindow(limits.resetsPerSecond() * RESETS_SECONDS, RESETS_SECONDS);
  }

  private ChannelFactory<ServerChannel> guarded(ChannelFactory<? extends ServerChannel> sockets) {
    return () -> {
      ServerChannel socket = sockets.newChannel();
      socket.pipeline().addFirst(connections);
      return socket;
    };
  }

  /** A Unix socket needs none: what goes through it does not leave the machine. */
  private ServerCredentials credentials() {
    ServerKey key = security.key();
    if (key == null) {
      return InsecureServerCredentials.create();
    }
    TlsServerCredentials.Builder tls = TlsServerCredentials.newBuilder().keyManager(key);
    ClientAuthority authority = security.authority();
    if (authority != null) {
      tls.trustManager(authority).clientAuth(TlsServerCredentials.ClientAuth.REQUIRE);
    }
    return tls.build();
  }

  /** A server that was killed leaves its socket behind; nobody listens on it. */
  private static void removeStale(ListenAddress.Unix unix) throws IOException {
    Path path = unix.path();
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    BasicFileAttributes attributes =
        Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    if (!attributes.isOther()) {
      throw new IOException("cannot listen on " + unix + ": the file is there and is no socket");
    }
    try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      channel.connect(UnixDomainSocketAddress.of(path));
    } catch (ConnectException e) {
      Files.delete(path);
      return;
    }
    throw new IOException("cannot listen on " + unix + ": another server does");
  }

  /** To be called when no server uses them any more. */
  @Override
  public void close() {
    boss.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(2, TimeUnit.SECONDS);
    workers.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(2, TimeUnit.SECONDS);
    for (Path file : socketFiles) {
      try {
        Files.deleteIfExists(file);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
