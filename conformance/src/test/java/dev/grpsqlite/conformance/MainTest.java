package dev.grpsqlite.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.proto.file.AcquireLeaseResponse;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.server.launch.ServerOptions;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** {@code grpsqlite-conformance} as a command: what it prints, writes and leaves behind. */
@Timeout(120)
class MainTest {
  @TempDir Path folder;

  private record Ended(int exitCode, String out, String err) {}

  private static Ended run(String... arguments) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int exitCode =
        new Main(
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8))
            .run(arguments);
    return new Ended(
        exitCode, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  private static void assertWrong(String line, String... arguments) throws Exception {
    assertEquals(
        new Ended(
            Main.WRONG_USE, "", "grpsqlite-conformance: " + line + " (--help shows all options)\n"),
        run(arguments));
  }

  @Test
  void wrongUseIsOneLineAndExitCode2() throws Exception {
    assertWrong("--target is HOST:PORT, not ");
    assertWrong("--target is HOST:PORT, not nowhere", "--target", "nowhere");
    assertWrong("Unknown option: '--colour'", "--colour");
    assertWrong("--rules: there is no rule FILE-00", "--rules", "FILE-01,FILE-00");
    assertWrong(
        "--tls-cert and --tls-key belong together", "--target", "h:1", "--tls-cert", "c.pem");
    Path known = folder.resolve("known");
    for (String[] wrong :
        new String[][] {
          {"# one\nFILE-00 because", ":2: there is no rule FILE-00"},
          {"FILE-01", ":1: FILE-01 needs a reason"},
          {"FILE-01 a\nFILE-01 b", ":2: FILE-01 is there already"}
        }) {
      Files.writeString(known, wrong[0]);
      assertWrong(known + wrong[1], "--known-failures", known.toString());
    }
    assertEquals(0, run("--help").exitCode);
    assertTrue(run("--help").out.contains("Exit codes: 0 "), run("--help").out);
  }

  @Test
  void noServerIsOneLineAndExitCode3() throws Exception {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Ended ended = run("--target", "127.0.0.1:" + port);
    assertEquals(Main.NO_SERVER, ended.exitCode);
    assertTrue(
        ended.err.startsWith("grpsqlite-conformance: no server at 127.0.0.1:" + port + ": "),
        ended.err);
    assertTrue(ended.err.contains("refused"), ended.err);
    assertEquals(1, ended.err.lines().count(), ended.err);

    try (GoodServer server =
        new GoodServer("memory", folder, ServerOptions.DEFAULTS.withAtomicBatch(false))) {
      Ended none = run("--target", server.address(), "--service", "page");
      assertEquals(
          "grpsqlite-conformance: the server at " + server.address() + " has no page service\n",
          none.err);
      assertEquals(Main.NO_SERVER, none.exitCode);
      assertEquals(Main.WRONG_USE, run("--target", server.address(), "--service", "mail").exitCode);
    }
  }

  @Test
  void resultsAreTextAndXml() throws Exception {
    Path xml = folder.resolve("results.xml");
    try (GoodServer good = new GoodServer("memory", folder, ServerOptions.DEFAULTS);
        Target channel = good.target();
        FaultyServer server = new FaultyServer(faulty(channel));
        Target address = server.target()) {
      Path known = folder.resolve("known");
      Files.writeString(known, "# This one's author knows.\nFILE-05 leases of a & b <are> one\n");
      List<String> arguments =
          new ArrayList<>(
              List.of("--target", address.address(), "--junit-xml", xml.toString(), "--rules"));
      Ended ended = run(with(arguments, "FILE-01,FILE-02,FILE-05,FILE-45"));
      assertEquals(Main.NOT_KEPT, ended.exitCode, ended.err);
      assertTrue(ended.out.contains("\nok      FILE-01  GetCapabilities "), ended.out);
      assertTrue(
          ended.out.contains(
              "\nFAILED  FILE-02  AcquireLease of a database that does not exist makes it, empty,"
                  + " and answers a lease_id of 1 to 255 bytes.\n                 the lease_id has"
                  + " 300 bytes\n"),
          ended.out);
      assertTrue(ended.out.contains("\n-       FILE-45  for servers with no atomic_batch\n"));
      assertTrue(ended.out.contains("\n1 passed, 2 failed, 1 not for this server; "), ended.out);

      Ended knowing =
          run(with(arguments, "FILE-01,FILE-05,FILE-45", "--known-failures", known.toString()));
      assertEquals(Main.KEPT, knowing.exitCode, knowing.out);
      assertTrue(knowing.out.contains("\nknown   FILE-05  "), knowing.out);
      assertXml(xml, 3, 0, 2, "known: leases of a & b <are> one: ");

      Files.writeString(known, "FILE-01 was so once\n");
      Ended fixed = run(with(arguments, "FILE-01", "--known-failures", known.toString()));
      assertEquals(Main.NOT_KEPT, fixed.exitCode, fixed.out);
      assertTrue(fixed.out.contains("\nFIXED   FILE-01  "), fixed.out);
      assertXml(xml, 1, 1, 0, "FIXED: it is kept, but the known-failures file says: was so once");
    }
  }

  private static Faults faulty(Target good) {
    return new Faults(good.channel())
        .told(
            GrpsqliteGrpc.getAcquireLeaseMethod(),
            answer -> AcquireLeaseResponse.newBuilder().setLeaseId("x".repeat(300)).build());
  }

  private static String[] with(List<String> arguments, String... more) {
    List<String> all = new ArrayList<>(arguments);
    all.addAll(List.of(more));
    return all.toArray(new String[0]);
  }

  private static void assertXml(Path file, int tests, int failures, int skipped, String message)
      throws Exception {
    Element suite =
        DocumentBuilderFactory.newInstance()
            .newDocumentBuilder()
            .parse(file.toFile())
            .getDocumentElement();
    assertEquals(Integer.toString(tests), suite.getAttribute("tests"));
    assertEquals(Integer.toString(failures), suite.getAttribute("failures"));
    assertEquals(Integer.toString(skipped), suite.getAttribute("skipped"));
    NodeList details = suite.getElementsByTagName(failures > 0 ? "failure" : "skipped");
    String first = ((Element) details.item(0)).getAttribute("message");
    assertTrue(first.startsWith(message), first);
  }

  @Test
  void noDatabaseIsLeftBehind() throws Exception {
    try (GoodServer server = new GoodServer("versioned", folder, ServerOptions.DEFAULTS);
        Target target = server.target()) {
      String rules = "FILE-02,FILE-11,PAGE-11,PAGE-50,PAGE-61,ADMIN-01,ADMIN-20,ADMIN-22";
      Ended ended = run("--target", server.address(), "--rules", rules);
      assertEquals(Main.KEPT, ended.exitCode, ended.out);
      assertEquals(
          List.of(),
          AdminGrpc.newBlockingStub(target.channel())
              .listDatabases(ListDatabasesRequest.getDefaultInstance())
              .getDatabasesList());
    }
  }

  @Test
  void aServerThatHangsEndsARunInTime() throws Exception {
    try (GoodServer good = new GoodServer("memory", folder, ServerOptions.DEFAULTS);
        Target channel = good.target();
        FaultyServer server =
            new FaultyServer(
                new Faults(channel.channel())
                    .on(
                        GrpsqliteGrpc.getGetFileSizeMethod(),
                        (request, next) -> {
                          Trial.pause(1000 * (Target.CALL_SECONDS + 60));
                          throw io.grpc.Status.CANCELLED.asRuntimeException();
                        }));
        Target target = server.target();
        Run run = new Run(target)) {
      long start = System.nanoTime();
      List<Result> results =
          run.check(
              Main.selected("FILE-02"), Set.of(Service.FILE), KnownFailures.NONE, result -> {});
      assertEquals(Result.Kind.FAILED, results.get(0).kind());
      assertTrue(results.get(0).detail().contains("DEADLINE_EXCEEDED"), results.get(0).detail());
      assertTrue(System.nanoTime() - start < 40_000_000_000L);
    }
  }
}
