package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Databases as they were: {@code at=}, {@code version=}, their history, and bringing them back. */
class TimeTravelTest {
  private static final Duration COLLECTED = Duration.ofSeconds(30);

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void everyVersionAndTimeIsReadAsItWasWhileAWriterGoesOn(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("travelled");
    try (Program writer = client.openShell(database)) {
      // Version n has the rows 1 to n-1; the table grows beyond a page, and is vacuumed on the way.
      tell(writer, "CREATE TABLE t (n INTEGER PRIMARY KEY, filler);");
      for (int n = 1; n <= 20; n++) {
        tell(writer, "INSERT INTO t VALUES (" + n + ", zeroblob(3000));");
      }
      tell(writer, "DELETE FROM t; VACUUM;");

      List<String> times =
          client
              .shell(database, "SELECT committed_at FROM grpsqlite_history ORDER BY version;")
              .ok()
              .lines()
              .toList();
      assertEquals(24, times.size());
      String query =
          "SELECT count(*), max(n) FROM t; PRAGMA grpsqlite_version; PRAGMA quick_check;";
      for (int version : List.of(2, 9, 21)) {
        String want = (version - 1) + "|" + (version - 1) + "\n" + version + "\nok\n";
        String uri = "'file:" + database + "?version=" + version + "'";
        assertEquals(want, client.shell(uri, query).ok());
        uri = "'file:" + database + "?at=" + times.get(version) + "'";
        assertEquals(want, client.shell(uri, query).ok());
        tell(writer, "INSERT INTO t VALUES (NULL, NULL);");
      }
      assertEquals("3\n", tell(writer, "SELECT count(*) FROM t;"));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void severalVersionsAreAttachedToOneConnectionAndCostNothingWhenWarm(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("attached");
    try (Program session = client.startPython("session.py", "file:" + database)) {
      session.readTo("--");
      answer(session, "CREATE TABLE t (x)");
      answer(session, "INSERT INTO t VALUES ('two')");
      answer(session, "INSERT INTO t VALUES ('three')");
      for (int version = 1; version <= 3; version++) {
        String attach = "ATTACH 'file:" + database + "?version=" + version + "' AS v" + version;
        assertEquals("", answer(session, attach));
      }
      String all =
          "SELECT (SELECT count(*) FROM v1.t), (SELECT count(*) FROM v2.t),"
              + " (SELECT count(*) FROM v3.t), (SELECT count(*) FROM main.t)";
      assertEquals("0|1|2|2\n", answer(session, all));
      answer(session, "UPDATE t SET x = x || '!'");
      assertEquals("three\n", answer(session, "SELECT x FROM v3.t EXCEPT SELECT x FROM v2.t"));
      assertEquals(
          "error: attempt to write a readonly database\n", answer(session, "DELETE FROM v3.t"));

      long before = rpcs(session);
      for (int i = 0; i < 10; i++) {
        assertEquals("two\nthree\n", answer(session, "SELECT x FROM v3.t"));
      }
      assertEquals(before, rpcs(session), "a warm read at a fixed version");
      session.finish().ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void theHistoryIsATable(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("history");
    Instant start = Instant.now().minusSeconds(1);
    client.shell(database, "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000));").ok();
    String size =
        client
            .shell(
                database, "SELECT page_size * page_count FROM pragma_page_size, pragma_page_count;")
            .ok();
    List<String[]> rows =
        client
            .shell(database, "SELECT * FROM grpsqlite_history;")
            .ok()
            .lines()
            .map(line -> line.split("\\|"))
            .toList();
    assertEquals(List.of("2", "1", "0"), rows.stream().map(row -> row[0]).toList());
    assertEquals(size.strip(), rows.get(0)[5]);
    assertTrue(Integer.parseInt(rows.get(0)[2]) >= 25, rows.get(0)[2]);
    assertEquals("8192", rows.get(1)[5]);
    List<Instant> times = new ArrayList<>();
    rows.forEach(row -> times.add(Instant.parse(row[1])));
    assertEquals(times.stream().sorted(Comparator.reverseOrder()).toList(), times);
    assertTrue(times.get(2).isAfter(start) && times.get(0).isBefore(Instant.now().plusSeconds(60)));
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void aShellThatHoldsTheLeaseRestores(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("brought-back");
    try (Program shell = client.openShell(database);
        Program reader = client.openShell(database)) {
      tell(shell, "CREATE TABLE t (x); INSERT INTO t VALUES ('good');");
      tell(shell, "INSERT INTO t SELECT 'bad' FROM generate_series(1, 5000);");
      assertEquals("5001\n", tell(reader, "BEGIN; SELECT count(*) FROM t;"));
      assertEquals("4\n", tell(shell, "PRAGMA grpsqlite_restore=2;"));
      assertEquals("good\n", tell(shell, "SELECT x FROM t;"));
      assertEquals("5001\n", tell(reader, "SELECT count(*) FROM t;"));
      assertEquals("good\nok\n", tell(reader, "COMMIT; SELECT x FROM t; PRAGMA quick_check;"));
      // Both may write; nothing of what was bad comes back.
      assertEquals("", tell(reader, "INSERT INTO t VALUES ('reader');"));
      reader.finish().ok();
      assertEquals(
          "good,reader,shell\n",
          tell(shell, "INSERT INTO t VALUES ('shell'); SELECT group_concat(x) FROM t;"));
      assertEquals("7\n", tell(shell, "PRAGMA grpsqlite_restore=3;"));
      assertEquals("5001\nok\n", tell(shell, "SELECT count(*) FROM t; PRAGMA quick_check;"));
      shell.finish().ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void whatIsNoLongerKeptIsTooOldUnlessSomebodyReadsIt(Kind kind) throws Exception {
    try (ServerProcess server =
        kind.start(folder, "--retention", "1versions", "--session-ttl-ms", "1500")) {
      Client client = new Client(folder, server.url());
      // A machine that is busy may let a session of so short a life end while it opens the
      // database.
      client.shell("old.db", ".timeout 10000\nCREATE TABLE t (x);").ok();
      try (Program session = client.startPython("session.py", "file:old.db?cache_mb=0")) {
        session.readTo("--");
        String attach = "ATTACH 'file:old.db?version=";
        answer(session, "INSERT INTO t VALUES (2)");
        assertEquals("", answer(session, attach + "2' AS two"));
        for (int version = 3; version <= 10; version++) {
          answer(session, "INSERT INTO t VALUES (" + version + ")");
        }
        Await.until("version 1 to be collected", COLLECTED, () -> !isKept(session, 1));
        String refused = answer(session, attach + "1' AS one");
        assertTrue(refused.startsWith("error: unable to open database"), refused);
        String why = answer(session, "SELECT grpsqlite_last_error()");
        assertTrue(why.contains("snapshot too old: ") && why.contains("version 1 "), why);
        assertTrue(why.contains("the oldest is "), why);
        assertEquals("2\n", answer(session, "SELECT * FROM two.t"));
        assertEquals("ok\n", answer(session, "PRAGMA two.integrity_check"));

        answer(session, "DETACH two");
        Await.until("version 2 to be collected", COLLECTED, () -> !isKept(session, 2));
        session.finish().ok();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Kind.class,
      names = {"MEMORY", "FILES"})
  void aServerThatKeepsNoVersionsSaysSo(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("plain");
    client.shell(database, "CREATE TABLE t (x);").ok();
    try (Program session = client.startPython("session.py", "file:" + database)) {
      session.readTo("--");
      String refused = answer(session, "ATTACH 'file:" + database + "?version=1' AS old");
      assertTrue(refused.startsWith("error: unable to open database"), refused);
      String why = answer(session, "SELECT grpsqlite_last_error()");
      assertTrue(why.contains("keeps old versions"), why);
      refused = answer(session, "SELECT * FROM grpsqlite_history");
      String what = kind.hasPageService() ? database : "no database of a gRPSQLite server";
      assertTrue(refused.startsWith("error: ") && refused.contains(what), refused);
    }
  }

  @Test
  void aTimeThatIsNoneIsNamed() throws Exception {
    Finished refused =
        Kind.VERSIONED
            .client(folder)
            .run(
                "",
                "sqlite3",
                "-batch",
                "-bail",
                "-cmd",
                ".load " + Dist.library(),
                "-cmd",
                ".log stderr",
                "-cmd",
                ".open 'file:any.db?at=yesterday'");
    assertTrue(
        refused.err().contains("at is \"yesterday\": it has to begin with a date"),
        refused.toString());
  }

  private static boolean isKept(Program session, int version) throws Exception {
    String query = "SELECT count(*) FROM grpsqlite_history WHERE version = " + version;
    return answer(session, query).equals("1\n");
  }

  private static String tell(Program shell, String sql) throws Exception {
    shell.send(sql + "\n.print --\n");
    return shell.readTo("--");
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
