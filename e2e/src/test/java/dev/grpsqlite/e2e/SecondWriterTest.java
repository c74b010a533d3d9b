package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One writes, another one wants to. */
class SecondWriterTest {
  @TempDir Path folder;

  private final String database = Kind.freshName("contended");
  private Client client = new Client(Path.of("."), "");

  @BeforeEach
  void create() throws Exception {
    client = Kind.ROCKSDB.client(folder);
    client.shell(database, "CREATE TABLE t (who TEXT);").ok();
  }

  @Test
  void itIsBusyFromAShellAndFromPython() throws Exception {
    try (Program first = firstWriter()) {
      Finished shell = client.shell(database, "INSERT INTO t VALUES ('second');");
      assertEquals(1, shell.exit(), shell.toString());
      assertTrue(shell.err().contains("database is locked"), shell.toString());
      assertTrue(contend(0).startsWith("busy"));
      // Reading is another matter.
      assertEquals("0\n", client.shell(database, "SELECT count(*) FROM t;").ok());
      assertEquals("", answer(first, "COMMIT"));
    }
    assertEquals("first\n", client.shell(database, "SELECT who FROM t;").ok());
  }

  @Test
  void itHonoursBusyTimeout() throws Exception {
    try (Program first = firstWriter()) {
      String outcome = contend(2);
      assertTrue(outcome.startsWith("busy "), outcome);
      double seconds = Double.parseDouble(outcome.substring(5));
      assertTrue(seconds >= 1.9 && seconds < 8, outcome);
      assertEquals("", answer(first, "COMMIT"));
    }
  }

  @Test
  void itProceedsWhenTheFirstCloses() throws Exception {
    try (Program first = firstWriter();
        Program second = client.startPython("ledger.py", "contend", database, "60")) {
      assertEquals("", answer(first, "COMMIT"));
      first.finish().ok();
      assertTrue(second.finish().ok().startsWith("done"));
    }
    assertEquals("first,second\n", client.shell(database, "SELECT group_concat(who) FROM t;").ok());
  }

  @Test
  void itProceedsWhenTheFirstDies() throws Exception {
    try (Program first = firstWriter();
        Program second = client.startPython("ledger.py", "contend", database, "60")) {
      first.kill();
      String outcome = second.finish().ok().trim();
      assertTrue(outcome.startsWith("done "), outcome);
      // The lease ends a TTL, ten seconds, after its last renewal.
      assertTrue(Double.parseDouble(outcome.substring(5)) < 25, outcome);
    }
    assertEquals("second\n", client.shell(database, "SELECT who FROM t;").ok());
  }

  @Test
  void p3_aWriterThatWasFencedCannotWriteAfterwards() throws Exception {
    try (Program first = firstWriter()) {
      first.signal("STOP");
      try (Program second = client.startPython("session.py", database)) {
        second.readTo("--");
        assertEquals("", answer(second, "PRAGMA busy_timeout=60000").replace("60000\n", ""));
        assertEquals("", answer(second, "INSERT INTO t VALUES ('second')"));
        first.signal("CONT");
        String refused = answer(first, "COMMIT");
        assertTrue(refused.startsWith("error: "), refused);
        // The old transaction is gone. Another one is like any: the second is idle, and yields.
        answer(first, "ROLLBACK");
        assertEquals("second\n", answer(first, "SELECT who FROM t"));
        Await.until(
            "the first to get the lease again",
            Duration.ofSeconds(20),
            () -> answer(first, "INSERT INTO t VALUES ('third')").isEmpty());
        assertEquals("", answer(second, "INSERT INTO t VALUES ('fourth')"));
        second.finish().ok();
      }
      assertEquals("second,third,fourth\n", answer(first, "SELECT group_concat(who) FROM t"));
    }
  }

  /** One that has written, but not committed. */
  private Program firstWriter() throws Exception {
    Program first = client.startPython("session.py", database);
    first.readTo("--");
    assertEquals("", answer(first, "BEGIN IMMEDIATE"));
    assertEquals("", answer(first, "INSERT INTO t VALUES ('first')"));
    return first;
  }

  private String contend(int busyTimeoutSeconds) throws Exception {
    return client.python("ledger.py", "contend", database, "" + busyTimeoutSeconds).ok().trim();
  }

  private static String answer(Program session, String sql) throws Exception {
    session.send(sql + "\n");
    return session.readTo("--");
  }
}
