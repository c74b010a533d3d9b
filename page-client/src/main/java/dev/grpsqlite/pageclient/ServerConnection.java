package dev.grpsqlite.pageclient;

import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import io.grpc.ClientInterceptor;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.EventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.MultiThreadIoEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.net.URI;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A connection to a server. Nothing is sent before the first call. Thread-safe; whoever makes it
 * closes it.
 */
public final class ServerConnection implements AutoCloseable {
  /** As large as a server may send: four times what it is asked not to exceed. */
  private static final int MAX_INBOUND_BYTES = 16 << 20;

  /** Of HTTP/2, so that several answers of a megabyte are under way. */
  private static final int WINDOW_BYTES = 8 << 20;

  private static final int FIRST_PAUSE_MS = 10;
  private static final int LAST_PAUSE_MS = 1000;
  private static final int UNIX_PREFIX = "unix:".length();
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Endpoint endpoint;
  private final ManagedChannel channel;
  private final @Nullable EventLoopGroup loops;
  private final ClientInterceptor credentials;
  private volatile boolean reached;

  /**
   * Sets up a connection.
   *
   * @throws IOException if a file for TLS cannot be used
   */
  public ServerConnection(Endpoint endpoint) throws IOException {
    this.endpoint = endpoint;
    Metadata headers = new Metadata();
    if (endpoint.token() != null) {
      headers.put(AUTHORIZATION, "Bearer " + endpoint.token());
    }
    this.credentials = MetadataUtils.newAttachHeadersInterceptor(headers);
    NettyChannelBuilder builder;
    if (endpoint.url().startsWith("unix:")) {
      this.loops = new MultiThreadIoEventLoopGroup(1, EpollIoHandler.newFactory());
      builder =
          NettyChannelBuilder.forAddress(
                  new DomainSocketAddress(endpoint.url().substring(UNIX_PREFIX)))
              .channelType(EpollDomainSocketChannel.class)
              .eventLoopGroup(loops)
              .overrideAuthority("localhost")
              .usePlaintext();
    } else {
      this.loops = null;
      URI uri = URI.create(endpoint.url());
      boolean secure = "https".equals(uri.getScheme());
      if (uri.getHost() == null) {
        throw new IllegalArgumentException("'" + endpoint.url() + "' names no host");
      }
      int port = uri.getPort() < 0 ? (secure ? 443 : 80) : uri.getPort();
      builder = NettyChannelBuilder.forAddress(uri.getHost(), port);
      if (secure) {
        SslContextBuilder context = GrpcSslContexts.forClient();
        Endpoint.Tls tls = endpoint.tls();
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
      } else {
        builder.usePlaintext();
      }
    }
    this.channel =
        builder
            .maxInboundMessageSize(MAX_INBOUND_BYTES)
            .flowControlWindow(WINDOW_BYTES)
            .disableRetry()
            .build();
  }

  public Endpoint endpoint() {
    return endpoint;
  }

  PageStoreGrpc.PageStoreBlockingStub pages() {
    return ready(PageStoreGrpc.newBlockingStub(channel));
  }

  StagePagesResponse stagePages(StageMessage message) {
    PageStoreGrpc.PageStoreBlockingStub stub = pages();
    return ClientCalls.blockingUnaryCall(
        stub.getChannel(), StageMessage.METHOD, stub.getCallOptions(), message);
  }

  AdminGrpc.AdminBlockingStub adminStub() {
    return ready(AdminGrpc.newBlockingStub(channel));
  }

  GrpsqliteGrpc.GrpsqliteBlockingStub files() {
    return ready(GrpsqliteGrpc.newBlockingStub(channel));
  }

  /** How the databases are looked after. */
  public Admin admin() {
    return new Admin(this);
  }

  private <S extends AbstractStub<S>> S ready(S stub) {
    long ms = (reached ? endpoint.timeout() : endpoint.connectTimeout()).toMillis();
    return stub.withInterceptors(credentials).withDeadlineAfter(ms, TimeUnit.MILLISECONDS);
  }

  /**
   * Makes a call that can be sent again without harm, and sends it again while the server is away,
   * if it was there before.
   *
   * @param call makes its stub anew each time, for the deadline
   */
  <T> T call(Supplier<T> call) {
    long deadline = System.nanoTime() + endpoint.timeout().toNanos();
    int pauseMs = FIRST_PAUSE_MS;
    while (true) {
      try {
        T answer = call.get();
        reached = true;
        return answer;
      } catch (StatusRuntimeException e) {
        RemoteException error = RemoteException.of(e);
        boolean away = error.code() == Status.Code.UNAVAILABLE;
        if (!away && error.code() != Status.Code.DEADLINE_EXCEEDED) {
          reached = true;
        }
        if (!away || !reached || System.nanoTime() - deadline > 0) {
          throw !reached ? unreachable(error) : error;
        }
      }
      pause(pauseMs);
      pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS);
    }
  }

  private RemoteException unreachable(RemoteException why) {
    return new RemoteException(
        Status.Code.UNAVAILABLE, "", "no server at " + endpoint + ": " + why.getMessage());
  }

  /** So that clients that lost a server together do not come back together. */
  private static void pause(int ms) {
    try {
      Thread.sleep(ms / 2 + ThreadLocalRandom.current().nextInt(ms / 2 + 1));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new RemoteException(Status.Code.CANCELLED, "", "interrupted");
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
    if (loops != null) {
      Future<?> unused = loops.shutdownGracefully(0, 1, TimeUnit.SECONDS);
    }
  }
}
