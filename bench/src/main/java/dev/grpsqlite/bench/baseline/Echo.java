package dev.grpsqlite.bench.baseline;

import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Program;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The bare transport: a client process made of the VFS's own C channel, and an {@link EchoServer}
 * process on the gRPC library of our servers. No SQLite, no protobuf, no store. One thread at a
 * time.
 */
public final class Echo implements AutoCloseable {
  private static final String LISTENING = "listening on ";
  private static final double NANOS = 1e9;

  private final Program client;

  private Echo(Program client) {
    this.client = client;
  }

  /** A server process, and the port that it listens on. */
  public record ServerProcess(Program program, int port) implements AutoCloseable {
    /** Starts one with the class path of this process and the heap settings of our servers. */
    public static ServerProcess start(Path folder) throws Exception {
      Program program =
          Program.start(
              folder,
              Map.of(),
              List.of(
                  Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                  "-Xmx256m",
                  "-XX:+UseSerialGC",
                  "-cp",
                  absolute(System.getProperty("java.class.path")),
                  EchoServer.class.getName()));
      @Nullable String line = program.line();
      if (line == null || !line.startsWith(LISTENING)) {
        throw new IOException("the echo server did not start: " + line + program.errors());
      }
      return new ServerProcess(program, Integer.parseInt(line.substring(LISTENING.length())));
    }

    private static String absolute(String classPath) {
      return String.join(
          ":",
          List.of(classPath.split(":", -1)).stream()
              .map(each -> Path.of("").toAbsolutePath().resolve(each).toString())
              .toList());
    }

    @Override
    public void close() throws IOException {
      program.close();
    }
  }

  /**
   * Starts a client of its own process.
   *
   * @param url of an {@link EchoServer}, or of a proxy before it
   */
  public static Echo start(Path folder, String url) throws IOException {
    Path program = Dist.root().resolve("bench/target/native/echo");
    if (!Files.exists(program)) {
      throw new IOException(program + " does not exist; make build");
    }
    return new Echo(Program.start(folder, Map.of(), List.of(program.toString(), url)));
  }

  /** Seconds of a call with messages of these sizes, of as many as fit into the time. */
  public double unary(long requestBytes, long answerBytes, long millis) throws Exception {
    String[] answer =
        answer("unary " + Math.max(8, requestBytes) + " " + answerBytes + " " + millis);
    return Double.parseDouble(answer[1]) / NANOS / Double.parseDouble(answer[0]);
  }

  /** Seconds that a stream takes to bring this many bytes. */
  public double stream(long bytes, int messageBytes) throws Exception {
    return Double.parseDouble(answer("stream " + bytes + " " + messageBytes)[1]) / NANOS;
  }

  private String[] answer(String question) throws Exception {
    client.send(question + "\n");
    @Nullable String line = client.line();
    if (line == null) {
      throw new IOException("the echo client ended: " + client.errors());
    }
    return line.split(" ", -1);
  }

  @Override
  public void close() throws IOException {
    client.close();
  }
}
