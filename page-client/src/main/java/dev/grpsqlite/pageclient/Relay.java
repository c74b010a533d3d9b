package dev.grpsqlite.pageclient;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/**
 * Has a program in C, {@code grpsqlite_relay}, speak to servers in place of this process; its
 * {@code main.c} has what is said to it, and its {@code answers.h} what it says. A program that is
 * over after a second or two is faster so: most of that would go to loading what gRPC needs, and
 * sending a file from code that was just loaded costs twice the processor's time.
 *
 * <p>The program ends with this process, or when this is closed. If it ends before, calls fail with
 * INTERNAL and OUTCOME_UNKNOWN; if it cannot run at all, with INTERNAL alone.
 */
public final class Relay implements Transport {
  /** The reason of a failure that is of the URL, or of a file for TLS. */
  public static final String BAD_URL = "BAD_URL";

  /** What the server said it was, beside the code; see RemoteException. */
  static final Metadata.Key<String> REASON =
      Metadata.Key.of("grpsqlite-relay-reason", Metadata.ASCII_STRING_MARSHALLER);

  /** What the program says first. */
  private static final String READY = "ready";

  /** For a call that is made when nobody waits for it any more. */
  private static final long LAST_CALL_MS = 2000;

  /** What Java itself calls files by. */
  private static final Charset PATHS =
      Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8"));

  private final @Nullable Process process;
  private final OutputStream asks;
  private final Map<Long, Asked> asked = new ConcurrentHashMap<>();
  private final AtomicLong numbers = new AtomicLong();
  private final String program;
  private volatile boolean neverRan;
  private volatile boolean ended;

  /** Who waits for the answers to something; told by the reading thread. */
  interface Asked {
    void message(byte[] bytes);

    void sent(long bytes);

    void end(Status.Code code, String reason, String message);

    /**
     * The program ended before.
     *
     * @param never why it never ran, if it did not
     */
    void lost(@Nullable String never);
  }

  private Relay(String program, Process process) {
    this.program = program;
    this.process = process;
    this.asks = new BufferedOutputStream(process.getOutputStream());
    Thread reading = new Thread(() -> read(process.getInputStream()), "relay");
    reading.setDaemon(true);
    reading.start();
  }

  /** One that has ended. */
  private Relay() {
    this.program = "";
    this.process = null;
    this.asks = OutputStream.nullOutputStream();
    this.ended = true;
  }

  /**
   * Loads most classes that a session through one needs, for a thread that has nothing else to do
   * before the first one is opened. Nothing is started, and nothing sent.
   */
  public static void load() {
    try (ServerConnection connection = ServerConnection.through(new Relay(), Endpoint.NOBODY)) {
      Session.load(connection);
    } catch (IOException e) {
      // Of the first one that is used.
    }
  }

  /**
   * Starts it.
   *
   * @param program {@code lib/grpsqlite_relay} of a distribution
   * @param endpoint whose token and files for TLS it uses, whatever it calls
   */
  public static Relay start(Path program, Endpoint endpoint) throws IOException {
    ProcessBuilder builder =
        new ProcessBuilder(program.toString()).redirectError(ProcessBuilder.Redirect.INHERIT);
    Map<String, String> environment = builder.environment();
    put(environment, "GRPSQLITE_TOKEN", endpoint.token());
    put(environment, "GRPSQLITE_CA_FILE", endpoint.tls().authorities());
    put(environment, "GRPSQLITE_CERT_FILE", endpoint.tls().certificate());
    put(environment, "GRPSQLITE_KEY_FILE", endpoint.tls().key());
    return new Relay(program.toString(), builder.start());
  }

  private static void put(Map<String, String> to, String name, @Nullable Object value) {
    if (value == null) {
      to.remove(name);
    } else {
      to.put(name, value.toString());
    }
  }

  @Override
  public Channel channel(String url) {
    return new RelayedChannel(url);
  }

  /** The program has connections for as many calls as there are. */
  @Override
  public Channel another(String url) {
    return channel(url);
  }

  /** The program makes it, which goes on for a moment when this process is killed. */
  @Override
  public <Q> void callIfKilled(String urls, MethodDescriptor<Q, ?> method, Q request) {
    ask(
        "last "
            + numbers.incrementAndGet()
            + " "
            + LAST_CALL_MS
            + " /"
            + method.getFullMethodName(),
        urls,
        RelayedCall.bytes(method, request));
  }

  /**
   * What to send of a file, and as what.
   *
   * @param path without links
   * @param device of the file that is meant, whatever has its name by now
   * @param inode as the device
   */
  public record File(Path path, long device, long inode, int pageSize, long pageCount) {}

  /**
   * Sends a file as it is; returns when the server has all of it.
   *
   * @param urls of servers that have one store, the one to begin with first
   * @param stage session, database, stage and epoch, as the program reads them
   * @param timeoutMs of each message
   * @param onSent told of bytes that the server has taken, by another thread
   */
  void upload(
      String urls,
      String stage,
      int maxMessageBytes,
      long timeoutMs,
      File file,
      LongConsumer onSent) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    long number =
        add(
            new Asked() {
              @Override
              public void message(byte[] bytes) {
                // Uploads are not answered by messages.
              }

              @Override
              public void sent(long bytes) {
                onSent.accept(bytes);
              }

              @Override
              public void end(Status.Code code, String reason, String message) {
                if (code == Status.Code.OK) {
                  done.complete(null);
                } else {
                  done.completeExceptionally(new RemoteException(code, reason, message));
                }
              }

              @Override
              public void lost(@Nullable String never) {
                end(
                    Status.Code.INTERNAL,
                    "",
                    "the program that sent the file ended in the middle; nothing was done");
              }
            });
    ask(
        "upload "
            + number
            + " "
            + stage
            + " "
            + file.pageSize()
            + " "
            + file.pageCount()
            + " "
            + maxMessageBytes
            + " "
            + timeoutMs
            + " "
            + file.device()
            + " "
            + file.inode(),
        urls,
        file.path().toString().getBytes(PATHS));
    try {
      done.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof RemoteException remote ? remote : e;
    }
  }

  /** Returns the number to ask by. */
  long add(Asked by) {
    long number = numbers.incrementAndGet();
    asked.put(number, by);
    return number;
  }

  /** Nobody waits for these answers any more. */
  void forget(long number) {
    asked.remove(number);
  }

  /**
   * Asks for something that was added.
   *
   * @param what the line, but for the sizes of what follows it
   */
  void ask(String what, String url, byte[] bytes) {
    byte[] to = url.getBytes(StandardCharsets.UTF_8);
    try {
      synchronized (asks) {
        asks.write(
            (what + " " + to.length + " " + bytes.length + "\n").getBytes(StandardCharsets.UTF_8));
        asks.write(to);
        asks.write(bytes);
        asks.flush();
      }
    } catch (IOException e) {
      kill(); // Who reads its answers comes to their end then.
    }
    if (ended) {
      endAll();
    }
  }

  private void endAll() {
    for (Long number : List.copyOf(asked.keySet())) {
      Asked by = asked.remove(number);
      if (by != null) {
        by.lost(
            neverRan ? program + " does not run here; remove it, and Java does its work" : null);
      }
    }
  }

  private void read(InputStream from) {
    try (InputStream answers = new BufferedInputStream(from)) {
      neverRan = !READY.equals(line(answers));
      for (String line = line(answers); line != null; line = line(answers)) {
        take(line.split(" ", 5), answers);
      }
    } catch (IOException | RuntimeException e) {
      // It ended, or is not that program.
    }
    ended = true;
    endAll();
  }

  private void take(String[] words, InputStream answers) throws IOException {
    long number = Long.parseLong(words[1]);
    if (words[0].equals("end")) {
      Status.Code code = Status.fromCodeValue(Integer.parseInt(words[2])).getCode();
      String reason = words[3].equals("-") ? "" : words[3];
      String message = words[4];
      Asked by = asked.remove(number);
      if (by != null) {
        by.end(code, reason, message);
      }
      return;
    }
    Asked by = asked.get(number);
    if (words[0].equals("sent")) {
      if (by != null) {
        by.sent(Long.parseLong(words[2]));
      }
      return;
    }
    byte[] message = answers.readNBytes(Integer.parseInt(words[2]));
    if (message.length < Integer.parseInt(words[2])) {
      throw new EOFException();
    }
    if (by != null) {
      by.message(message);
    }
  }

  /** Null at the end. */
  private static @Nullable String line(InputStream from) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int next = from.read(); next != '\n'; next = from.read()) {
      if (next < 0) {
        return null;
      }
      line.write(next);
    }
    return line.toString(StandardCharsets.UTF_8);
  }

  /** What it has said can still be read, as it could not after {@link Process#destroy}. */
  private void kill() {
    if (process != null) {
      process.toHandle().destroyForcibly();
    }
  }

  @Override
  public void close() {
    if (process == null) {
      return;
    }
    process.destroyForcibly();
    try {
      process.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // It was killed.
    }
  }

  private final class RelayedChannel extends Channel {
    private final String url;

    RelayedChannel(String url) {
      this.url = url;
    }

    @Override
    public <Q, A> ClientCall<Q, A> newCall(MethodDescriptor<Q, A> method, CallOptions options) {
      return new RelayedCall<>(Relay.this, url, method, options);
    }

    @Override
    public String authority() {
      return url;
    }
  }
}
