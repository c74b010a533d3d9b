package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.server.admission.AdmissionLimits;
import dev.grpsqlite.server.launch.ListenAddress;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.launch.StorageServer;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptors;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What is under way has limits: what is above them is refused, and what stands still is ended. */
@Timeout(60)
class AdmissionTest {
  private static final byte[] PREFACE =
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final AdmissionLimits DEFAULTS = AdmissionLimits.DEFAULTS;
  private static final Duration SOON = Duration.ofMillis(200);
  private static final Duration NEVER = Duration.ofHours(1);
  private static final int MIB = 1 << 20;

  /** Of a field of the request that no method knows. */
  private static final int HEADER_BYTES = 6;

  private final List<AutoCloseable> open = new ArrayList<>();
  private InetSocketAddress address = new InetSocketAddress(0);
  private int metricsPort;

  @AfterEach
  void closeAll() throws Exception {
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
  }

  private void serve(AdmissionLimits limits) throws Exception {
    StorageServer server =
        StorageServer.builder("test", pins -> new MemoryPageStore(pins, Clock.systemUTC()))
            .options(ServerOptions.DEFAULTS.withAdmission(limits))
            .open();
    open.add(server);
    ListenAddress.Tcp any =
        new ListenAddress.Tcp(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    address = ((ListenAddress.Tcp) server.listen(any)).address();
    metricsPort = server.listenForMetrics(any).address().getPort();
  }

  private static AdmissionLimits limits(
      int connections, int perAddress, Duration idle, Duration stall, int calls, long bytes) {
    return new AdmissionLimits(
        connections,
        perAddress,
        idle,
        stall,
        DEFAULTS.headerBytes(),
        DEFAULTS.resetsPerSecond(),
        calls,
        bytes);
  }

  private Socket connect(String from) throws IOException {
    Socket socket = new Socket();
    open.add(socket);
    socket.bind(new InetSocketAddress(from, 0));
    socket.connect(address);
    socket.setSoTimeout(30_000);
    return socket;
  }

  private Socket connected(String from) throws IOException {
    Socket socket = connect(from);
    socket.getOutputStream().write(PREFACE);
    assertEquals(0, socket.getInputStream().read(), "the first byte of its settings");
    return socket;
  }

  private static void assertReset(Socket socket) {
    assertThrows(
        IOException.class,
        () -> {
          socket.getOutputStream().write(PREFACE);
          if (socket.getInputStream().read() < 0) {
            throw new IOException("closed");
          }
        });
  }

  /** Reads what comes until the connection is closed, or reset. */
  private static void awaitClosed(Socket socket) throws IOException {
    InputStream in = socket.getInputStream();
    byte[] buffer = new byte[4096];
    int got = 0;
    while (got >= 0) {
      try {
        got = in.read(buffer);
      } catch (SocketException e) {
        return;
      }
    }
  }

  /** The connection is told that it is over, and closed when the client has heard that. */
  private static void awaitGoAway(Socket socket) throws IOException {
    DataInputStream in = new DataInputStream(socket.getInputStream());
    // The first byte of the first frame's length has been read.
    int length = in.readUnsignedShort();
    while (in.readByte() != 7) {
      in.skipNBytes(5 + length);
      length = (in.readUnsignedByte() << 16) | in.readUnsignedShort();
    }
  }

  private ManagedChannel channel() {
    ManagedChannel channel =
        NettyChannelBuilder.forAddress(address)
            .usePlaintext()
            .maxInboundMessageSize(64 * MIB)
            .build();
    open.add(() -> channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS));
    return channel;
  }

  private static void openSession(Channel channel, int number) {
    ByteString id = ByteString.copyFrom(ByteBuffer.allocate(16).putInt(number).flip().limit(16));
    PageStoreGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS)
        .openSession(OpenSessionRequest.newBuilder().setSessionId(id).build());
  }

  private double metric(String line) throws Exception {
    return HttpClient.newHttpClient()
        .send(
            HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + metricsPort + "/metrics"))
                .build(),
            HttpResponse.BodyHandlers.ofString())
        .body()
        .lines()
        .filter(each -> each.startsWith(line + " "))
        .mapToDouble(each -> Double.parseDouble(each.substring(line.length() + 1)))
        .findFirst()
        .orElse(0);
  }

  private double refused(String limit) throws Exception {
    return metric("grpsqlite_refused_total{limit=\"" + limit + "\"}");
  }

  private void awaitMetric(String line, double value) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (metric(line) != value) {
      assertTrue(System.nanoTime() < deadline, line + " is " + metric(line) + ", not " + value);
      Thread.sleep(10);
    }
  }

  @Test
  void connectionsAreCountedInAllAndOfAnAddress() throws Exception {
    serve(limits(3, 2, NEVER, NEVER, 100, MIB));
    Socket first = connected("127.0.0.1");
    connected("127.0.0.1");
    assertReset(connect("127.0.0.1"));
    assertEquals(1, refused("connections_per_address"));
    // Others are not hurt by it, until there are too many in all.
    connected("127.0.0.2");
    assertReset(connect("127.0.0.3"));
    assertEquals(1, refused("connections"));
    assertEquals(3, metric("grpsqlite_connections"));
    first.close();
    awaitMetric("grpsqlite_connections", 2);
    connected("127.0.0.3");
    assertEquals(3, metric("grpsqlite_limit{of=\"connections\"}"));
  }

  @Test
  void aConnectionOnWhichNothingComesIsClosed() throws Exception {
    serve(limits(10, 10, NEVER, SOON, 100, MIB));
    awaitClosed(connect("127.0.0.1"));
    assertEquals(1, refused("stall"));
    awaitMetric("grpsqlite_connections", 0);
  }

  @Test
  void aConnectionWithoutCallsIsClosedAndOneWithACallIsNot() throws Exception {
    serve(limits(10, 10, SOON, NEVER, 100, MIB));
    Socket idle = connected("127.0.0.2");
    Call waiting = new Call(channel(), 1);
    awaitMetric("grpsqlite_rpcs_in_flight", 1);
    awaitGoAway(idle);
    assertFalse(waiting.ended.isDone());
    openSession(channel(), 1);
  }

  @Test
  void aRequestThatDoesNotArriveIsEnded() throws Exception {
    serve(limits(10, 10, NEVER, SOON, 100, MIB));
    Call call = new Call(channel(), 50_000);
    assertEquals(Status.Code.UNAVAILABLE, call.code());
    assertEquals(1, refused("stall"));
    awaitMetric("grpsqlite_rpcs_in_flight", 0);
    awaitMetric("grpsqlite_call_bytes", 0);
  }

  @Test
  void callsOfAllConnectionsAreCounted() throws Exception {
    serve(limits(10, 10, NEVER, NEVER, 8, MIB));
    List<Call> calls = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      calls.add(new Call(channel(), 1));
    }
    awaitMetric("grpsqlite_rpcs_in_flight", 4);
    ManagedChannel another = channel();
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> openSession(another, 1));
    assertEquals(Status.Code.UNAVAILABLE, e.getStatus().getCode());
    assertEquals(1, refused("calls"));
    calls.get(0).cancel();
    awaitMetric("grpsqlite_rpcs_in_flight", 3);
    openSession(another, 1);
  }

  @Test
  void bytesOfUnfinishedRequestsAreCounted() throws Exception {
    serve(limits(10, 10, NEVER, NEVER, 100, 2 * MIB));
    Call most = new Call(channel(), 900_000);
    awaitMetric("grpsqlite_rpcs_in_flight", 1);
    awaitMetric("grpsqlite_call_bytes", HEADER_BYTES + 900_000);
    assertEquals(Status.Code.UNAVAILABLE, new Call(channel(), 200_000).code());
    assertEquals(1, refused("call_bytes"));
    awaitMetric("grpsqlite_call_bytes", HEADER_BYTES + 900_000);
    openSession(channel(), 1);
    most.cancel();
    awaitMetric("grpsqlite_call_bytes", 0);
  }

  @Test
  void headersHaveALimit() throws Exception {
    serve(DEFAULTS);
    Metadata large = new Metadata();
    large.put(Metadata.Key.of("large", Metadata.ASCII_STRING_MARSHALLER), "x".repeat(9000));
    Channel channel = channel();
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () ->
                openSession(
                    ClientInterceptors.intercept(
                        channel, MetadataUtils.newAttachHeadersInterceptor(large)),
                    1));
    assertTrue(
        e.getStatus().getCode() == Status.Code.INTERNAL
            || e.getStatus().getCode() == Status.Code.RESOURCE_EXHAUSTED
            || e.getStatus().getCode() == Status.Code.UNKNOWN,
        e.toString());
    openSession(channel, 2);
  }

  @Test
  void whoResetsItsCallsTooFastIsCutOff() throws Exception {
    serve(
        new AdmissionLimits(
            10, 10, NEVER, NEVER, DEFAULTS.headerBytes(), 10, 100, DEFAULTS.callBytes()));
    Socket socket = connected("127.0.0.1");
    ByteBuffer calls = ByteBuffer.allocate(1000 * 64);
    for (int stream = 1; stream < 1000; stream += 2) {
      byte[] block = Requests.headers("/grpsqlite.v1.PageStore/OpenSession");
      calls.put(Requests.frame(1, 4, stream, block));
      calls.put(Requests.frame(3, 0, stream, new byte[] {0, 0, 0, 8}));
      if (calls.remaining() < 1000) {
        break;
      }
    }
    socket.getOutputStream().write(calls.array(), 0, calls.position());
    awaitClosed(socket);
    awaitMetric("grpsqlite_connections", 0);
  }

  @Test
  void whoSendsMuchMaySendLargeFramesAndOthersMayNot() throws Exception {
    serve(DEFAULTS);
    Socket much = connected("127.0.0.1");
    OutputStream out = much.getOutputStream();
    byte[] request = Requests.message(600_000);
    out.write(Requests.frame(4, 0, 0, new byte[0]));
    out.write(Requests.frame(1, 4, 1, Requests.headers("/grpsqlite.v1.PageStore/OpenSession")));
    for (int at = 0; at < request.length; at += 1 << 14) {
      int end = Math.min(request.length, at + (1 << 14));
      int flags = end == request.length ? 1 : 0;
      out.write(Requests.frame(0, flags, 1, Arrays.copyOfRange(request, at, end)));
    }
    byte[] larger = {0, 5, 0, 4, 0, 0}; // SETTINGS_MAX_FRAME_SIZE, 256 KiB
    DataInputStream in = new DataInputStream(much.getInputStream());
    awaitFrame(in, in.readUnsignedShort(), 4, larger);

    // Of its first settings, and of these.
    out.write(Requests.frame(4, 1, 0, new byte[0]));
    out.write(Requests.frame(4, 1, 0, new byte[0]));
    out.write(Requests.frame(1, 4, 3, Requests.headers("/grpsqlite.v1.PageStore/OpenSession")));
    out.write(Requests.frame(0, 1, 3, Requests.message(250_000)));
    awaitFrame(in, -1, 1, new byte[0]);

    Socket other = connected("127.0.0.1");
    out = other.getOutputStream();
    out.write(Requests.frame(4, 0, 0, new byte[0]));
    out.write(Requests.frame(1, 4, 1, Requests.headers("/grpsqlite.v1.PageStore/OpenSession")));
    out.write(Requests.frame(0, 1, 1, Requests.message(17_000)));
    awaitGoAway(other);
  }

  /**
   * Reads frames until one of this type has this payload.
   *
   * @param length of the first one, if it has been read; or -1
   * @param payload empty for any
   */
  private static void awaitFrame(DataInputStream in, int length, int type, byte[] payload)
      throws IOException {
    for (int next = length; ; next = -1) {
      int size = next >= 0 ? next : (in.readUnsignedByte() << 16) | in.readUnsignedShort();
      int found = in.readByte();
      in.skipNBytes(5);
      byte[] content = in.readNBytes(size);
      assertFalse(found == 7, "the connection is over");
      if (found == type && (payload.length == 0 || Arrays.equals(payload, content))) {
        return;
      }
    }
  }

  /** HTTP/2 by hand. */
  private static final class Requests {
    static byte[] frame(int type, int flags, int stream, byte[] payload) {
      return ByteBuffer.allocate(9 + payload.length)
          .put((byte) (payload.length >> 16))
          .putShort((short) payload.length)
          .put((byte) type)
          .put((byte) flags)
          .putInt(stream)
          .put(payload)
          .array();
    }

    /** Of a field that no method knows. */
    static byte[] message(int length) {
      int field = length - HEADER_BYTES;
      return ByteBuffer.allocate(5 + length)
          .put((byte) 0)
          .putInt(length)
          .putShort((short) 0xfa01) // number 31, bytes
          .put((byte) (field | 0x80))
          .put((byte) (field >> 7 | 0x80))
          .put((byte) (field >> 14 | 0x80))
          .put((byte) (field >> 21))
          .array();
    }

    static byte[] headers(String path) {
      ByteBuffer block = ByteBuffer.allocate(512);
      String[] fields = {
        ":method",
        "POST",
        ":scheme",
        "http",
        ":path",
        path,
        ":authority",
        "a",
        "content-type",
        "application/grpc",
        "te",
        "trailers"
      };
      for (int i = 0; i < fields.length; i += 2) {
        block.put((byte) 0);
        for (String each : new String[] {fields[i], fields[i + 1]}) {
          block.put((byte) each.length()).put(each.getBytes(StandardCharsets.US_ASCII));
        }
      }
      byte[] all = new byte[block.flip().remaining()];
      block.get(all);
      return all;
    }
  }

  /** A request whose end is never sent. */
  private static final class Call {
    private static final MethodDescriptor<Integer, byte[]> METHOD =
        MethodDescriptor.<Integer, byte[]>newBuilder()
            .setType(MethodType.CLIENT_STREAMING)
            .setFullMethodName("grpsqlite.v1.PageStore/OpenSession")
            .setRequestMarshaller(new Zeros())
            .setResponseMarshaller(new Nothing())
            .build();

    final CompletableFuture<Status> ended = new CompletableFuture<>();
    private final ClientCall<Integer, byte[]> call;

    Call(Channel channel, int bytes) {
      call = channel.newCall(METHOD, CallOptions.DEFAULT);
      call.start(
          new ClientCall.Listener<>() {
            @Override
            public void onClose(Status status, Metadata trailers) {
              boolean unused = ended.complete(status);
            }
          },
          new Metadata());
      call.request(1);
      call.sendMessage(bytes);
    }

    Status.Code code() throws Exception {
      return ended.get(30, TimeUnit.SECONDS).getCode();
    }

    void cancel() {
      call.cancel("enough", null);
    }
  }

  private static final class Zeros implements MethodDescriptor.Marshaller<Integer> {
    @Override
    public InputStream stream(Integer length) {
      ByteBuffer message = ByteBuffer.allocate(HEADER_BYTES + length).put((byte) ((15 << 3) | 2));
      for (int i = 0; i < 4; i++) {
        message.put((byte) (((length >> (7 * i)) & 0x7f) | 0x80));
      }
      message.put((byte) 0);
      return new ByteArrayInputStream(message.array());
    }

    @Override
    public Integer parse(InputStream stream) {
      throw new UnsupportedOperationException();
    }
  }

  private static final class Nothing implements MethodDescriptor.Marshaller<byte[]> {
    @Override
    public InputStream stream(byte[] value) {
      throw new UnsupportedOperationException();
    }

    @Override
    public byte[] parse(InputStream stream) {
      return new byte[0];
    }
  }
}
