package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Single behaviours, on small databases of all kinds. */
class PredictorTest {
  private static final String ROWS =
      """
      CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, pad);
      CREATE INDEX t_a ON t (a);
      CREATE INDEX t_nocase ON t (b COLLATE NOCASE);
      CREATE INDEX t_down ON t (a DESC);
      CREATE TABLE w (k INT PRIMARY KEY, v) WITHOUT ROWID;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
        INSERT INTO t SELECT i, (i * 7919) % 6007,
          CASE WHEN i % 2 THEN 'Name ' ELSE 'nAME ' END || (i * 7919) % 6007, zeroblob(200) FROM n
          ORDER BY (i * 31) % 6007;
      INSERT INTO w SELECT a, pad FROM t;
      """;

  @TempDir static Path folder;

  @BeforeAll
  static void compile() throws Exception {
    RealDatabase.compileTrace(folder);
  }

  private static int trips(RealDatabase database, String sql) throws Exception {
    Replay replay = new Replay(database, new Predictor(), 1 << 20);
    replay.open(1 << 20);
    replay.read(database.pagesRead(sql));
    return replay.roundTrips - 1;
  }

  private static void ranges(RealDatabase database) throws Exception {
    String rows = " WHERE %s ORDER BY %s LIMIT 400;";
    String from = "SELECT length(pad) FROM t INDEXED BY ";
    check(database, "SELECT length(pad) FROM t NOT INDEXED;", 25);
    check(database, from + "t_a" + rows.formatted("a > 1000", "a"), 15);
    check(database, from + "t_down" + rows.formatted("a < 5000", "a DESC"), 15);
    String nocase = "b COLLATE NOCASE";
    check(database, from + "t_nocase" + rows.formatted(nocase + " > 'name 3'", nocase), 15);
    check(database, "SELECT length(v) FROM w WHERE k > 100 LIMIT 3000;", 20);
  }

  private static void check(RealDatabase database, String sql, int most) throws Exception {
    int trips = trips(database, sql);
    String what = trips + " round trips, pages of " + database.shape.pageSize() + ": " + sql;
    assertTrue(trips <= most, what);
  }

  @Test
  void anyPageSizeEncodingAndReservedBytes() throws Exception {
    try (RealDatabase small =
            RealDatabase.make(folder, "512.db", "PRAGMA page_size = 512;" + ROWS);
        RealDatabase large =
            RealDatabase.make(folder, "65536.db", "PRAGMA page_size = 65536;" + ROWS);
        RealDatabase utf16 =
            RealDatabase.make(folder, "utf16.db", "PRAGMA encoding = 'UTF-16le';" + ROWS);
        RealDatabase reserved =
            RealDatabase.make(folder, "reserved.db", ".filectrl reserve_bytes 40\n" + ROWS)) {
      ranges(small);
      ranges(large);
      ranges(utf16);
      assertEquals(40, reserved.page(1).data().get(20), "reserved bytes");
      ranges(reserved);
    }
  }

  @Test
  void aSecondScanBesideASmallCacheIsAsFastAsTheFirst() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "cache.db", ROWS)) {
      List<Long> scan = database.pagesRead("SELECT length(pad) FROM t NOT INDEXED;");
      Replay replay = new Replay(database, new Predictor(), 64 * 4096, 200);
      replay.open(64 * 4096);
      replay.read(scan);
      int first = replay.roundTrips;
      replay.read(scan);
      int second = replay.roundTrips - first;
      assertTrue(first < 50, first + " round trips");
      assertTrue(second <= first + 10, second + " round trips after " + first);
    }
  }

  @Test
  void oneRoundAtATimeAndOneThatIsGivenUpIsOver() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "rounds.db", ROWS)) {
      Predictor predictor = new Predictor();
      List<PageImage> page = List.of(database.page(2));
      Round round = predictor.demanded(database.shape, page, 1 << 20);
      assertNotNull(round);
      assertNull(predictor.demanded(database.shape, page, 1 << 20));
      assertEquals(List.of(), round.take(List.of()));
      assertTrue(round.wanted().length > 0);
      round.close();
      assertNotNull(predictor.demanded(database.shape, page, 1 << 20));
    }
  }

  @Test
  void aPageThatChangedIsSentAgainAndOthersAreNot() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "again.db", ROWS)) {
      Predictor predictor = new Predictor();
      List<Long> first = sentFor(database, predictor, 1);
      assertTrue(first.size() > 100, first.size() + " pages");
      List<Long> second = new ArrayList<>();
      Shape next = new Shape(2, database.shape.pageSize(), database.shape.pageCount());
      // The client has them of version 1: of those, only what version 2 wrote comes again.
      for (long page : first.subList(0, 2)) {
        PageImage changed = new PageImage(page, 2, 0, database.page(page).data());
        try (Round round = predictor.demanded(next, List.of(changed), 1 << 20)) {
          assertNotNull(round);
          List<PageImage> read = new ArrayList<>();
          do {
            round.take(read).forEach(sent -> second.add(sent.number()));
            read.clear();
            for (long wanted : round.wanted()) {
              read.add(database.page(wanted));
            }
          } while (!read.isEmpty());
        }
      }
      second.retainAll(first);
      assertEquals(List.of(), second);
    }
  }

  /** The pages that come for a scan. */
  private static List<Long> sentFor(RealDatabase database, Predictor predictor, long version)
      throws Exception {
    List<Long> sent = new ArrayList<>();
    for (long page : database.pagesRead("SELECT length(pad) FROM t WHERE id < 1500;")) {
      if (sent.contains(page)) {
        continue;
      }
      Shape shape = new Shape(version, database.shape.pageSize(), database.shape.pageCount());
      try (Round round = predictor.demanded(shape, List.of(database.page(page)), 1 << 20)) {
        assertNotNull(round);
        List<PageImage> read = new ArrayList<>();
        do {
          round.take(read).forEach(image -> sent.add(image.number()));
          read.clear();
          for (long wanted : round.wanted()) {
            read.add(database.page(wanted));
          }
        } while (!read.isEmpty());
      }
    }
    return sent;
  }
}
