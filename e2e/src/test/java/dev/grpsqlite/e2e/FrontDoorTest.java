package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a newcomer does first. */
class FrontDoorTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"memory-server", "rocksdb-server"})
  void aServerStartsThroughALinkFromAnyFolder(String server) throws Exception {
    Path link = folder.resolve("a link");
    Files.createSymbolicLink(link, folder.relativize(Dist.server(server)));
    assertTrue(run(Map.of(), link.toString(), "--help").ok().contains("--listen"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"memory-server", "rocksdb-server"})
  void theDistributionCanBeMoved(String server) throws Exception {
    Path moved = folder.resolve("some where");
    run(Map.of(), "cp", "-r", Dist.root().resolve("dist").toString(), moved.toString()).ok();
    assertTrue(run(Map.of(), moved + "/bin/" + server, "--help").ok().contains("--listen"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"memory-server", "rocksdb-server"})
  void aWrongOptionIsOneClearLineAndExit2(String server) throws Exception {
    Finished run = run(Map.of(), Dist.server(server).toString(), "--lisen", "127.0.0.1:0");
    assertEquals(2, run.exit(), run.toString());
    assertEquals(1, run.err().lines().count(), run.toString());
    assertTrue(run.err().contains("--lisen"), run.toString());
  }

  @Test
  void aJavaHomeWithoutJavaIsNamed() throws Exception {
    Finished run =
        run(Map.of("JAVA_HOME", "/no/java/here"), Dist.server("memory-server").toString());
    assertEquals(2, run.exit(), run.toString());
    assertTrue(run.err().contains("/no/java/here"), run.toString());
  }

  @Test
  void whatTheReadmeSaysToTypeWorks() throws Exception {
    String url = Kind.ROCKSDB.server().url();
    List<String> commands = readme("sh").stream().filter(c -> c.startsWith("sqlite3")).toList();
    assertEquals(4, commands.size(), commands.toString());
    for (int n = 1; n <= 2; n++) {
      Finished visit = inRoot(url, "/bin/sh", "-c", commands.get(0));
      assertEquals(n, visit.ok().lines().count(), visit.toString());
    }
    String local = folder.resolve("local.db").toString();
    new Client(folder, url).localShell(Path.of(local), "CREATE TABLE t (x);").ok();
    inRoot(url, "/bin/sh", "-c", commands.get(1).replace("local.db", local)).ok();

    String python =
        readme("python").get(0) + "print(db.execute('SELECT count(*) FROM t').fetchone())";
    assertEquals("(0,)\n", inRoot(url, "/usr/bin/python3", "-c", python).ok());
  }

  @Test
  void whatTheReadmeSaysOfTimeTravelWorks() throws Exception {
    List<String> commands = readme("sh").stream().filter(c -> c.startsWith("sqlite3")).toList();
    try (ServerProcess server = Kind.VERSIONED.start(folder)) {
      inRoot(server.url(), "/bin/sh", "-c", commands.get(0)).ok();
      inRoot(server.url(), "/bin/sh", "-c", commands.get(0)).ok();
      String history = inRoot(server.url(), "/bin/sh", "-c", commands.get(2)).ok();
      List<String> versions = history.lines().map(line -> line.split("\\|", -1)[0]).toList();
      assertEquals(List.of("3", "2", "1", "0"), versions);
      String dump = inRoot(server.url(), "/bin/sh", "-c", commands.get(3)).ok();
      assertTrue(dump.contains("CREATE TABLE visit") && !dump.contains("INSERT"), dump);

      String time = history.lines().skip(1).findFirst().orElseThrow().split("\\|", -1)[1];
      String sql = readme("sql").get(0).replace("2026-01-31T10:00:00Z", time);
      Client client = new Client(folder, server.url());
      String deleted =
          "DELETE FROM visit;" + sql.replaceFirst("PRAGMA", "SELECT count(*) FROM visit; PRAGMA");
      assertEquals(
          "1\n6\n0\n", client.shell("main.db", deleted + "SELECT count(*) FROM visit;").ok());
    }
  }

  /** The README's blocks in one language. */
  private static List<String> readme(String language) throws Exception {
    Matcher block =
        Pattern.compile("```" + language + "\n(.*?)```", Pattern.DOTALL)
            .matcher(Files.readString(Dist.root().resolve("README.md")));
    List<String> blocks = new ArrayList<>();
    while (block.find()) {
      blocks.add(block.group(1));
    }
    return blocks;
  }

  private static Finished inRoot(String url, String... command) throws Exception {
    try (Program program =
        Program.start(Dist.root(), Map.of("GRPSQLITE_URL", url), List.of(command))) {
      return program.finish();
    }
  }

  private Finished run(Map<String, String> environment, String... command) throws Exception {
    try (Program program = Program.start(folder, environment, List.of(command))) {
      return program.finish();
    }
  }

  @Test
  void theCountAtTheEndOfMakeTestCounts() throws Exception {
    Path reports = Files.createDirectories(folder.resolve("some-module/target/surefire-reports"));
    Path report = reports.resolve("TEST-one.xml");
    Files.writeString(
        report,
        """
        <testsuite>
          <testcase classname="A" name="good"/>
          <testcase classname="A" name="left out"><skipped message="no such data"/></testcase>
        </testsuite>
        """);
    String count = Dist.root().resolve("scripts/count-tests").toString();
    assertEquals(
        "skipped  A: left out: no such data\n1 passed, 0 failed, 1 skipped\n",
        run(Map.of(), count, "0").ok());

    Finished broken = run(Map.of(), count, "1");
    assertEquals(1, broken.exit());
    assertTrue(broken.out().endsWith("1 passed, 1 failed, 1 skipped\n"), broken.out());

    Files.writeString(
        report,
        "<testsuite><testcase classname='A' name='bad'><failure message='why'/></testcase>"
            + "</testsuite>");
    Finished failed = run(Map.of(), count, "1");
    assertEquals(1, failed.exit());
    assertEquals("FAILED   A: bad: why\n0 passed, 1 failed, 0 skipped\n", failed.out());

    Files.delete(report);
    assertEquals(1, run(Map.of(), count, "0").exit(), "nothing ran");
  }
}
