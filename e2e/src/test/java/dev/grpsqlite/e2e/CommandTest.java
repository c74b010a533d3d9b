package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code grpsqlite}: each command, its JSON and its exit codes, on a real server. */
@Timeout(180)
class CommandTest {
  private static final String DATABASE_SHAPE =
      "name id version oldest_version page_size page_count bytes created_at committed_at retention"
          + " forked_from forked_at_version";

  @TempDir Path folder;
  private Client client;

  @BeforeEach
  void connect() throws Exception {
    client = Kind.VERSIONED.client(folder);
  }

  /** The names in an answer, in their order. */
  private static String shape(String json) {
    assertEquals(1, json.lines().count(), json);
    Matcher names = Pattern.compile("\"(\\w+)\": ").matcher(json);
    return String.join(" ", names.results().map(found -> found.group(1)).toList());
  }

  private static String value(String json, String name) {
    Matcher found = Pattern.compile("\"" + name + "\": \"?([^,\"}]*)").matcher(json);
    assertTrue(found.find(), json);
    return found.group(1);
  }

  @Test
  void databasesAreListedShownForkedRestoredAndRemoved() throws Exception {
    String name = Kind.freshName("looked-after");
    client.shell(name, "CREATE TABLE t (x); INSERT INTO t VALUES (1); DELETE FROM t;").ok();

    assertEquals(name + "\n", client.command("ls", name).ok());
    String listed = client.command("ls", "--json", name).ok();
    assertEquals("databases " + DATABASE_SHAPE, shape(listed));
    String stat = client.command("stat", "--json", name).ok();
    assertEquals(DATABASE_SHAPE, shape(stat));
    assertEquals("3", value(stat, "version"));
    assertEquals("8192", value(stat, "bytes"));

    String history = client.command("--json", "history", "--limit=1", name).ok();
    assertEquals(
        "name versions version committed_at pages_changed page_size page_count", shape(history));
    assertEquals("3", value(history, "version"));
    assertEquals(4, client.command("history", name).ok().lines().count());

    String fork = client.command("fork", "--json", "--version=2", name, name + "-fork").ok();
    assertEquals(DATABASE_SHAPE, shape(fork));
    assertEquals(name, value(fork, "forked_from"));
    assertEquals("1\n", client.shell(name + "-fork", "SELECT x FROM t;").ok());
    assertEquals(5, client.command("fork", name, name + "-fork").exit());

    String restored = client.command("restore", "--json", "--version=2", name).ok();
    assertEquals("name version", shape(restored));
    assertEquals("4", value(restored, "version"));
    assertEquals("1\n", client.shell(name, "SELECT x FROM t;").ok());

    Finished unasked = client.command("rm", name);
    assertEquals(2, unasked.exit(), unasked.toString());
    assertEquals("name removed", shape(client.command("rm", "--json", "--force", name).ok()));
    Finished gone = client.command("stat", "--json", name);
    assertEquals(4, gone.exit());
    assertEquals("error kind reason", shape(gone.err()));
    assertEquals("NO_SUCH_DATABASE", value(gone.err(), "reason"));
  }

  @Test
  void importAndExportAnswerInJson() throws Exception {
    Path source = folder.resolve("source.db");
    client.localShell(source, "CREATE TABLE t (x);").ok();
    String name = Kind.freshName("json");
    String imported = client.command("import", "--json", source.toString(), name).ok();
    assertEquals("name version page_size page_count bytes seconds", shape(imported));
    assertEquals("1", value(imported, "version"));
    String file = folder.resolve("copy.db").toString();
    String exported = client.command("export", "--json", name, file).ok();
    assertEquals("name file version page_size page_count bytes seconds", shape(exported));
    assertEquals("8192", value(exported, "bytes"));
    String at = value(client.command("stat", "--json", name).ok(), "committed_at");
    client.command("export", "--replace", "--at", at, name, file).ok();
    assertEquals(-1, Files.mismatch(source, Path.of(file)));
  }

  @Test
  void aDatabaseMayBeCalledAsACommandIs() throws Exception {
    Path source = folder.resolve("source.db");
    client.localShell(source, "CREATE TABLE t (x);").ok();
    client.command("import", source.toString(), "export").ok();
    client.command("fork", "export", "rm").ok();
    assertEquals("rm", value(client.command("stat", "--json", "rm").ok(), "name"));
    client.command("rm", "rm", "--force").ok();
    client.command("rm", "export", "--force").ok();
  }

  @Test
  void theShellIsTheStockOne() throws Exception {
    String name = Kind.freshName("file:a \"shell?x");
    assertEquals("3\n", client.command("shell", name, "CREATE TABLE t (x); SELECT 1 + 2;").ok());
    assertEquals(
        "1;2\n", client.command("shell", name, "--", "-separator", ";", "SELECT 1, 2;").ok());
    try (Program shell = client.startCommand("shell", name)) {
      shell.send("SELECT count(*) FROM sqlite_schema;\n");
      assertEquals("1\n", shell.finish().ok());
    }
    Finished failed = client.command("shell", name, "SELECT * FROM missing;");
    assertEquals(1, failed.exit(), failed.toString());
    assertTrue(
        client.command("shell", "--readonly", name, "DROP TABLE t;").failed().contains("readonly"));
    assertEquals(name + "\0\n", client.command("ls", "-0", name).ok()); // what it reads ends so
  }

  @Test
  void wrongUsageAndMissingServersAreSaidInASentence() throws Exception {
    assertEquals(2, client.command("lst").exit());
    Finished nothing = client.command();
    assertEquals(2, nothing.exit(), nothing.toString());
    for (String command : List.of("shell", "import", "export", "ls", "rm", "doctor")) {
      assertTrue(nothing.err().contains("\n  " + command + " "), nothing.err());
    }
    assertEquals(2, client.command("restore", "x").exit());
    assertEquals(2, client.command("export", "--version=1", "--at=now", "x", "y").exit());
    assertEquals(2, client.command("--server=ftp://x", "ls").exit());
    // Port 1 is nobody's.
    Finished nobody = client.command("--server", "http://127.0.0.1:1", "ls");
    assertEquals(3, nobody.exit(), nobody.toString());
    assertTrue(nobody.err().startsWith("grpsqlite: no server at http://127.0.0.1:1"), nobody.err());
    assertEquals(1, nobody.err().lines().count(), nobody.err());
    Finished ill = client.command("--server", "http://127.0.0.1:1", "--json", "doctor");
    assertEquals(1, ill.exit(), ill.toString());
    assertTrue(ill.out().contains("\"ok\": false"), ill.toString());
  }

  /** Wherever {@code --json} stands. */
  @Test
  void wrongUsageIsSaidInJsonToo() throws Exception {
    for (List<String> line :
        List.of(
            List.of("--json"),
            List.of("history", "x", "--limit", "abc", "--json"),
            List.of("export", "x", "y", "--version=z", "--json"))) {
      Finished wrong = client.command(line.toArray(new String[0]));
      assertEquals(2, wrong.exit(), wrong.toString());
      assertEquals("error kind reason", shape(wrong.err()));
    }
  }

  /** Its answer comes too late, at the latest when it is asked for again. */
  @Test
  void aChangeThatIsNotAnsweredMayBeDone() throws Exception {
    String name = Kind.freshName("unanswered");
    client.shell(name, "CREATE TABLE t (x);").ok();
    for (List<String> line :
        List.of(
            List.of("restore", name, "--version=0", "--json"),
            List.of("fork", name, name + "-fork", "--json"),
            List.of("rm", name, "--force", "--json"))) {
      Finished unknown =
          client.with("GRPSQLITE_TIMEOUT_MS", "1").command(line.toArray(new String[0]));
      assertEquals(9, unknown.exit(), unknown.toString());
      assertEquals("UNKNOWN", value(unknown.err(), "kind"));
    }
  }

  @Test
  void anExportOverwritesFilesAlone() throws Exception {
    String name = Kind.freshName("targets");
    client.shell(name, "CREATE TABLE t (x);").ok();
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("nowhere"));
    assertEquals(5, client.command("export", name, link.toString()).exit());
    assertTrue(Files.isSymbolicLink(link));
    Path pipe = folder.resolve("pipe");
    client.run("", "mkfifo", pipe.toString()).ok();
    assertEquals(2, client.command("export", "--replace", name, pipe.toString()).exit());
    assertFalse(Files.isRegularFile(pipe));
  }

  @Test
  void namesAreWhatTheyAreWithoutALocale() throws Exception {
    Client anywhere = client.with("LC_ALL", "C");
    Path source = folder.resolve("source.db");
    client.localShell(source, "CREATE TABLE t (x);").ok();
    String name = Kind.freshName("gr\u00f6\u00dfe");
    anywhere.command("import", source.toString(), name).ok();
    assertEquals(name, value(client.command("stat", "--json", name).ok(), "name"));
  }

  @Test
  void theDoctorDoesNotMindWhatTheUsersShellShows() throws Exception {
    Path settings = Files.writeString(folder.resolve("sqliterc"), ".print hello\n.headers on\n");
    Path program = folder.resolve("bin/sqlite3");
    Files.createDirectory(program.getParent());
    String found = client.run("", "bash", "-c", "command -v sqlite3").ok().strip();
    Files.writeString(program, "#!/bin/sh\nexec " + found + " -init " + settings + " \"$@\"\n");
    assertTrue(program.toFile().setExecutable(true));
    String path = program.getParent() + ":" + System.getenv("PATH");
    assertTrue(
        client.with("PATH", path).command("doctor").out().contains("ok   extension"), "doctor");
  }

  @Test
  void theDoctorSaysWhatWorks() throws Exception {
    String json = client.command("doctor", "--json").ok();
    assertTrue(json.startsWith("{\"ok\": true, \"checks\": ["), json);
    for (String check :
        List.of("library", "sqlite3", "extension", "server", "versions", "token", "round trip")) {
      assertTrue(json.contains("{\"check\": \"" + check + "\", \"ok\": true, "), json);
    }
  }

  @Test
  void aTokenComesFromAFileAndIsNeverShown() throws Exception {
    Path rules =
        Files.writeString(
            folder.resolve("rules"),
            """
            token 00000000000000000000000000000000000000000000000000000000000000ff nobody
            allow nobody read **
            """);
    try (ServerProcess server = ServerProcess.memory(folder, "--tokens-file", rules.toString())) {
      Client known = new Client(folder, server.url());
      Path token = Files.writeString(folder.resolve("token"), "not-the-secret\n");
      for (String option : List.of("--token-file=" + token, "--token=not-the-secret")) {
        Finished refused = known.command(option, "ls");
        assertEquals(6, refused.exit(), refused.toString());
        assertFalse(refused.toString().contains("not-the-secret"), refused.toString());
      }
      Finished wrong = known.command("ls", "--token", "not-the-secret", "--nonsense");
      assertEquals(2, wrong.exit());
      assertFalse(wrong.toString().contains("not-the-secret"), wrong.toString());
      Finished ill = known.command("doctor", "--token-file=" + token);
      assertTrue(ill.out().contains("BAD  token"), ill.toString());
      Finished none = known.command("doctor", "--token-file=missing");
      assertEquals(1, none.exit(), none.toString());
      assertTrue(
          none.out().contains("BAD  token       there is no token file missing"), none.out());
    }
  }

  @Test
  void benchMeasuresAndLeavesNothing() throws Exception {
    String json = client.command("bench", "--json", "--seconds=1", "--mib=1").ok();
    assertEquals(
        "server round_trip_ms p50 p99 upload_mib_per_s download_mib_per_s page_read_ms p50 p99"
            + " commit_ms p50 p99",
        shape(json));
    assertEquals("", client.command("ls", "--all", "grpsqlite-bench-").ok());
  }

  @Test
  void aServerIsStartedAndBashCompletes() throws Exception {
    try (Program server = client.startCommand("serve", "memory", "--listen", "127.0.0.1:0")) {
      String line = server.line();
      assertTrue(line != null && line.startsWith("memory-server listening on "), line);
      server.signal("TERM");
      assertEquals(0, server.finish().exit());
    }
    Finished unknown = client.command("serve", "punchcards");
    assertEquals(2, unknown.exit(), unknown.toString());
    assertTrue(unknown.err().contains("memory, rocksdb, versioned"), unknown.err());

    Path script = Files.writeString(folder.resolve("complete"), client.command("completion").ok());
    String asked =
        "source "
            + script
            + "; COMP_WORDS=(grpsqlite exp); COMP_CWORD=1; _complete_grpsqlite 2>/dev/null; echo ${COMPREPLY[@]}";
    assertEquals("export\n", client.run("", "bash", "-c", asked).ok());
  }

  @Test
  void theManualHasTheSettingsThatTheServersHave() throws Exception {
    assertEquals(
        "",
        client.run("", Dist.root().resolve("scripts/settings-table").toString(), "--check").ok());
  }
}
