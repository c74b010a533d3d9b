package dev.grpsqlite.e2e;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Starts client programs against one server: the system's {@code sqlite3} and {@code python3}, and
 * whatever else. Immutable.
 */
public final class Client {
  private static final Duration DEADLINE = Duration.ofMinutes(5);

  private final Path folder;
  private final Map<String, String> environment;

  private Client(Path folder, Map<String, String> environment) {
    this.folder = folder;
    this.environment = environment;
  }

  /**
   * Of one server.
   *
   * @param folder the working directory of what is started
   * @param url of the server
   */
  public Client(Path folder, String url) {
    this(
        folder,
        Map.of(
            "GRPSQLITE_URL",
            url,
            "GRPSQLITE_LIBRARY",
            Dist.library().toString(),
            // A server that has just started, on a machine that runs all the tests, is slow.
            "GRPSQLITE_CONNECT_TIMEOUT_MS",
            "30000"));
  }

  /** With one more environment variable. */
  public Client with(String variable, String value) {
    Map<String, String> more = new HashMap<>(environment);
    more.put(variable, value);
    return new Client(folder, Map.copyOf(more));
  }

  /** An interactive shell on a database. {@code .print} lines mark where an answer ends. */
  public Program openShell(String database) throws IOException {
    return start(
        "sqlite3", "-batch", "-cmd", ".load " + Dist.library(), "-cmd", ".open " + database);
  }

  /** A shell that is given all at once. It stops at the first error. */
  public Finished shell(String database, String input) throws Exception {
    return run(
        input,
        "sqlite3",
        "-batch",
        "-bail",
        "-cmd",
        ".load " + Dist.library(),
        "-cmd",
        ".open " + database);
  }

  /** A shell on a local file, the extension not loaded. */
  public Finished localShell(Path file, String input) throws Exception {
    return run(input, "sqlite3", "-batch", "-bail", file.toString());
  }

  /** The command {@code grpsqlite}. */
  public Finished command(String... arguments) throws Exception {
    return finish(startCommand(arguments), "");
  }

  public Program startCommand(String... arguments) throws IOException {
    List<String> command = new ArrayList<>(List.of(Dist.command().toString()));
    command.addAll(List.of(arguments));
    return Program.start(folder, environment, command);
  }

  /** A script of {@code src/test/python/}. */
  public Finished python(String script, String... arguments) throws Exception {
    return finish(startPython(script, arguments), "");
  }

  public Program startPython(String script, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add("/usr/bin/python3");
    command.add("-B");
    command.add(Dist.source("python/" + script).toString());
    command.addAll(List.of(arguments));
    return Program.start(folder, environment, command);
  }

  public Program start(String... command) throws IOException {
    return Program.start(folder, environment, List.of(command));
  }

  public Finished run(String input, String... command) throws Exception {
    return finish(start(command), input);
  }

  private static Finished finish(Program program, String input) throws Exception {
    try (program) {
      // Not before the output is read: both could be more than a pipe holds.
      Thread writer =
          new Thread(
              () -> {
                try {
                  program.send(input);
                } catch (IOException e) {
                  // It ended before it read everything; how it ended tells why.
                }
              });
      writer.start();
      writer.join(DEADLINE.toMillis());
      return program.finish(DEADLINE);
    }
  }
}
