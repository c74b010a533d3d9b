package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a transaction costs in round trips, as {@code PRAGMA grpsqlite_stats} counts them. */
class RoundTripsTest {
  /** After so long a server delegates reads again. */
  private static final int NOBODY_WRITES_MS = 1100;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void underAHeldLeaseAWarmReadCostsNoneAndASmallCommitOne(Kind kind) throws Exception {
    try (Session session = Session.open(kind.client(folder), Kind.freshName("trips"))) {
      session.answer("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      session.answer("INSERT INTO t VALUES (1, 'one'), (2, 'two')");
      session.answer("SELECT * FROM t");

      long before = rpcs(session);
      for (int i = 0; i < 10; i++) {
        assertEquals("1|one\n2|two\n", session.answer("SELECT * FROM t"));
      }
      assertEquals(before, rpcs(session), "a warm read");

      for (int i = 0; i < 10; i++) {
        before = rpcs(session);
        assertEquals("", session.answer("UPDATE t SET b = 'change " + i + "' WHERE a = 1"));
        assertEquals(before + 1, rpcs(session), "a small commit");
      }
      session.finish();
    }
  }

  /** Beside a writer that changes one of the pages, a fresh reader fetches just that one again. */
  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aWarmFreshReadTransactionOfAReplicaCostsOne(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("replica");
    try (Session writer = Session.open(client, database);
        Session replica = opened(writer, client, "file:" + database + "?mode=ro")) {
      for (int i = 0; i < 10; i++) {
        long before = rpcs(replica);
        assertEquals("500|0\n", replica.answer(READ));
        assertEquals(before + 1, rpcs(replica), "a warm fresh read transaction");
      }
      assertEquals("", writer.answer("UPDATE t SET b = b + 1 WHERE a = 250"));
      long before = rpcs(replica);
      assertEquals("500|1\n", replica.answer(READ));
      // The Refresh, page 1 for its change counter, and the page of the row.
      assertTrue(rpcs(replica) <= before + 3, rpcs(replica) - before + " after one page changed");
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aWarmReadTransactionWithinItsBoundedStalenessCostsNone(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("stale");
    String bounded = "file:" + database + "?mode=ro&max_staleness_ms=5000";
    try (Session writer = Session.open(client, database);
        Session replica = opened(writer, client, bounded)) {
      Await.until(
          "a transaction without a round trip",
          Duration.ofSeconds(20),
          () -> {
            long before = rpcs(replica);
            replica.answer(READ);
            return rpcs(replica) == before;
          });
      long before = rpcs(replica);
      for (int i = 0; i < 10; i++) {
        assertEquals("500|0\n", replica.answer(READ));
      }
      assertEquals(before, rpcs(replica), "ten transactions within the bound");
      // What others commit comes by itself.
      assertEquals("", writer.answer("UPDATE t SET b = b + 1 WHERE a = 250"));
      Await.until(
          "the commit to be seen",
          Duration.ofSeconds(10),
          () -> replica.answer(READ).equals("500|1\n"));
    }
  }

  /**
   * The open with the schema and the table's upper pages, and the row's page; the session apart.
   */
  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB"})
  void aColdPointQueryCostsTheOpenAndOneRead(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("cold");
    try (Session writer = Session.open(client, database)) {
      writer.answer("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      assertEquals(
          "",
          writer.answer(
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                  + " INSERT INTO t SELECT i, zeroblob(200) FROM n"));
      writer.finish();
    }
    Thread.sleep(NOBODY_WRITES_MS);
    long least = Long.MAX_VALUE;
    for (int i = 0; i < 5; i++) {
      try (Session reader = Session.open(client, database)) {
        assertEquals("200\n", reader.answer("SELECT length(b) FROM t WHERE a = 10000"));
        least = Math.min(least, rpcs(reader));
        reader.finish();
      }
    }
    // On a busy machine one of five is in time.
    assertTrue(least <= 3, least + " round trips");
  }

  /**
   * 10 MB in random order, with 1 MB of room for them: almost every row wants a page back that was
   * staged.
   */
  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void whatATransactionStagedItReadsWithoutARoundTrip(Kind kind) throws Exception {
    Client client = kind.client(folder).with("GRPSQLITE_BUFFER_MB", "1");
    try (Session session = Session.open(client, Kind.freshName("staged"))) {
      session.answer("PRAGMA cache_size = 10");
      session.answer("CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      long before = rpcs(session);
      assertEquals(
          "",
          session.answer(
              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
                  + " INSERT INTO t SELECT i * 7919 % 10007, zeroblob(1000) FROM n"));
      long trips = rpcs(session) - before;
      // Calls that stage: every page a few times, 256 pages each.
      assertTrue(trips > 5 && trips < 500, trips + " round trips");
      assertEquals("10000|10000000\n", session.answer("SELECT count(*), sum(length(b)) FROM t"));
      assertEquals("ok\n", session.answer("PRAGMA integrity_check"));
      session.finish();
    }
  }

  private static final String READ = "SELECT count(*), max(b) FROM t NOT INDEXED";

  /** A replica of a database of some pages, all of which it has read. */
  private static Session opened(Session writer, Client client, String replica) throws Exception {
    writer.answer("CREATE TABLE t (a INTEGER PRIMARY KEY, b INT, pad)");
    assertEquals(
        "",
        writer.answer(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
                + " INSERT INTO t SELECT i, 0, zeroblob(200) FROM n"));
    Session session = Session.open(client, replica);
    assertEquals("500|0\n", session.answer(READ));
    return session;
  }

  /** The line "rpcs N". KeepAlives and Watch, which no transaction waits for, are not in it. */
  private static long rpcs(Session session) throws Exception {
    String stats = session.answer("PRAGMA grpsqlite_stats");
    Matcher line = Pattern.compile("(?m)^rpcs (\\d+)$").matcher(stats);
    assertTrue(line.find(), stats);
    return Long.parseLong(line.group(1));
  }
}
