package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two servers over one FoundationDB cluster, of which one after the other is killed at random, and
 * one is always there. Whoever works on a database by both of them does not notice.
 */
class TwoServersTest {
  private static final int MOST_PAUSE_MS = 1500;
  private static final int FORKS = 20;
  private static final int COPIES = 3;
  private static final int MEBIBYTES = 1024;
  private static final int MEBIBYTE = 1 << 20;
  private static final int VERSIONS = 100;

  @TempDir Path folder;

  /** The two, and who kills them. */
  private static final class Pair implements AutoCloseable {
    private final long seed = Long.getLong("grpsqlite.seed", new Random().nextInt());
    private final List<ServerProcess> servers = new ArrayList<>();
    private final CompletableFuture<Void> over = new CompletableFuture<>();
    private final AtomicInteger kills = new AtomicInteger();
    private final CompletableFuture<Void> killing;

    Pair() throws Exception {
      Path cluster = Kind.cluster().clusterFile();
      String store = Kind.freshName("pair");
      for (int i = 0; i < 2; i++) {
        servers.add(ServerProcess.fdb(Folders.make("pair-" + i), cluster, store));
      }
      killing = CompletableFuture.runAsync(this::kill, work -> new Thread(work).start());
    }

    Client client(Path folder) {
      return new Client(
          folder, String.join(",", servers.stream().map(ServerProcess::url).toList()));
    }

    private void kill() {
      Random random = new Random(seed);
      try {
        do {
          ServerProcess server = servers.get(random.nextInt(servers.size()));
          server.kill();
          kills.incrementAndGet();
          server.start();
        } while (!isOverWithin(random.nextInt(MOST_PAUSE_MS)));
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }

    private boolean isOverWithin(long millis) throws Exception {
      try {
        over.get(millis, TimeUnit.MILLISECONDS);
        return true;
      } catch (java.util.concurrent.TimeoutException e) {
        return false;
      }
    }

    /** Stops killing. */
    void endKilling(int atLeast) throws Exception {
      over.complete(null);
      killing.get(1, TimeUnit.MINUTES);
      System.out.println("TwoServersTest: " + kills + " kills, -Dgrpsqlite.seed=" + seed);
      assertTrue(kills.get() >= atLeast, "only " + kills + " kills");
    }

    @Override
    public void close() {
      over.complete(null);
      CompletableFuture<Void> ended = killing.handle((done, error) -> null);
      ended.orTimeout(1, TimeUnit.MINUTES).join();
      servers.forEach(ServerProcess::close);
    }
  }

  @Test
  void sqlMeansWhatItDoes() throws Exception {
    try (Pair pair = new Pair()) {
      SqlLogicTest.assertAllPass(pair.client(folder));
      pair.endKilling(2);
    }
  }

  @Test
  void aDatabaseIsCopiedThereAndBack() throws Exception {
    try (Pair pair = new Pair()) {
      Client client = pair.client(folder);
      Path chinook = TestData.require("chinook.sqlite");
      String dump = client.localShell(chinook, ".dump\n").ok();
      for (int i = 1; i <= COPIES || pair.kills.get() < 5; i++) {
        String copy = "copy-" + i + ".db";
        client.shell(copy, dump).ok();
        assertEquals("ok\n", client.shell(copy, "PRAGMA integrity_check;").ok());
        assertEquals(dump, client.shell(copy, ".dump\n").ok());
      }
      pair.endKilling(5);
    }
  }

  /**
   * What is uploaded before the commit is in the cluster, too, so either server goes on with it.
   */
  @Test
  void p1_aGibibyteIsOneTransaction() throws Exception {
    try (Pair pair = new Pair()) {
      Client client = pair.client(folder);
      int before = pair.kills.get();
      try (Program writer = client.startPython("big.py", "big.db", "" + MEBIBYTES)) {
        writer.readTo("written", Duration.ofMinutes(10));
        assertTrue(pair.kills.get() >= before + 5, "nobody was killed meanwhile");
        assertEquals("0\n", client.shell("big.db", "SELECT count(*) FROM big;").ok());
        writer.send("COMMIT\n");
        writer.readTo("done", Duration.ofMinutes(5));
        assertEquals("", writer.finish().ok());
      }
      pair.endKilling(5);
      assertEquals(
          "ok\n" + MEBIBYTES + "|" + MEBIBYTES * (long) MEBIBYTE + "\n",
          client
              .shell(
                  "big.db",
                  "PRAGMA integrity_check; SELECT count(*), sum(length(content)) FROM big;")
              .ok());
    }
  }

  @Test
  void p1_attachedDatabasesAreCommittedTogether() throws Exception {
    try (Pair pair = new Pair()) {
      Client client = pair.client(folder);
      long acknowledged = 0;
      try (Program writer = client.startPython("attach.py", "write", "one.db", "two.db")) {
        writer.readTo("writing");
        while (pair.kills.get() < 10) {
          acknowledged = Long.parseLong(Objects.requireNonNull(writer.line(), writer.errors()));
        }
        pair.endKilling(10);
        List<String> rest = writer.finish().ok().lines().toList();
        if (!rest.isEmpty()) {
          acknowledged = Long.parseLong(rest.get(rest.size() - 1));
        }
      }
      client.python("attach.py", "check", "one.db", "two.db", "" + acknowledged).ok();
    }
  }

  @Test
  void p6_versionsStayWhatTheyWere() throws Exception {
    try (Pair pair = new Pair()) {
      Client client = pair.client(folder);
      client.python("versions.py", "work", "h.db", "" + VERSIONS, "" + pair.seed, "manifest").ok();
      int copies = Files.readAllLines(folder.resolve("manifest")).size();
      try (Program comparing =
          client.startPython("versions.py", "compare", "h.db", "manifest", "0")) {
        assertEquals(copies + "\n", comparing.finish(Duration.ofMinutes(5)).ok());
      }
      pair.endKilling(5);
    }
  }

  @Test
  void p6_restoresAreMadeOnceAndForksAreWhatTheyShouldBe() throws Exception {
    try (Pair pair = new Pair();
        Session session = Session.open(pair.client(folder), "parent.db")) {
      ok(session, "CREATE TABLE t (n)");
      int forks = 0;
      while (forks < FORKS || pair.kills.get() < 5) {
        int i = ++forks;
        assertEquals("", session.answer("INSERT INTO t VALUES (" + i + ")"));
        long version = Long.parseLong(session.answer("PRAGMA grpsqlite_version").strip());
        ok(session, "PRAGMA grpsqlite_fork='fork-" + i + ".db'");
        assertEquals("", session.answer("INSERT INTO t VALUES (-1)"));
        ok(session, "PRAGMA grpsqlite_restore=" + version);
        assertEquals(
            i + "|" + i + "\n", session.answer("SELECT count(*), max(n) FROM t"), "restored");
        assertEquals(
            version + 2,
            Long.parseLong(session.answer("PRAGMA grpsqlite_version").strip()),
            "an insert and a restore");
      }
      session.finish();
      for (int i = 1; i <= forks; i++) {
        assertEquals(
            i + "|" + i + "\n",
            pair.client(folder).shell("fork-" + i + ".db", "SELECT count(*), max(n) FROM t;").ok());
      }
      pair.endKilling(5);
    }
  }

  private static void ok(Session session, String sql) throws Exception {
    String answer = session.answer(sql);
    assertFalse(answer.startsWith("error"), () -> sql + ": " + answer + errorOf(session));
  }

  private static String errorOf(Session session) {
    try {
      return session.answer("PRAGMA grpsqlite_last_error");
    } catch (Exception e) {
      return e.toString();
    }
  }
}
