package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.launch.Launcher;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code memory-server} as a process: what it prints, and how it ends. */
@Timeout(120)
class LauncherTest {
  @TempDir Path folder;

  private record Ended(int exitCode, String out, String err) {}

  private static ProcessBuilder command(Map<String, String> environment, String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                System.getProperty("java.class.path"),
                Launcher.class.getName()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().keySet().removeIf(name -> name.startsWith("GRPSQLITE_"));
    builder.environment().putAll(environment);
    return builder;
  }

  private Ended run(Map<String, String> environment, String... arguments) throws Exception {
    Path out = Files.createTempFile(folder, "out", "");
    Path err = Files.createTempFile(folder, "err", "");
    Process process =
        command(environment, arguments)
            .redirectOutput(out.toFile())
            .redirectError(err.toFile())
            .start();
    try {
      assertTrue(process.waitFor(60, TimeUnit.SECONDS), "it runs");
    } finally {
      process.destroyForcibly();
    }
    return new Ended(process.exitValue(), Files.readString(out), Files.readString(err));
  }

  private Ended run(String... arguments) throws Exception {
    return run(Map.of(), arguments);
  }

  private static void assertRefused(Ended ended, int exitCode, String line) {
    assertEquals("memory-server: " + line, ended.err.strip());
    assertEquals(exitCode, ended.exitCode);
    assertEquals("", ended.out);
  }

  private static void assertWrong(Ended ended, String problem) {
    assertRefused(ended, 2, problem + " (--help shows all settings)");
  }

  @Test
  void helpAndVersionAreShown() throws Exception {
    Ended help = run("--help");
    assertEquals(0, help.exitCode, help.err);
    for (String option : List.of("--listen", "--metrics-listen", "--config", "--log-level")) {
      assertTrue(help.out.contains(option), help.out);
    }
    Ended version = run("--version");
    assertEquals(0, version.exitCode);
    assertTrue(version.out.startsWith("memory-server "), version.out);
  }

  @Test
  void aWrongValueIsOneLineAndExitCode2() throws Exception {
    assertWrong(
        run("--session-ttl-ms", "soon"),
        "--session-ttl-ms: 'soon' is not a number from 100 to 3600000");
    assertWrong(run("--colour"), "Unknown option: '--colour'");
    assertWrong(
        run(Map.of("GRPSQLITE_LISTEN", "nowhere"), "--log-level", "info"),
        "GRPSQLITE_LISTEN: 'nowhere' is not HOST:PORT, [IPV6]:PORT or unix:PATH");
    assertWrong(run("--backend", "tape"), "there is no backend 'tape'; there are: memory");
    Path config = folder.resolve("server.conf");
    Files.writeString(config, "# a comment\n\nlog-level = debug\nservices = page,mail\n");
    assertWrong(
        run("--config", config.toString()),
        config + ":4: services: 'mail' is not one of page, file");
    Files.writeString(config, "log-level = debug\nlog-level = info\n");
    assertWrong(
        run("--config", config.toString()), config + ":2: 'log-level' is set already in line 1");
    Files.writeString(config, "colour = red\n");
    Ended unknown = run(Map.of("GRPSQLITE_CONFIG", config.toString()));
    assertEquals(2, unknown.exitCode);
    assertTrue(
        unknown.err.startsWith(
            "memory-server: " + config + ":1: there is no setting 'colour'; there are "),
        unknown.err);
    assertEquals(1, unknown.err.lines().count());
  }

  @Test
  void whatOthersCanReachNeedsAnIdentityOrAWordForIt() throws Exception {
    assertWrong(
        run("--listen", "0.0.0.0:0"),
        "other machines can reach 0.0.0.0:0, and nobody is asked who it is: give --tokens-file or"
            + " --tls-client-ca, listen on 127.0.0.1 or a Unix socket, or say --insecure-no-auth");
    assertWrong(run("--tls-cert", "c"), "--tls-cert and --tls-key belong together");
    assertWrong(run("--tls-client-ca", "c"), "--tls-client-ca needs --tls-cert and --tls-key");
    Path rules = folder.resolve("rules");
    Files.writeString(rules, "# nobody yet\nallow alice everything **\n");
    assertRefused(
        run("--tokens-file", rules.toString()),
        1,
        rules + ": line 2: 'everything' is not read, write or admin");
    Files.writeString(rules, "allow alice write **\n");
    for (String[] options :
        new String[][] {{"--insecure-no-auth"}, {"--tokens-file", rules.toString()}}) {
      List<String> all = new ArrayList<>(List.of("--listen", "0.0.0.0:0"));
      all.addAll(List.of(options));
      Path err = folder.resolve("err");
      Process server =
          command(Map.of(), all.toArray(new String[0])).redirectError(err.toFile()).start();
      try (BufferedReader out =
          new BufferedReader(
              new InputStreamReader(server.getInputStream(), StandardCharsets.UTF_8))) {
        String listening = line(out);
        assertTrue(listening.startsWith("memory-server listening on "), listening);
        assertTrue(Files.readString(err).contains("is not encrypted"), Files.readString(err));
      } finally {
        server.destroyForcibly();
      }
    }
  }

  @Test
  void anAddressThatCannotBeServedIsOneLineAndExitCode1() throws Exception {
    try (ServerSocket taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String address = "127.0.0.1:" + taken.getLocalPort();
      assertTrue(taken.getInetAddress() instanceof Inet4Address);
      Ended ended = run("--listen", address);
      assertEquals(1, ended.exitCode);
      assertTrue(
          ended.err.startsWith("memory-server: cannot listen on " + address + ": "), ended.err);
      assertTrue(ended.err.contains("Address already in use"), ended.err);
      assertEquals(1, ended.err.lines().count());
    }
    Path socket = folder.resolve("s");
    Files.writeString(socket, "precious");
    assertRefused(
        run("--listen", "unix:" + socket),
        1,
        "cannot listen on unix:" + socket + ": the file is there and is no socket");
    assertEquals("precious", Files.readString(socket));
    Files.delete(socket);
    try (ServerSocketChannel other = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      other.bind(UnixDomainSocketAddress.of(socket));
      assertRefused(
          run("--listen", "unix:" + socket),
          1,
          "cannot listen on unix:" + socket + ": another server does");
    }
  }

  @Test
  void aServerSaysWhereItListensAndStopsWhenAsked() throws Exception {
    Path socket = folder.resolve("s");
    try (ServerSocketChannel killed = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
      killed.bind(UnixDomainSocketAddress.of(socket)); // And leaves its file behind.
    }
    assertTrue(Files.exists(socket));
    Path config = folder.resolve("server.conf");
    Files.writeString(config, "listen = 127.0.0.1:1\nmetrics-listen = 127.0.0.1:0\n");
    Path err = folder.resolve("err");
    Process server =
        command(
                Map.of("GRPSQLITE_LISTEN", "127.0.0.1:2", "GRPSQLITE_LOG_LEVEL", "warn"),
                "--config",
                config.toString(),
                "--listen",
                "127.0.0.1:0",
                "--listen",
                "unix:" + socket)
            .redirectError(err.toFile())
            .start();
    try (BufferedReader out =
        new BufferedReader(
            new InputStreamReader(server.getInputStream(), StandardCharsets.UTF_8))) {
      String tcp = line(out);
      assertTrue(tcp.matches("memory-server listening on 127\\.0\\.0\\.1:\\d{2,5}"), tcp);
      assertEquals("memory-server listening on unix:" + socket, line(out));
      String metrics = line(out);
      assertTrue(metrics.matches("memory-server metrics on 127\\.0\\.0\\.1:\\d{2,5}"), metrics);
      server.destroy(); // SIGTERM
      assertTrue(server.waitFor(60, TimeUnit.SECONDS));
      assertEquals(0, server.exitValue());
    } finally {
      server.destroyForcibly();
    }
    assertEquals("", Files.readString(err));
    assertFalse(Files.exists(socket));
  }

  private static String line(BufferedReader out) throws IOException {
    String line = out.readLine();
    return line == null ? "the server ended" : line;
  }
}
