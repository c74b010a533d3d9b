package dev.grpsqlite.pageclient;

import io.grpc.Channel;
import io.grpc.ManagedChannel;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.net.URI;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;

/** gRPC's own, in this process. */
final class NettyTransport implements Transport {
  /** As large as a server may send: four times what it is asked not to exceed. */
  private static final int MAX_INBOUND_BYTES = 16 << 20;

  /** Of HTTP/2, so that several answers of a megabyte are under way. */
  private static final int WINDOW_BYTES = 8 << 20;

  private static final int UNIX_PREFIX = "unix:".length();

  private final Endpoint.Tls tls;
  private final Queue<ManagedChannel> channels = new ConcurrentLinkedQueue<>();

  /**
   * Its own, not gRPC's for all: those threads wait in native code for a second more after the last
   * use, and the JVM's end waits for them.
   */
  private final EventLoopGroup loops =
      new MultiThreadIoEventLoopGroup(
          Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());

  NettyTransport(Endpoint.Tls tls) {
    this.tls = tls;
  }

  @Override
  public Channel channel(String url) throws IOException {
    ManagedChannel channel = builder(url).build();
    channels.add(channel);
    return channel;
  }

  /** With a connection of its own. */
  @Override
  public Channel another(String url) throws IOException {
    return channel(url);
  }

  private NettyChannelBuilder builder(String url) throws IOException {
    NettyChannelBuilder builder;
    if (url.startsWith("unix:")) {
      builder =
          NettyChannelBuilder.forAddress(new DomainSocketAddress(url.substring(UNIX_PREFIX)))
              .channelType(EpollDomainSocketChannel.class)
              .overrideAuthority("localhost")
              .usePlaintext();
    } else {
      URI uri = URI.create(url);
      boolean secure = "https".equals(uri.getScheme());
      if (uri.getHost() == null) {
        throw new IllegalArgumentException("'" + url + "' names no host");
      }
      builder =
          NettyChannelBuilder.forAddress(uri.getHost(), uri.getPort())
              .channelType(Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class);
      if (secure) {
        secure(builder);
      } else {
        builder.usePlaintext();
      }
    }
    return builder
        .eventLoopGroup(loops)
        .maxInboundMessageSize(MAX_INBOUND_BYTES)
        .flowControlWindow(WINDOW_BYTES)
        .disableRetry();
  }

  private void secure(NettyChannelBuilder builder) throws IOException {
    SslContextBuilder context = GrpcSslContexts.forClient();
    try {
      if (tls.authorities() != null) {
        context.trustManager(tls.authorities().toFile());
      }
      if (tls.certificate() != null && tls.key() != null) {
        context.keyManager(tls.certificate().toFile(), tls.key().toFile());
      }
    } catch (IllegalArgumentException e) {
      throw new IOException("a file for TLS cannot be used: " + e.getMessage(), e);
    }
    builder.sslContext(context.build());
  }

  @Override
  public void close() {
    channels.forEach(ManagedChannel::shutdownNow);
    try {
      for (ManagedChannel channel : channels) { // or it finds its loop gone, and says so at length
        boolean unused = channel.awaitTermination(1, TimeUnit.SECONDS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(1, TimeUnit.SECONDS);
  }
}
