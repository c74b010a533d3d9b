package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.SocketTimeoutException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code grpsqlite import} and {@code export}: bytes, snapshots, refusals, kills. */
@Timeout(180)
class CommandImportTest {
  private static final String ROWS =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
          + " INSERT INTO t SELECT i, randomblob(3000) FROM n;";

  @TempDir Path folder;
  private Path source;

  @BeforeEach
  void names() {
    source = folder.resolve("a source?.db");
  }

  private Client client(Kind kind) throws Exception {
    return kind.client(folder);
  }

  private void make(Client client, int rows) throws Exception {
    client.localShell(source, "CREATE TABLE t (i, b); " + ROWS.formatted(rows)).ok();
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void whatIsImportedIsExportedByteForByte(Kind kind) throws Exception {
    Client client = client(kind);
    String name = "folder/" + Kind.freshName("imported");
    client
        .localShell(
            source,
            "PRAGMA page_size = 1024; CREATE TABLE t (i, b);"
                + ROWS.formatted(900)
                + " INSERT INTO t VALUES (0, zeroblob(300000)); DELETE FROM t WHERE i % 7 = 0;")
        .ok();
    String said = client.command("import", "--check=full", source.toString(), name).ok();
    assertTrue(said.startsWith(name + ": "), said);
    assertEquals(
        client.localShell(source, "SELECT count(*), sum(length(b)) FROM t;").ok(),
        client.shell(name, "SELECT count(*), sum(length(b)) FROM t;").ok());
    Path copy = folder.resolve("copy.db");
    client.command("export", name, copy.toString()).ok();
    assertEquals(-1, Files.mismatch(source, copy));

    Finished again = client.command("export", name, copy.toString());
    assertEquals(5, again.exit(), again.toString());
    client.command("export", "--replace", name, copy.toString()).ok();
    try (var files = Files.list(folder)) {
      assertTrue(files.noneMatch(file -> file.toString().endsWith(".part")));
    }
  }

  /** The relay sends it, if there is one. */
  @ParameterizedTest
  @ValueSource(strings = {"", "-Dgrpsqlite.home=/nowhere"})
  void aLargeOneIsExportedByteForByteWhoeverSendsIt(String javaOptions) throws Exception {
    try (ServerProcess server = ServerProcess.rocksdb(folder)) {
      Client client = new Client(folder, server.url());
      client
          .localShell(
              source,
              "PRAGMA page_size = 512; CREATE TABLE t (i, b);"
                  + ROWS.formatted(3000)
                  + " INSERT INTO t VALUES (0, zeroblob(3000000)); DELETE FROM t WHERE i % 7 = 1;")
          .ok();
      client = client.with("GRPSQLITE_JAVA_OPTS", javaOptions);
      client.command("import", "--check=full", source.toString(), "large.db").ok();
      Path copy = folder.resolve("copy.db");
      client.command("export", "large.db", copy.toString()).ok();
      assertEquals(-1, Files.mismatch(source, copy));
    }
  }

  @Test
  void ifWhatSendsIsKilledTheImportSaysSoAndLeavesNoName() throws Exception {
    try (ServerProcess server =
        ServerProcess.memory(folder, "--session-ttl-ms=1000", "--metrics-listen=127.0.0.1:0")) {
      Client client = new Client(folder, server.url());
      make(client, 24 * 350);
      boolean inTheMiddle = false;
      for (int round = 0; round < 5 && !inTheMiddle; round++) {
        String name = "killed-" + round + ".db";
        try (Program program = client.startCommand("import", source.toString(), name)) {
          Await.until(
              "something to be staged, or the end",
              Duration.ofMinutes(1),
              () -> server.metric("grpsqlite_staged_bytes", "") > 2 << 20 || !program.isAlive(),
              server::log);
          program.children().forEach(ProcessHandle::destroyForcibly);
          Finished finished = program.finish();
          inTheMiddle = finished.exit() == 1;
          if (!inTheMiddle) { // but later: before the commit was answered, or never
            assertTrue(finished.exit() == 0 || finished.exit() == 9, finished.toString());
          } else {
            assertTrue(finished.err().contains("ended in the middle"), finished.toString());
            Await.until(
                "the session to be over, and with it the name",
                Duration.ofMinutes(1),
                () -> client.command("ls", "--all", name).ok().isEmpty(),
                server::log);
          }
        }
      }
      assertTrue(inTheMiddle, "nothing was killed in its middle");
    }
  }

  @Test
  void aWriteAheadLogThatIsInUseIsPartOfTheDatabase() throws Exception {
    Client client = client(Kind.ROCKSDB);
    String name = Kind.freshName("wal");
    try (Program writer = client.start("sqlite3", "-batch", source.toString())) {
      writer.send(
          "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (i, b);"
              + ROWS.formatted(300)
              + "PRAGMA wal_checkpoint;"
              + "UPDATE t SET b = 'new' WHERE i % 3 = 0; DELETE FROM t WHERE i > 250;"
              + "BEGIN; INSERT INTO t VALUES (1000, 'kept'); COMMIT;\n.print ready\n");
      writer.readTo("ready");
      // Not committed: not there.
      assertTrue(Files.size(folder.resolve("a source?.db-wal")) > 0);
      client.command("import", source.toString(), name).ok();
      writer.send("INSERT INTO t VALUES (1001, 'later'); DELETE FROM t WHERE i = 1001;\n");
      assertEquals("", writer.finish().err());
    }
    String questions =
        "SELECT count(*), sum(i), count(*) FILTER (WHERE b = 'new') FROM t;"
            + "SELECT b FROM t WHERE i = 1000; PRAGMA integrity_check;";
    String expected = client.localShell(source, questions).ok();
    assertEquals(expected, client.shell(name, questions).ok());

    // Closed, it is one file, and its content has not changed since the import; but the log's
    // transactions after it moved on the counters. So once more, without them.
    client.localShell(source, "PRAGMA wal_checkpoint(TRUNCATE);").ok();
    String copied = Kind.freshName("wal");
    client.command("import", source.toString(), copied).ok();
    Path copy = folder.resolve("copy.db");
    client.command("export", copied, copy.toString()).ok();
    assertEquals(-1, Files.mismatch(source, copy));
    client.shell(copied, "INSERT INTO t VALUES (1002, 'remote');").ok();
    assertEquals("ok\n", client.shell(copied, "PRAGMA integrity_check;").ok());
  }

  @Test
  void whatIsNoDatabaseIsRefusedAndLeavesNoName() throws Exception {
    Client client = client(Kind.MEMORY);
    String name = Kind.freshName("refused");
    Path text = Files.writeString(folder.resolve("text"), "no database ".repeat(1000));
    assertRefused(client, 7, "is no SQLite database", text, name);
    assertRefused(client, 7, "it is empty", Files.createFile(folder.resolve("empty")), name);
    assertRefused(client, 4, "there is no file", folder.resolve("missing"), name);
    make(client, 50);
    byte[] bytes = Files.readAllBytes(source);
    Path cut = Files.write(folder.resolve("cut"), java.util.Arrays.copyOf(bytes, bytes.length / 2));
    assertRefused(client, 7, "is damaged", cut, name);
    bytes[4096 * 3] = 99;
    Path bent = Files.write(folder.resolve("bent"), bytes);
    Finished found = client.command("import", "--check=quick", bent.toString(), name);
    assertEquals(7, found.exit(), found.toString());
    assertEquals("", client.command("ls", "--all", name).ok());
  }

  @Test
  void whatIsNoDatabaseIsRefusedBeforeAServerIsWaitedFor() throws Exception {
    try (ServerSocket silent = new ServerSocket(0, 5, InetAddress.getLoopbackAddress())) {
      Client client = new Client(folder, "http://127.0.0.1:" + silent.getLocalPort());
      Path text = Files.writeString(folder.resolve("text"), "no database ".repeat(1000));
      assertRefused(client, 7, "is no SQLite database", text, "a.db");
      assertRefused(client, 4, "there is no file", folder.resolve("missing"), "a.db");
      silent.setSoTimeout(1);
      assertThrows(SocketTimeoutException.class, silent::accept, "it connected");
    }
  }

  private static void assertRefused(Client client, int exit, String why, Path file, String name)
      throws Exception {
    Finished refused = client.command("import", file.toString(), name);
    assertEquals(exit, refused.exit(), refused.toString());
    assertTrue(refused.err().contains(why), refused.toString());
  }

  @Test
  void whatAKilledWriterHadNotCommittedIsNotPartOfTheDatabase() throws Exception {
    Client client = client(Kind.MEMORY);
    String name = Kind.freshName("spilled");
    try (Program writer = client.start("sqlite3", "-batch", source.toString())) {
      writer.send(
          "PRAGMA journal_mode = wal; PRAGMA cache_size = 10; CREATE TABLE t (i, b);"
              + ROWS.formatted(100)
              + "BEGIN; UPDATE t SET b = randomblob(3000);"
              + ROWS.formatted(500)
              + "\n.print ready\n");
      writer.readTo("ready");
      assertTrue(Files.size(folder.resolve("a source?.db-wal")) > 1 << 20, "nothing was spilled");
      writer.kill();
    }
    client.command("import", source.toString(), name).ok();
    String questions = "SELECT count(*), sum(i), hex(max(b)) FROM t; PRAGMA integrity_check;";
    assertEquals(client.localShell(source, questions).ok(), client.shell(name, questions).ok());
    assertEquals("100\n", client.shell(name, "SELECT count(*) FROM t;").ok());
  }

  @Test
  void aFileThatAnotherIsWritingToIsRefused() throws Exception {
    Client client = client(Kind.MEMORY);
    String name = Kind.freshName("written");
    for (String mode : new String[] {"wal", "delete"}) {
      client.localShell(source, "PRAGMA journal_mode = " + mode).ok();
      try (Program writer = client.start("sqlite3", "-batch", source.toString())) {
        // A reader is in the way of nobody in WAL mode; who writes, of an import.
        writer.send("CREATE TABLE IF NOT EXISTS t (a); BEGIN EXCLUSIVE;\n.print ready\n");
        writer.readTo("ready");
        assertRefused(client, 5, "is locked by another program", source, name);
        writer.send("INSERT INTO t VALUES (1); COMMIT;\n");
        writer.finish().ok();
      }
    }
    client.command("import", source.toString(), name).ok();
    assertEquals("2\n", client.shell(name, "SELECT count(*) FROM t;").ok());
  }

  @Test
  void anExistingDatabaseIsReplacedOnlyOnDemandAndItsVersionsStay() throws Exception {
    Client client = client(Kind.VERSIONED);
    String name = Kind.freshName("replaced");
    client.shell(name, "CREATE TABLE old (x); INSERT INTO old VALUES (1);").ok();
    make(client, 10);
    assertRefused(client, 5, "exists already", source, name);
    assertEquals("1\n", client.shell(name, "SELECT x FROM old;").ok());

    client.command("import", "--replace", source.toString(), name).ok();
    assertEquals("10\n", client.shell(name, "SELECT count(*) FROM t;").ok());
    Path copy = folder.resolve("old.db");
    client.command("export", "--version=2", name, copy.toString()).ok();
    assertEquals("1\n", client.localShell(copy, "SELECT x FROM old;").ok());
  }

  @Test
  void killedInTheMiddleItLeavesNothingOrAll() throws Exception {
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    int mib = 24; // of which the server has some megabytes in memory, not yet in a file
    try (ServerProcess server = ServerProcess.rocksdb(folder)) {
      Client client = new Client(folder, server.url());
      make(client, mib * 350);
      long size = Files.size(source);
      Path data = folder.resolve("data");
      int nothing = 0;
      for (int round = 0; round < 3; round++) {
        String name = "killed-" + round + ".db";
        long target =
            Folders.sizeBytes(data)
                + (long) ((round == 0 ? 0.5 : 1.2 * random.nextDouble()) * size);
        try (Program program = client.startCommand("import", source.toString(), name)) {
          Await.until(
              "so much to be staged, or the end",
              Duration.ofMinutes(1),
              () -> Folders.sizeBytes(data) > target || !program.isAlive(),
              server::log);
          program.kill();
        }
        Finished listed = client.command("ls", name);
        if (listed.ok().isEmpty()) {
          nothing++;
        } else {
          Path copy = folder.resolve(name);
          client.command("export", name, copy.toString()).ok();
          assertEquals(-1, Files.mismatch(source, copy), "seed " + seed + ", round " + round);
        }
      }
      assertTrue(nothing > 0, "no import was killed in its middle; seed " + seed);
      // What is left of them is in nobody's way, their names included.
      client.command("import", "--replace", "--wait=30", source.toString(), "killed-0.db").ok();
      assertEquals("ok\n", client.shell("killed-0.db", "PRAGMA integrity_check;").ok());
    }
  }

  /** Nor a name, nor a session whose lease others would have to wait for: its relay ends that. */
  @ParameterizedTest
  @CsvSource({"MEMORY, KILL", "ROCKSDB, KILL", "ROCKSDB, INT"})
  void killedInTheMiddleItLeavesNoNameAndNoLease(Kind kind, String signal) throws Exception {
    try (ServerProcess server =
        kind.start(folder, "--session-ttl-ms=600000", "--metrics-listen=127.0.0.1:0")) {
      Client client = new Client(folder, server.url());
      make(client, 128 * 350); // takes long enough to be seen in its middle
      String name = "";
      boolean inTheMiddle = false;
      for (int round = 0; round < 5 && !inTheMiddle; round++) {
        name = "killed-" + round + ".db";
        try (Program program = client.startCommand("import", source.toString(), name)) {
          Await.until(
              "something to be staged, or the end",
              Duration.ofMinutes(1),
              () -> server.metric("grpsqlite_staged_bytes", "") > 2 << 20 || !program.isAlive(),
              server::log);
          if (signal.equals("KILL")) {
            program.kill();
          } else {
            program.signalAll(signal);
            Finished unused = program.finish();
          }
        }
        // Until then the name is there, without content. Afterwards it is there if all is.
        Await.until(
            "the killed import's session to end",
            Duration.ofMinutes(1),
            () -> server.metric("grpsqlite_sessions", "") == 0,
            server::log);
        String there = name;
        Await.until(
            "its name to be gone, or to have content",
            Duration.ofSeconds(30),
            () ->
                client.command("ls", "--all", there).ok().equals(client.command("ls", there).ok()),
            server::log);
        inTheMiddle = client.command("ls", "--all", name).ok().isEmpty();
      }
      assertTrue(inTheMiddle, "no import was killed in its middle");
      Finished stat = client.command("stat", name);
      assertEquals(4, stat.exit(), stat.toString());
      assertTrue(stat.err().contains("no database is called " + name), stat.toString());

      client.command("import", source.toString(), name).ok();
      Path copy = folder.resolve("copy.db");
      client.command("export", name, copy.toString()).ok();
      assertEquals(-1, Files.mismatch(source, copy));
    }
  }

  /** What the server had of it is gone, and the import begins again. */
  @Test
  void aServerThatIsKilledInTheMiddleHasAllOfItInTheEndAndNoGarbage() throws Exception {
    try (ServerProcess server = ServerProcess.rocksdb(folder)) {
      Client client = new Client(folder, server.url());
      make(client, 30 * 350);
      Path staged = folder.resolve("data/staged");
      int interrupted = 0;
      for (int round = 0; round < 5 && interrupted == 0; round++) {
        String name = "interrupted-" + round + ".db";
        try (Program program =
            client.startCommand("import", "--check=full", source.toString(), name)) {
          Await.until(
              "something to be staged, or the end",
              Duration.ofMinutes(1),
              () -> Folders.sizeBytes(staged) > 2 << 20 || !program.isAlive(),
              server::log);
          server.kill();
          interrupted += program.isAlive() ? 1 : 0;
          server.start();
          assertEquals("", program.finish().err());
        }
        Path copy = folder.resolve(name);
        client.command("export", name, copy.toString()).ok();
        assertEquals(-1, Files.mismatch(source, copy), "round " + round);
        assertEquals(0, Folders.sizeBytes(staged));
      }
      assertTrue(interrupted > 0, "no import was interrupted");
    }
  }

  @Test
  void aServerWithTheFileServiceAloneTakesWhatFitsIntoOneCommit() throws Exception {
    Client client = client(Kind.FILES);
    String name = Kind.freshName("small");
    make(client, 100);
    client.command("import", source.toString(), name).ok();
    assertEquals("100\n", client.shell(name, "SELECT count(*) FROM t;").ok());
    assertRefused(client, 5, "exists already", source, name);

    Finished notAtomic = client(Kind.FILES_NOT_ATOMIC).command("import", source.toString(), name);
    assertEquals(8, notAtomic.exit(), notAtomic.toString());
    client.localShell(source, ROWS.formatted(2000)).ok();
    assertRefused(client, 8, "at most 3.5 MiB", source, Kind.freshName("large"));
  }
}
