package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What cold queries cost in round trips, with pages that the server sends ahead and without. Small
 * pages make b-trees of three levels of few rows.
 */
class PrefetchTest {
  private static final int ROWS = 5_000;

  /** Its rows were inserted in no order, so that neighbours lie anywhere in the file. */
  private static final List<String> MAKE =
      List.of(
          "PRAGMA page_size = 1024",
          "CREATE TABLE t (id INTEGER PRIMARY KEY, at INT, body TEXT)",
          "CREATE INDEX t_at ON t (at)",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
              + ROWS
              + ") INSERT INTO t SELECT i, (i * 31) % 5003, hex(zeroblob(80)) FROM n"
              + " ORDER BY (i * 7919) % 5003");

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB"})
  void aColdPointCostsOneRoundTripBesideTheSnapshots(Kind kind) throws Exception {
    Cold cold = make(kind, "points");
    try (Session session = cold.open("")) {
      session.answer("BEGIN");
      long before = asked(session);
      // The snapshot in which SQLite reads the schema, the transaction's own, and the leaf: all
      // pages that lead there came with the open.
      assertEquals("160\n", point(session, 4321));
      assertEquals(3, asked(session) - before);
      long first = number(session, "rpcs");
      for (int i = 0; i < 50; i++) {
        int id = i * 7907 % ROWS + 1;
        assertEquals("160\n", point(session, id));
      }
      long more = number(session, "rpcs") - first;
      assertTrue(more <= 50, more + " round trips for 50 points");
      session.finish();
    }
    try (Session session = cold.open("&prefetch_mb=0")) {
      session.answer("BEGIN");
      long before = asked(session);
      assertEquals("160\n", point(session, 4321));
      assertEquals(5, asked(session) - before, "without");
      assertEquals(0, number(session, "prefetch_used"));
      assertEquals(0, number(session, "prefetch_unused"));
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB"})
  void aColdScanAndRangesTakeFewRoundTrips(Kind kind) throws Exception {
    Cold cold = make(kind, "scans");
    compare(cold, "SELECT count(*), sum(length(body)) FROM t NOT INDEXED", 25, 1000);
    compare(cold, "SELECT sum(length(body)) FROM t WHERE at BETWEEN 3000 AND 4000", 30, 250);
    compare(
        cold,
        "SELECT count(x) FROM (SELECT length(body) AS x FROM t ORDER BY id DESC LIMIT 4000)",
        25,
        600);
  }

  private static String point(Session session, int id) throws Exception {
    return session.answer("SELECT length(body) FROM t WHERE id = " + id);
  }

  private static void compare(Cold cold, String sql, long most, long leastWithout)
      throws Exception {
    String expected;
    try (Session session = cold.open("&prefetch_mb=0")) {
      long before = number(session, "rpcs");
      expected = session.answer(sql);
      long trips = number(session, "rpcs") - before;
      assertTrue(trips >= leastWithout, trips + " without: " + sql);
    }
    try (Session session = cold.open("")) {
      long before = number(session, "rpcs");
      assertEquals(expected, session.answer(sql));
      long trips = number(session, "rpcs") - before;
      long used = number(session, "prefetch_used");
      long unused = number(session, "prefetch_unused");
      System.out.printf(
          "%s: %d round trips, %d pages sent ahead used, %d not%n", sql, trips, used, unused);
      assertTrue(trips <= most, trips + " round trips: " + sql);
      assertTrue(unused <= used, unused + " unused, " + used + " used: " + sql);
    }
  }

  private record Cold(Client client, String database) {
    Session open(String options) throws Exception {
      Session session = Session.open(client, "file:" + database + "?mode=ro" + options);
      number(session, "rpcs"); // It is open.
      return session;
    }
  }

  private Cold make(Kind kind, String name) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName(name);
    try (Session session = Session.open(client, database)) {
      for (String statement : MAKE) {
        assertEquals("", session.answer(statement));
      }
      session.finish();
    }
    return new Cold(client, database);
  }

  /**
   * Questions to the server; with those that a read delegation spared, if it is a second since the
   * load.
   */
  private static long asked(Session session) throws Exception {
    return number(session, "rpcs") + number(session, "transactions_delegated");
  }

  private static long number(Session session, String name) throws Exception {
    String stats = session.answer("PRAGMA grpsqlite_stats");
    Matcher line = Pattern.compile("(?m)^" + name + " (\\d+)$").matcher(stats);
    assertTrue(line.find(), stats);
    return Long.parseLong(line.group(1));
  }
}
