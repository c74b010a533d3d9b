package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * P3 and P7: a client that was stopped for longer than its session lasts, while another one wrote,
 * and then goes on where it was.
 */
class StoppedClientTest {
  private static final int TTL_MS = 1500;

  @TempDir Path folder;

  private ServerProcess start(Kind kind) throws Exception {
    return kind.start(Folders.make("stopped"), "--session-ttl-ms", "" + TTL_MS);
  }

  /** What happens to two clients of one database, of which one is stopped. */
  private interface Scenario {
    void run(Session stopped, Session other) throws Exception;
  }

  /**
   * Runs a scenario on a database whose one row is 'old'.
   *
   * @param uri what the client opens that will be stopped
   * @param left what the row is afterwards
   */
  private void twoClients(Kind kind, String uri, Scenario scenario, String left) throws Exception {
    try (ServerProcess server = start(kind)) {
      Client client = new Client(folder, server.url());
      client.shell("s.db", "CREATE TABLE t (x); INSERT INTO t VALUES ('old');").ok();
      try (Session stopped = open(client, uri);
          Session other = open(client, "s.db")) {
        scenario.run(stopped, other);
      }
      assertEquals(left, client.shell("s.db", "SELECT x FROM t;").ok());
    }
  }

  private Session open(Client client, String database) throws Exception {
    Session session = Session.open(client, database);
    session.answer("PRAGMA busy_timeout=30000");
    return session;
  }

  /** Returns when the stopped one has lost its lease, which the other one shows by writing. */
  private static void writeMeanwhile(Session stopped, Session other) throws Exception {
    stopped.program().signal("STOP");
    long begun = System.nanoTime();
    assertEquals("", other.answer("UPDATE t SET x = 'second'"));
    // A reader keeps nobody waiting; it shall be stopped for as long.
    long left = TTL_MS * 3 / 2 - Duration.ofNanos(System.nanoTime() - begun).toMillis();
    if (left > 0) {
      Thread.sleep(left);
    }
    stopped.program().signal("CONT");
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void p3_itsTransactionFailsAndWhatItReadsIsFresh(Kind kind) throws Exception {
    twoClients(
        kind,
        "s.db",
        (stopped, other) -> {
          assertEquals("", stopped.answer("BEGIN IMMEDIATE"));
          assertEquals("", stopped.answer("UPDATE t SET x = 'first'"));
          writeMeanwhile(stopped, other);
          String refused = stopped.answer("COMMIT");
          assertTrue(refused.startsWith("error: "), refused);
          assertEquals("second\n", other.answer("SELECT x FROM t"));
          stopped.answer("ROLLBACK");
          assertEquals("second\n", stopped.answer("SELECT x FROM t"));
          other.finish();
          // It is a client like any other.
          assertEquals("", stopped.answer("UPDATE t SET x = 'first again'"));
          stopped.finish();
        },
        "first again\n");
  }

  /** Between its transactions it holds the lease, by which it needs to ask nobody. */
  @ParameterizedTest
  @EnumSource(names = "VERSIONED")
  void p7_aHolderDoesNotTrustTheLeaseThatItHadBefore(Kind kind) throws Exception {
    twoClients(
        kind,
        "s.db",
        (stopped, other) -> {
          assertEquals("", stopped.answer("UPDATE t SET x = 'first'"));
          assertEquals("first\n", stopped.answer("SELECT x FROM t"));
          writeMeanwhile(stopped, other);
          assertEquals("second\n", stopped.answer("SELECT x FROM t"));
          other.finish();
          assertEquals("", stopped.answer("UPDATE t SET x = x || ' and first'"));
          stopped.finish();
        },
        "second and first\n");
  }

  @ParameterizedTest
  @EnumSource(names = "ROCKSDB")
  void p7_aReaderWithBoundedStalenessSeesWhatIsOlderThanItsBound(Kind kind) throws Exception {
    twoClients(
        kind,
        "file:s.db?mode=ro&max_staleness_ms=200",
        (stopped, other) -> {
          // Warm, and in a snapshot that it may keep.
          assertEquals("old\n", stopped.answer("SELECT x FROM t"));
          assertEquals("", stopped.answer("BEGIN"));
          assertEquals("old\n", stopped.answer("SELECT x FROM t"));
          writeMeanwhile(stopped, other);
          // Of its snapshot, or not at all; the session that kept it is gone.
          String kept = stopped.answer("SELECT x FROM t");
          assertNotEquals("second\n", kept);
          assertTrue(kept.equals("old\n") || kept.startsWith("error: "), kept);
          stopped.answer("COMMIT");
          assertEquals("second\n", stopped.answer("SELECT x FROM t"));
          stopped.finish();
          other.finish();
        },
        "second\n");
  }
}
