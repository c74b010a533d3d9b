package dev.grpsqlite.e2e;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A client program under way: lines go in, lines come out, all with a deadline. One thread at a
 * time.
 */
public final class Program implements AutoCloseable {
  private static final Duration DEADLINE = Duration.ofMinutes(5);
  private static final String END = new String("end of output");

  private final Process process;
  private final Path errors;
  private final OutputStream in;
  private final BlockingQueue<String> lines = new LinkedBlockingQueue<>();
  private long peakMemoryBytes;

  private Program(Process process, Path errors) {
    this.process = process;
    this.errors = errors;
    this.in = process.getOutputStream();
    Thread reader = new Thread(this::readLines, "output of " + process.pid());
    reader.setDaemon(true);
    reader.start();
  }

  /**
   * Starts a program.
   *
   * @param folder the working directory
   * @param environment in addition to this process's
   */
  public static Program start(Path folder, Map<String, String> environment, List<String> command)
      throws IOException {
    Path errors = Files.createTempFile("grpsqlite-e2e-", ".err");
    ProcessBuilder builder =
        new ProcessBuilder(command).directory(folder.toFile()).redirectError(errors.toFile());
    builder.environment().keySet().removeIf(key -> key.startsWith("GRPSQLITE_"));
    builder.environment().putAll(environment);
    return new Program(Children.start(builder), errors);
  }

  private void readLines() {
    try (BufferedReader out =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = out.readLine(); line != null; line = out.readLine()) {
        lines.add(line);
      }
    } catch (IOException e) {
      lines.add("its output cannot be read: " + e);
    } finally {
      lines.add(END);
    }
  }

  /** Programs that it has started and that have not ended. */
  public List<ProcessHandle> children() {
    return process.children().toList();
  }

  /** Writes text to its standard input. */
  public void send(String text) throws IOException {
    in.write(text.getBytes(StandardCharsets.UTF_8));
    in.flush();
  }

  /** The next line that it prints; null at the end. */
  public @Nullable String line() throws InterruptedException {
    return line(DEADLINE);
  }

  private @Nullable String line(Duration atMost) throws InterruptedException {
    String line = lines.poll(atMost.toMillis(), TimeUnit.MILLISECONDS);
    if (line == null) {
      throw new AssertionError("no output within " + atMost + "; errors: " + errors());
    }
    if (identical(line, END)) {
      lines.add(END);
      return null;
    }
    return line;
  }

  /** Reads up to a line that is this one. Returns the lines before it. */
  public String readTo(String expected) throws InterruptedException {
    return readTo(expected, DEADLINE);
  }

  /** Waits this long for each line. */
  public String readTo(String expected, Duration atMost) throws InterruptedException {
    StringBuilder before = new StringBuilder();
    for (String line = line(atMost); ; line = line(atMost)) {
      if (line == null) {
        throw new AssertionError("ended before '" + expected + "': " + before + errors());
      }
      if (line.equals(expected)) {
        return before.toString();
      }
      before.append(line).append('\n');
    }
  }

  /** Lines printed so far and not read yet, without waiting. */
  public List<String> drain() {
    List<String> drained = new ArrayList<>();
    lines.drainTo(drained);
    if (drained.removeIf(line -> identical(line, END))) {
      lines.add(END);
    }
    return drained;
  }

  public String errors() {
    try {
      return Files.readString(errors);
    } catch (IOException e) {
      return "cannot be read: " + e;
    }
  }

  /** SIGKILL; returns when the process is gone. */
  public void kill() {
    Children.kill(process);
  }

  public void signal(String signal) throws Exception {
    Children.signal(process.toHandle(), signal);
  }

  /** Sends it to what this has started, and to this, as a terminal does. */
  public void signalAll(String signal) throws Exception {
    for (ProcessHandle child : children()) {
      Children.signal(child, signal);
    }
    signal(signal);
  }

  public boolean isAlive() {
    return process.isAlive();
  }

  /** The peak so far; after the end, the last one that was looked at. */
  public long peakMemoryBytes() {
    try {
      peakMemoryBytes = Math.max(peakMemoryBytes, Children.peakMemoryBytes(process));
    } catch (IOException e) {
      // It has ended: what was seen before stands.
    }
    return peakMemoryBytes;
  }

  /** Closes its standard input and waits for its end. */
  public Finished finish() throws Exception {
    return finish(DEADLINE);
  }

  public Finished finish(Duration atMost) throws Exception {
    in.close();
    if (!process.waitFor(atMost.toMillis(), TimeUnit.MILLISECONDS)) {
      kill();
      throw new AssertionError("still running after " + atMost + ": " + drain() + errors());
    }
    StringBuilder rest = new StringBuilder();
    for (String line = line(); line != null; line = line()) {
      rest.append(line).append('\n');
    }
    return new Finished(process.exitValue(), rest.toString(), errors(), peakMemoryBytes);
  }

  @SuppressWarnings("ReferenceEquality") // END is not a text that a program could print
  private static boolean identical(String line, String end) {
    return line == end;
  }

  @Override
  public void close() throws IOException {
    kill();
    Files.deleteIfExists(errors);
  }
}
