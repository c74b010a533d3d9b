package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The lease goes to who wants to write, and heads are told to who reads. */
class LeaseHandoverTest {
  private static final int PROCESSES = 10;
  private static final int INCREMENTS = 50;

  @TempDir Path folder;

  private final String database = Kind.freshName("handover");

  @Test
  void twoAlternatingWritersBothGetOn() throws Exception {
    Client client = Kind.ROCKSDB.client(folder);
    client.shell(database, "CREATE TABLE t (who, n);").ok();
    try (Program one = session(client, database);
        Program two = session(client, database)) {
      assertEquals("5000\n", answer(one, "PRAGMA busy_timeout=5000"));
      assertEquals("5000\n", answer(two, "PRAGMA busy_timeout=5000"));
      for (int i = 1; i <= 20; i++) {
        assertEquals("", answer(one, "INSERT INTO t VALUES ('one', " + i + ")"));
        assertEquals("", answer(two, "INSERT INTO t VALUES ('two', " + i + ")"));
      }
      assertEquals("40|210|210\n", answer(one, sums()));
      assertEquals("40|210|210\n", answer(two, sums()));
      one.finish().ok();
      two.finish().ok();
    }
  }

  private static String sums() {
    return "SELECT count(*), sum(n) FILTER (WHERE who = 'one'),"
        + " sum(n) FILTER (WHERE who = 'two') FROM t";
  }

  @Test
  void anIdleHolderYieldsToAShellThatHasNoBusyTimeout() throws Exception {
    Client client = Kind.ROCKSDB.client(folder);
    try (Program holder = session(client, database)) {
      assertEquals("", answer(holder, "CREATE TABLE t (who)"));
      assertEquals("", answer(holder, "INSERT INTO t VALUES ('holder')"));
      // The stream on which it is asked to yield is begun beside its first write, not before.
      Await.until(
          "the shell to get the lease",
          Duration.ofSeconds(20),
          () -> client.shell(database, "INSERT INTO t VALUES ('shell');").exit() == 0);
      assertEquals("holder,shell\n", answer(holder, "SELECT group_concat(who) FROM t"));
      assertEquals("", answer(holder, "INSERT INTO t VALUES ('holder')"));
      holder.finish().ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void tenProcessesCountTogetherAndNoneFails(Kind kind) throws Exception {
    Client client = kind.client(folder);
    client.shell(database, "CREATE TABLE counter (n); INSERT INTO counter VALUES (0);").ok();
    List<Program> processes = new ArrayList<>();
    try {
      for (int i = 0; i < PROCESSES; i++) {
        processes.add(client.startPython("increment.py", database, "" + INCREMENTS, "5"));
      }
      for (Program process : processes) {
        process.readTo("ready");
      }
      for (Program process : processes) {
        process.send("go\n");
      }
      for (Program process : processes) {
        process.finish().ok();
      }
    } finally {
      for (Program process : processes) {
        process.close();
      }
    }
    assertEquals(
        PROCESSES * INCREMENTS + "\n", client.shell(database, "SELECT n FROM counter;").ok());
  }

  @Test
  void exclusiveModeDoesNotYield() throws Exception {
    Client client = Kind.ROCKSDB.client(folder);
    try (Program holder = session(client, database)) {
      assertEquals("exclusive\n", answer(holder, "PRAGMA locking_mode=exclusive"));
      assertEquals("", answer(holder, "CREATE TABLE t (who)"));
      for (int i = 0; i < 3; i++) {
        Finished shell = client.shell(database, "INSERT INTO t VALUES ('shell');");
        assertEquals(1, shell.exit(), shell.toString());
        assertTrue(shell.err().contains("database is locked"), shell.toString());
        assertEquals("", answer(holder, "INSERT INTO t VALUES ('holder')"));
      }
      assertEquals("normal\n", answer(holder, "PRAGMA locking_mode=normal"));
      assertEquals("3\n", answer(holder, "SELECT count(*) FROM t"));
      client.shell(database, "PRAGMA busy_timeout=5000; INSERT INTO t VALUES ('shell');").ok();
      assertEquals("4\n", answer(holder, "SELECT count(*) FROM t"));
      holder.finish().ok();
    }
  }

  /** On a local file, its lock is kept too. */
  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void exclusiveModeKeepsOthersOutFromItsFirstReadOn(Kind kind) throws Exception {
    Client client = kind.client(folder);
    client.shell(database, "CREATE TABLE t (who); INSERT INTO t VALUES ('shell');").ok();
    try (Program other = session(client, database);
        Program holder = session(client, database)) {
      assertEquals("1\n", answer(other, "SELECT count(*) FROM t"));
      assertEquals("exclusive\n", answer(holder, "PRAGMA locking_mode=exclusive"));
      assertEquals("1\n", answer(holder, "SELECT count(*) FROM t"));
      Finished refused = client.shell(database, "INSERT INTO t VALUES ('shell');");
      assertEquals(1, refused.exit(), refused.toString());
      assertTrue(refused.err().contains("database is locked"), refused.toString());
      assertEquals("1\n", answer(other, "SELECT count(*) FROM t"), "readers are not kept out");
      assertEquals("", answer(holder, "INSERT INTO t VALUES ('holder')"));
      assertEquals("2\n", answer(other, "SELECT count(*) FROM t"));
      assertEquals("normal\n", answer(holder, "PRAGMA locking_mode=normal"));
      assertEquals("2\n", answer(holder, "SELECT count(*) FROM t"));
      client.shell(database, "PRAGMA busy_timeout=5000; INSERT INTO t VALUES ('shell');").ok();
      assertEquals("3\n", answer(holder, "SELECT count(*) FROM t"));

      // Within a transaction that reads a version which is not the newest any more, it is too late.
      assertEquals("", answer(holder, "BEGIN"));
      assertEquals("3\n", answer(holder, "SELECT count(*) FROM t"));
      assertEquals("", answer(other, "INSERT INTO t VALUES ('other')"));
      String late = answer(holder, "PRAGMA locking_mode=exclusive");
      assertTrue(late.contains("has written since"), late);
      assertEquals("", answer(holder, "COMMIT"));
      assertEquals("4\n", answer(holder, "SELECT count(*) FROM t"));
      // Who has just written yields.
      answer(holder, "PRAGMA busy_timeout=5000");
      assertEquals("exclusive\n", answer(holder, "PRAGMA locking_mode=exclusive"));
      assertEquals("4\n", answer(holder, "SELECT count(*) FROM t"));
      assertEquals("", answer(holder, "INSERT INTO t VALUES ('holder')"));
      holder.finish().ok();
      other.finish().ok();
    }
    client.shell(database, "INSERT INTO t VALUES ('shell');").ok();
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void withinItsStalenessAReaderMakesNoRpcAndSeesWhatIsNew(Kind kind) throws Exception {
    Client client = kind.client(folder);
    client.shell(database, "CREATE TABLE t (n); INSERT INTO t VALUES (1);").ok();
    String uri = "file:" + database + "?mode=ro&max_staleness_ms=60000";
    try (Program reader = session(client, uri)) {
      assertEquals("1\n", answer(reader, "SELECT sum(n) FROM t"));
      client.shell(database, "INSERT INTO t VALUES (10);").ok();
      Await.until(
          "the reader to be told",
          Duration.ofSeconds(20),
          () -> answer(reader, "SELECT sum(n) FROM t").equals("11\n"));
      long before = rpcs(reader);
      for (int i = 0; i < 10; i++) {
        assertEquals("11\n", answer(reader, "SELECT sum(n) FROM t"));
      }
      assertEquals(before, rpcs(reader));
      reader.finish().ok();
    }
  }

  private static Program session(Client client, String database) throws Exception {
    Program session = client.startPython("session.py", database);
    session.readTo("--");
    return session;
  }

  private static String answer(Program session, String sql) throws Exception {
    session.send(sql + "\n");
    return session.readTo("--");
  }

  private static long rpcs(Program session) throws Exception {
    String stats = answer(session, "PRAGMA grpsqlite_stats");
    Matcher line = Pattern.compile("(?m)^rpcs (\\d+)$").matcher(stats);
    assertTrue(line.find(), stats);
    return Long.parseLong(line.group(1));
  }
}
