package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Every version that is kept is as it was; what is not kept is said to be gone. */
class HistoryTest {
  private static final int COMMITS = 2000;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void p6_everyRetainedVersionIsWhatWasCommitted(Kind kind) throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    System.out.println(kind + ": -Dgrpsqlite.seed=" + seed);
    try (ServerProcess server = kind.start(Folders.make("history"), "--retention", "forever")) {
      Client client = new Client(folder, server.url());
      client.python("versions.py", "work", "h.db", "" + COMMITS, "" + seed, "manifest").ok();
      if (kind != Kind.VERSIONED) {
        server.kill();
        server.start();
      }
      List<String> copies = Files.readAllLines(folder.resolve("manifest"));
      assertTrue(copies.size() >= COMMITS * 0.9, copies.size() + " copies");
      try (Program comparing =
          client.startPython("versions.py", "compare", "h.db", "manifest", "0")) {
        assertEquals(copies.size() + "\n", comparing.finish(Duration.ofMinutes(10)).ok());
      }
    }
  }

  /**
   * A few versions are kept. A transaction that began before keeps reading its own all the same,
   * until its process is killed; then what it kept is collected.
   */
  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void p6_whatIsOutOfRetentionIsGoneUnlessATransactionReadsIt(Kind kind) throws Exception {
    int kept = 20;
    Path folderOfServer = Folders.make("history");
    try (ServerProcess server = kind.start(folderOfServer, "--retention", kept + "versions")) {
      Client client = new Client(folder, server.url());
      client
          .shell(
              "r.db",
              """
              CREATE TABLE t (n INTEGER PRIMARY KEY, generation, pad);
              INSERT INTO t SELECT value, 0, randomblob(4000) FROM generate_series(1, 500);
              """)
          .ok();
      long pinned = head(client, "r.db");
      try (Session reader = Session.open(client, "file:r.db?mode=ro")) {
        reader.answer("PRAGMA cache_size=1");
        reader.answer("BEGIN");
        assertEquals("0\n", reader.answer("SELECT generation FROM t WHERE n = 1"));
        for (int generation = 1; generation <= 3 * kept; generation++) {
          client
              .shell(
                  "r.db", "UPDATE t SET generation = " + generation + ", pad = randomblob(4000);")
              .ok();
        }
        long head = head(client, "r.db");
        // The versions between the pinned one and the retained ones need not go; those before it
        // do.
        Await.until(
            "what is below the pinned version to be collected",
            Duration.ofMinutes(2),
            () -> oldest(client, "r.db") >= pinned);
        assertTooOld(client, "file:r.db?version=" + (pinned - 1));
        assertTrue(canOpen(client, "file:r.db?version=" + (head - kept)), "a retained one");
        assertEquals(
            "500|0\n",
            reader.answer("SELECT count(*), max(generation) FROM t WHERE length(pad)=4000"));
        assertEquals(pinned + "\n", reader.answer("PRAGMA grpsqlite_version"));
        long sizeBefore = Folders.sizeBytes(folderOfServer);
        reader.program().kill();
        Await.until(
            "what the killed reader kept to be collected",
            Duration.ofMinutes(2),
            () -> oldest(client, "r.db") >= head - kept);
        assertTooOld(client, "file:r.db?version=" + (head - kept - 1));
        assertTrue(canOpen(client, "file:r.db?version=" + (head - kept)), "a retained one");
        assertTooOld(client, "file:r.db?version=" + pinned);
        if (kind == Kind.ROCKSDB) {
          // Of 61 generations of 2 MB, 21 stay.
          Await.until(
              "the space to come back",
              Duration.ofMinutes(2),
              () -> Folders.sizeBytes(folderOfServer) < sizeBefore / 2,
              () -> sizeBefore + " bytes before");
        }
      }
      assertEquals("ok\n", client.shell("r.db", "PRAGMA integrity_check;").ok());
    }
  }

  private static long head(Client client, String database) throws Exception {
    return Long.parseLong(
        client.shell("--readonly " + database, "PRAGMA grpsqlite_version;").ok().strip());
  }

  /** Asking for it keeps nothing, as opening it would. */
  private static long oldest(Client client, String database) throws Exception {
    return Long.parseLong(
        client
            .shell("--readonly " + database, "SELECT min(version) FROM grpsqlite_history;")
            .ok()
            .strip());
  }

  private static boolean canOpen(Client client, String database) throws Exception {
    return client.shell(database, "SELECT count(*) FROM t;").exit() == 0;
  }

  private static void assertTooOld(Client client, String database) throws Exception {
    // What the shell says of a database that it cannot open is SQLite's own; this tells why.
    String error = client.shell(database, "SELECT grpsqlite_last_error();").failed();
    assertTrue(error.contains("too old"), error);
  }
}
