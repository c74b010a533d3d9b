package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.dynatrace.hash4j.hashing.Hashing;
import com.google.protobuf.ByteString;
import com.sun.net.httpserver.HttpServer;
import dev.grpsqlite.proto.v1.Changes;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.Snapshot;
import io.grpc.Server;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** P9 from the client's side: whatever is at the other end, an error that says so, and soon. */
class BadServerTest {
  private static final int SHORT_MS = 2000;
  private static final int LONG_MS = 60000;
  private static final Duration SOON = Duration.ofSeconds(20);

  @TempDir Path folder;

  @Test
  void nobodyListens() throws Exception {
    int port;
    try (ServerSocket closed = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = closed.getLocalPort();
    }
    String url = "http://127.0.0.1:" + port;
    String error = openFails(url, "main.db");
    assertTrue(error.contains("no server at " + url), error);
    assertTrue(error.contains("refused"), error);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "ftp://127.0.0.1:1",
        "127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://[::1",
        "unix:",
        "http://no-such-host.invalid:50051",
        "unix:/no/such/socket"
      })
  void aUrlThatCannotBe(String url) throws Exception {
    String error = openFails(url, "main.db");
    assertTrue(error.contains(url.replaceAll(":.*", "")), error);
  }

  @ParameterizedTest
  @ValueSource(strings = {"../main.db", "a/../../b.db", "/etc/passwd", ".."})
  void aNameThatCannotBe(String name) throws Exception {
    String error = openFails(Kind.MEMORY.server().url(), name);
    assertTrue(error.contains(name.startsWith("/") ? "vfs=unix" : ".."), error);
  }

  @Test
  void aNameThatIsTooLong() throws Exception {
    openFails(Kind.MEMORY.server().url(), "x".repeat(600));
  }

  @Test
  void anHttpServer() throws Exception {
    HttpServer server =
        HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/",
        exchange -> {
          exchange.sendResponseHeaders(200, 2);
          exchange.getResponseBody().write(new byte[] {'h', 'i'});
          exchange.close();
        });
    server.start();
    try {
      openFails("http://127.0.0.1:" + server.getAddress().getPort(), "main.db");
    } finally {
      server.stop(0);
    }
  }

  @Test
  void aGrpcServerWithoutEitherService() throws Exception {
    Server server = NettyServerBuilder.forPort(0).build().start();
    try {
      openFails("http://127.0.0.1:" + server.getPort(), "main.db");
    } finally {
      server.shutdownNow();
    }
  }

  @Test
  void tlsToAServerWithoutIt() throws Exception {
    openFails(Kind.MEMORY.server().url().replace("http:", "https:"), "main.db");
  }

  /** What a server that is no server does with a connection. */
  enum Rudeness {
    ACCEPTS_AND_SAYS_NOTHING,
    CLOSES_AT_ONCE,
    ANSWERS_GARBAGE,
    ANSWERS_FRAMES_OF_GARBAGE,
    ECHOES
  }

  @ParameterizedTest
  @EnumSource
  void aServerThatIsNone(Rudeness rudeness) throws Exception {
    try (ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
      Thread thread =
          new Thread(
              () -> {
                while (!listener.isClosed()) {
                  try {
                    Socket socket = listener.accept();
                    Thread one = new Thread(() -> behave(socket, rudeness));
                    one.setDaemon(true);
                    one.start();
                  } catch (IOException e) {
                    return;
                  }
                }
              });
      thread.setDaemon(true);
      thread.start();
      openFails("http://127.0.0.1:" + listener.getLocalPort(), "main.db");
    }
  }

  private static void behave(Socket socket, Rudeness rudeness) {
    Random random = new Random(7);
    try (socket;
        InputStream in = socket.getInputStream();
        OutputStream out = socket.getOutputStream()) {
      byte[] buffer = new byte[4096];
      switch (rudeness) {
        case ACCEPTS_AND_SAYS_NOTHING -> {
          while (in.read(buffer) >= 0) {}
        }
        case CLOSES_AT_ONCE -> {}
        case ANSWERS_GARBAGE -> {
          while (in.read(buffer) >= 0) {
            random.nextBytes(buffer);
            out.write(buffer);
          }
        }
        case ANSWERS_FRAMES_OF_GARBAGE -> {
          out.write(new byte[] {0, 0, 0, 4, 0, 0, 0, 0, 0}); // SETTINGS, as is right
          for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            int length = 1 + random.nextInt(200);
            byte[] frame = new byte[9 + length];
            random.nextBytes(frame);
            frame[0] = 0;
            frame[1] = 0;
            frame[2] = (byte) length;
            frame[3] = (byte) random.nextInt(10);
            frame[5] = 0;
            frame[6] = 0;
            frame[7] = 0;
            frame[8] = 1;
            out.write(frame);
          }
        }
        case ECHOES -> {
          for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
            out.write(buffer, 0, n);
          }
        }
      }
    } catch (IOException e) {
      // The client has had enough.
    }
  }

  /** How a server lies about a database of a few pages. */
  enum Lie {
    NONE,
    PAGE_NUMBER_OUT_OF_RANGE,
    ANOTHER_PAGE,
    SHORT_PAGE,
    LONG_PAGE,
    WRONG_CHECKSUM,
    NO_PAGE_AT_OPENING,
    NO_PAGES,
    PAGE_OF_A_LATER_VERSION,
    PAGE_SIZE_OF_1000,
    PAGE_SIZE_OF_A_GIBIBYTE,
    NO_PAGE_COUNT,
    ID_OF_A_MEBIBYTE,
    OVERSIZED_MESSAGE,
    CHANGES_OUT_OF_ORDER,
    HEAD_IN_THE_PAST
  }

  @ParameterizedTest
  @EnumSource
  void aServerThatLies(Lie lie) throws Exception {
    Path database = folder.resolve("two-pages.sqlite");
    new Client(folder, "")
        .localShell(
            database, "PRAGMA page_size=4096; CREATE TABLE t (x); INSERT INTO t VALUES (7);")
        .ok();
    Server server =
        NettyServerBuilder.forPort(0)
            .addService(new Liar(lie, Files.readAllBytes(database)))
            .build()
            .start();
    try {
      String url = "http://127.0.0.1:" + server.getPort();
      if (lie == Lie.NONE) {
        // What follows differs from this in one thing each.
        assertEquals("7\n7\n", open(url, "main.db", LONG_MS).ok());
      } else {
        // Because of the lie, and not because the time was up.
        openFails(url, "main.db", LONG_MS, Duration.ofMillis(LONG_MS));
      }
    } finally {
      server.shutdownNow();
    }
  }

  private static final class Liar extends PageStoreGrpc.PageStoreImplBase {
    private static final int PAGE_BYTES = 4096;
    private static final long VERSION = 3;
    private static final int FIVE_GIB_BEHIND = (int) ((5L << 30) / 512);

    private final Lie lie;
    private final byte[] content;

    Liar(Lie lie, byte[] content) {
      this.lie = lie;
      this.content = content;
    }

    @Override
    public void openSession(
        OpenSessionRequest request, StreamObserver<OpenSessionResponse> answer) {
      reply(
          answer,
          OpenSessionResponse.newBuilder().setTtlMs(10000).setMaxMessageBytes(4 << 20).build());
    }

    @Override
    public void keepAlive(KeepAliveRequest request, StreamObserver<KeepAliveResponse> answer) {
      reply(answer, KeepAliveResponse.newBuilder().setTtlMs(10000).build());
    }

    private Snapshot snapshot() {
      Snapshot.Builder snapshot =
          Snapshot.newBuilder()
              .setVersion(VERSION)
              .setPageSize(PAGE_BYTES)
              .setPageCount(content.length / PAGE_BYTES);
      switch (lie) {
        case PAGE_SIZE_OF_1000 -> snapshot.setPageSize(1000);
        case PAGE_SIZE_OF_A_GIBIBYTE -> snapshot.setPageSize(1 << 30);
        case NO_PAGE_COUNT -> snapshot.setPageCount(0);
        default -> {}
      }
      return snapshot.build();
    }

    @Override
    public void openDatabase(
        OpenDatabaseRequest request, StreamObserver<OpenDatabaseResponse> answer) {
      OpenDatabaseResponse.Builder opened =
          OpenDatabaseResponse.newBuilder()
              .setDatabaseId(
                  ByteString.copyFrom(new byte[lie == Lie.ID_OF_A_MEBIBYTE ? 1 << 20 : 16]))
              .setSnapshot(snapshot())
              .setHeadVersion(VERSION);
      if (lie != Lie.NO_PAGE_AT_OPENING) {
        opened.addPages(honestPage(1));
      }
      reply(answer, opened.build());
    }

    @Override
    public void refresh(RefreshRequest request, StreamObserver<RefreshResponse> answer) {
      RefreshResponse.Builder refreshed = RefreshResponse.newBuilder().setHead(snapshot());
      switch (lie) {
        case CHANGES_OUT_OF_ORDER ->
            refreshed.setChanges(Changes.newBuilder().addPages(9).addPages(2).addPages(0));
        case HEAD_IN_THE_PAST -> refreshed.getHeadBuilder().setVersion(VERSION - 1);
        default -> {}
      }
      reply(answer, refreshed.build());
    }

    @Override
    public void readPages(ReadPagesRequest request, StreamObserver<ReadPagesResponse> answer) {
      ReadPagesResponse.Builder response = ReadPagesResponse.newBuilder();
      for (PageRange range : request.getRangesList()) {
        for (int number = range.getFirst();
            number < range.getFirst() + range.getCount();
            number++) {
          response.addPages(page(number));
        }
      }
      reply(
          answer, lie == Lie.NO_PAGES ? ReadPagesResponse.getDefaultInstance() : response.build());
    }

    private Page honestPage(int number) {
      byte[] data = Arrays.copyOfRange(content, (number - 1) * PAGE_BYTES, number * PAGE_BYTES);
      return Page.newBuilder()
          .setNumber(number)
          .setVersion(VERSION)
          .setChecksum(Hashing.xxh3_64().hashBytesToLong(data))
          .setData(ByteString.copyFrom(data))
          .build();
    }

    private Page page(int number) {
      int bytes =
          switch (lie) {
            case SHORT_PAGE -> 1024;
            case LONG_PAGE -> 2 * PAGE_BYTES;
            case OVERSIZED_MESSAGE -> 64 << 20;
            default -> PAGE_BYTES;
          };
      byte[] data = Arrays.copyOfRange(content, (number - 1) * PAGE_BYTES, number * PAGE_BYTES);
      data = Arrays.copyOf(data, bytes);
      long checksum = Hashing.xxh3_64().hashBytesToLong(data);
      return Page.newBuilder()
          .setNumber(
              switch (lie) {
                case PAGE_NUMBER_OUT_OF_RANGE -> FIVE_GIB_BEHIND;
                case ANOTHER_PAGE -> 3 - number;
                default -> number;
              })
          .setVersion(lie == Lie.PAGE_OF_A_LATER_VERSION ? VERSION + 1 : VERSION)
          .setChecksum(lie == Lie.WRONG_CHECKSUM ? checksum + 1 : checksum)
          .setData(ByteString.copyFrom(data))
          .build();
    }

    private static <T> void reply(StreamObserver<T> observer, T message) {
      observer.onNext(message);
      observer.onCompleted();
    }
  }

  /** Returns what it says, soon. */
  private String openFails(String url, String name) throws Exception {
    return openFails(url, name, SHORT_MS, SOON);
  }

  private String openFails(String url, String name, int timeoutMs, Duration soon) throws Exception {
    long started = System.nanoTime();
    Finished shell = open(url, name, timeoutMs);
    Duration took = Duration.ofNanos(System.nanoTime() - started);
    assertTrue(took.compareTo(soon) < 0, took + ": " + shell);
    return shell.failed();
  }

  /** Opens and reads, twice. */
  private Finished open(String url, String name, int timeoutMs) throws Exception {
    return new Client(folder, url)
        .with("GRPSQLITE_TIMEOUT_MS", "" + timeoutMs)
        .with("GRPSQLITE_CONNECT_TIMEOUT_MS", "" + timeoutMs)
        .run(
            ".log stderr\n.load "
                + Dist.library()
                + "\n.open "
                + name
                + "\nSELECT * FROM t;\nSELECT * FROM t;\n",
            "sqlite3",
            "-batch");
  }
}
