package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The example backends, as their READMEs say: built, started, checked by the kit, and used. */
@Timeout(600)
class ExamplesTest {
  /** Go compiles all of gRPC when it is asked for the first time. */
  private static final Duration BUILD = Duration.ofMinutes(5);

  @TempDir Path folder;

  @Test
  void theBackendInPython() throws Exception {
    assumeTrue(
        run("/usr/bin/python3 -c 'import grpc, grpc_tools.protoc'").exit() == 0,
        "there is no python3-grpcio or no python3-grpc-tools");
    List<String> blocks = blocks("backend-python");
    // The system's Python, whatever else is called so on the PATH.
    blocks.replaceAll(block -> block.replace("python3 ", "/usr/bin/python3 "));
    prepared(blocks);
    try (Program server = started(blocks)) {
      assertTrue(server.isAlive());
      kept(run(blocks.get(2)));
    }
  }

  @Test
  void theBackendInGoWhichIsKilled() throws Exception {
    assumeTrue(run("go version").exit() == 0, "there is no Go");
    Finished modules = run("cd examples/backend-go && go mod download");
    assumeTrue(modules.exit() == 0, "the modules of Go cannot be fetched: " + modules.err());
    List<String> blocks = blocks("backend-go");
    String data = folder.resolve("data").toString();
    blocks.replaceAll(block -> block.replace("build/backend-go.db", data));
    prepared(blocks);
    try (Program server = started(blocks)) {
      kept(run(blocks.get(2)));
      server.kill();
    }
    try (Program server = started(blocks)) {
      String visit = blocks.get(2).substring(blocks.get(2).indexOf("GRPSQLITE_URL"));
      assertEquals("2\n", run(visit).ok(), "after it was killed");
      assertTrue(server.isAlive());
    }
  }

  private void prepared(List<String> blocks) throws Exception {
    assertEquals(3, blocks.size(), blocks.toString());
    Finished built = run(blocks.get(0));
    assertEquals(0, built.exit(), built.toString());
  }

  private Program started(List<String> blocks) throws Exception {
    Program server =
        Program.start(Dist.root(), Map.of(), List.of("/bin/sh", "-c", "exec env " + blocks.get(1)));
    String line = server.line();
    assertTrue(line != null && line.contains(" listening on 127.0.0.1:"), line);
    return server;
  }

  /** The kit's answer, and that of sqlite3. */
  private static void kept(Finished run) {
    assertEquals(0, run.exit(), run.toString());
    assertTrue(run.out().contains(" passed, 0 failed"), run.toString());
    assertFalse(run.out().contains("the page service"), run.toString());
    assertTrue(run.out().endsWith("\n1\n"), run.toString());
  }

  private static Finished run(String command) throws Exception {
    try (Program program =
        Program.start(Dist.root(), Map.of(), List.of("/bin/sh", "-ec", command))) {
      return program.finish(BUILD);
    }
  }

  /** What an example's README says to type, but for the port. */
  private static List<String> blocks(String example) throws IOException {
    int port;
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = free.getLocalPort();
    }
    Path readme = Dist.root().resolve("examples").resolve(example).resolve("README.md");
    Matcher block =
        Pattern.compile("```sh\n(.*?)```", Pattern.DOTALL).matcher(Files.readString(readme));
    List<String> blocks = new ArrayList<>();
    while (block.find()) {
      blocks.add(block.group(1).strip().replace("50051", Integer.toString(port)));
    }
    return blocks;
  }
}
