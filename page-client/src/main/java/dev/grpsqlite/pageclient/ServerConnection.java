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
import io.grpc.netty.shaded.io.netty.channel.epoll.Epoll;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollIoHandler;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.nio.NioIoHandler;
import io.grpc.netty.shaded.io.netty.channel.socket.nio.NioSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import io.grpc.netty.shaded.io.netty.handler.ssl.SslContextBuilder;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;

/**
 * A connection to a server, or to the one in use of several that have one store. Nothing is sent
 * before the first call. Thread-safe; whoever makes it closes it.
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
  private final List<ManagedChannel> channels = new ArrayList<>();

  /** Beside each of them, for what is uploaded, when it is first wanted. */
  private final ConcurrentHashMap<Lane, ManagedChannel> lanes = new ConcurrentHashMap<>();

  /**
   * Its own, not gRPC's for all: those threads wait in native code for a second more after the last
   * use, and the JVM's end waits for them.
   */
  private final EventLoopGroup loops =
      new MultiThreadIoEventLoopGroup(
          Epoll.isAvailable() ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());

  private final ClientInterceptor credentials;

  /** Of channels: the last one that answered, or the one after one that did not. */
  private final AtomicInteger inUse = new AtomicInteger();

  private volatile boolean reached;

  private record Lane(int channel, int number) {}

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
    boolean isComplete = false;
    try {
      for (String url : endpoint.urls()) {
        channels.add(channel(url));
      }
      isComplete = true;
    } finally {
      if (!isComplete) {
        close();
      }
    }
  }

  /**
   * Loads most classes that a connection needs, which takes a tenth of a second: for a thread that
   * has nothing else to do before the first one is made. Nothing is sent.
   */
  public static void load() {
    Endpoint nobody =
        new Endpoint(
            "http://localhost",
            null,
            new Endpoint.Tls(null, null, null),
            Duration.ofSeconds(1),
            Duration.ofSeconds(1));
    try (ServerConnection connection = new ServerConnection(nobody)) {
      connection.pages();
      RemoteException.load();
    } catch (IOException e) {
      // Of the first one that is used.
    }
  }

  private ManagedChannel channel(String url) throws IOException {
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
      int port = uri.getPort() < 0 ? (secure ? 443 : 80) : uri.getPort();
      builder =
          NettyChannelBuilder.forAddress(uri.getHost(), port)
              .channelType(Epoll.isAvailable() ? EpollSocketChannel.class : NioSocketChannel.class);
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
    return builder
        .eventLoopGroup(loops)
        .maxInboundMessageSize(MAX_INBOUND_BYTES)
        .flowControlWindow(WINDOW_BYTES)
        .disableRetry()
        .build();
  }

  private ManagedChannel channel() {
    return channels.get(inUse.get());
  }

  public Endpoint endpoint() {
    return endpoint;
  }

  /** The servers' addresses, the one in use first. */
  String urls() {
    List<String> urls = new ArrayList<>(endpoint.urls());
    Collections.rotate(urls, -inUse.get());
    return String.join(",", urls);
  }

  PageStoreGrpc.PageStoreBlockingStub pages() {
    return ready(PageStoreGrpc.newBlockingStub(channel()));
  }

  /**
   * Sends a part of an upload.
   *
   * @param lane a number of the calling thread's: with a connection of its own, what a thread sends
   *     goes out in large frames, and at the server others than its neighbours' thread take it
   */
  StagePagesResponse stagePages(StageMessage message, int lane) {
    PageStoreGrpc.PageStoreBlockingStub stub = ready(PageStoreGrpc.newBlockingStub(lane(lane)));
    return ClientCalls.blockingUnaryCall(
        stub.getChannel(), StageMessage.METHOD, stub.getCallOptions(), message);
  }

  private ManagedChannel lane(int number) {
    return lanes.computeIfAbsent(
        new Lane(inUse.get(), number),
        lane -> {
          try {
            return channel(endpoint.urls().get(lane.channel));
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
  }

  AdminGrpc.AdminBlockingStub adminStub() {
    return ready(AdminGrpc.newBlockingStub(channel()));
  }

  GrpsqliteGrpc.GrpsqliteBlockingStub files() {
    return ready(GrpsqliteGrpc.newBlockingStub(channel()));
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
   * if it was there before. Of several servers, each gets the call before there is a pause.
   *
   * @param call makes its stub anew each time, for the deadline
   */
  <T> T call(Supplier<T> call) {
    long deadline = System.nanoTime() + endpoint.timeout().toNanos();
    int pauseMs = FIRST_PAUSE_MS;
    int tried = 0;
    while (true) {
      int used = inUse.get();
      try {
        T answer = call.get();
        reached = true;
        return answer;
      } catch (StatusRuntimeException e) {
        RemoteException error = RemoteException.of(e);
        boolean isAway = error.code() == Status.Code.UNAVAILABLE;
        boolean isSilent = error.code() == Status.Code.DEADLINE_EXCEEDED;
        if (!isAway && !isSilent) {
          reached = true;
        }
        boolean unused =
            (isAway || isSilent) && inUse.compareAndSet(used, (used + 1) % channels.size());
        if (++tried < channels.size() && (isAway || (isSilent && !reached))) {
          continue;
        }
        if (!isAway || !reached || System.nanoTime() - deadline > 0) {
          throw !reached ? unreachable(error) : error;
        }
      }
      tried = 0;
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
    channels.forEach(ManagedChannel::shutdownNow);
    lanes.values().forEach(ManagedChannel::shutdownNow);
    loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly(1, TimeUnit.SECONDS);
  }
}
