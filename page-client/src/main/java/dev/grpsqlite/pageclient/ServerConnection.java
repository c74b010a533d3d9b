package dev.grpsqlite.pageclient;

import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
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
  /** How a sentence begins that says so; a relay's does. */
  private static final String NO_SERVER = "no server at ";

  private static final int FIRST_PAUSE_MS = 10;
  private static final int LAST_PAUSE_MS = 1000;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Endpoint endpoint;
  private final Transport transport;
  private final List<Channel> channels = new ArrayList<>();

  /** Beside each of them, for what is uploaded, when it is first wanted. */
  private final ConcurrentHashMap<Lane, Channel> lanes = new ConcurrentHashMap<>();

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
    this(endpoint, new NettyTransport(endpoint.tls()));
  }

  /**
   * Sets up a connection whose calls another program makes.
   *
   * @param relay closed with the connection
   */
  public static ServerConnection through(Relay relay, Endpoint endpoint) throws IOException {
    return new ServerConnection(endpoint, relay);
  }

  private ServerConnection(Endpoint endpoint, Transport transport) throws IOException {
    this.endpoint = endpoint;
    this.transport = transport;
    Metadata headers = new Metadata();
    if (endpoint.token() != null) {
      headers.put(AUTHORIZATION, "Bearer " + endpoint.token());
    }
    this.credentials = MetadataUtils.newAttachHeadersInterceptor(headers);
    boolean isComplete = false;
    try {
      for (String url : endpoint.urls()) {
        channels.add(transport.channel(url));
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
    try (ServerConnection connection = new ServerConnection(Endpoint.NOBODY)) {
      connection.pages();
      RemoteException.load();
    } catch (IOException e) {
      // Of the first one that is used.
    }
  }

  private Channel channel() {
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

  /** The program that makes the calls, if it is one. */
  Optional<Relay> relay() {
    return transport instanceof Relay relay ? Optional.of(relay) : Optional.empty();
  }

  PageStoreGrpc.PageStoreBlockingStub pages() {
    return ready(PageStoreGrpc.newBlockingStub(channel()));
  }

  /** See {@link Transport#callIfKilled}. */
  void closeIfKilled(CloseSessionRequest request) {
    transport.callIfKilled(urls(), PageStoreGrpc.getCloseSessionMethod(), request);
  }

  /**
   * Sends a part of an upload.
   *
   * @param lane a number of the calling thread's: with a connection of its own, what a thread sends
   *     goes out in large frames, and at the server others than its neighbours' thread take it
   */
  StagePagesResponse stagePages(StageMessage message, int lane) {
    return unary(StageMessage.METHOD, message, lane(lane));
  }

  /** Makes a call that no stub has. */
  <Q, A> A unary(MethodDescriptor<Q, A> method, Q request) {
    return unary(method, request, channel());
  }

  private <Q, A> A unary(MethodDescriptor<Q, A> method, Q request, Channel channel) {
    PageStoreGrpc.PageStoreBlockingStub stub = ready(PageStoreGrpc.newBlockingStub(channel));
    return ClientCalls.blockingUnaryCall(stub.getChannel(), method, stub.getCallOptions(), request);
  }

  private Channel lane(int number) {
    return lanes.computeIfAbsent(
        new Lane(inUse.get(), number),
        lane -> {
          try {
            return transport.another(endpoint.urls().get(lane.channel));
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

  /** How the server is. */
  public Health health() {
    return new Health(this);
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
    String message = why.getMessage();
    return message.startsWith(NO_SERVER)
        ? why
        : new RemoteException(Status.Code.UNAVAILABLE, "", NO_SERVER + endpoint + ": " + message);
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
    transport.close();
  }
}
