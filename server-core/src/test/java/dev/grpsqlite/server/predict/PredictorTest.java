package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
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
    return trips(database, new Predictor(new Relations()), database.pagesRead(sql));
  }

  private static int trips(RealDatabase database, Predictor predictor, List<Long> trace) {
    Replay replay = new Replay(database, predictor, 1 << 20);
    replay.open(1 << 20);
    replay.read(trace);
    return replay.roundTrips - 1;
  }

  /** The first overflow page of a schema's entry tells that the others follow. */
  @Test
  void aSchemaOfOverflowPagesComesAtOnce() throws Exception {
    String text = "CREATE TABLE t (a DEFAULT '%s');".formatted("x".repeat(40_000));
    try (RealDatabase database =
        RealDatabase.make(folder, "long-schema.db", "PRAGMA page_size = 1024;" + text)) {
      List<Long> trace = database.pagesRead("SELECT * FROM t;");
      assertTrue(trace.size() > 30, trace.size() + " pages");
      Replay replay = new Replay(database, new Predictor(new Relations()), 1 << 20);
      Replay.Open open = replay.open(1 << 20);
      replay.read(trace);
      assertTrue(replay.roundTrips <= 4, replay.roundTrips + " round trips");
      Replay like = new Replay(database, new Predictor(new Relations()), 1 << 20);
      like.openLike(open);
      like.read(trace);
      assertEquals(replay.costs(), like.costs());
    }
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
      Replay replay = new Replay(database, new Predictor(new Relations()), 64 * 4096, 200);
      replay.open(64 * 4096);
      replay.read(scan);
      int first = replay.roundTrips;
      replay.read(scan);
      int second = replay.roundTrips - first;
      assertTrue(first < 50, first + " round trips");
      assertTrue(second <= first + 10, second + " round trips after " + first);
    }
  }

  /** So small that it does not hold the upper pages either: they are read again and again. */
  @Test
  void rowsAnywhereBesideASmallCacheBringLittleThatIsNotNeeded() throws Exception {
    String small = "PRAGMA page_size = 512;" + ROWS;
    try (RealDatabase database = RealDatabase.make(folder, "small-cache.db", small)) {
      Random random = new Random(3);
      StringBuilder sql = new StringBuilder("BEGIN;\n");
      for (int i = 0; i < 1000; i++) {
        sql.append("SELECT pad FROM t WHERE id = ").append(1 + random.nextInt(5000)).append(";\n");
      }
      List<Long> trace = database.pagesRead(sql + "COMMIT;");
      Replay without = new Replay(database, new Predictor(new Relations()), 0, 40);
      without.open(0);
      without.read(trace);
      Replay with = new Replay(database, new Predictor(new Relations()), 64 * 512, 40);
      with.open(20 * 512);
      with.read(trace);
      assertTrue(with.roundTrips <= without.roundTrips, with.roundTrips + " round trips");
      assertTrue(
          with.fetched < 1.1 * without.fetched,
          with.fetched + " pages were fetched, and " + without.fetched + " without");
    }
  }

  @Test
  void whoOpensAnewIsNotTakenForOneThatReadsOn() throws Exception {
    String small = "PRAGMA page_size = 512;" + ROWS;
    try (RealDatabase database = RealDatabase.make(folder, "anew.db", small)) {
      List<Long> trace = database.pagesRead("SELECT pad FROM t WHERE id = 3000;");
      Predictor predictor = new Predictor(new Relations());
      for (int i = 0; i < 4; i++) {
        Replay replay = new Replay(database, predictor, 1 << 20);
        replay.open(512);
        replay.read(trace);
        assertEquals(replay.needed(), replay.fetched, "after " + i + " others");
      }
    }
  }

  @Test
  void oneRoundAtATimeAndOneThatIsGivenUpIsOver() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "rounds.db", ROWS)) {
      Predictor predictor = new Predictor(new Relations());
      Round round = predictor.opened(database.shape, database.page(1), 1 << 20);
      assertNotNull(round);
      assertNull(predictor.opened(database.shape, database.page(1), 1 << 20));
      round.take(List.of());
      assertTrue(round.wanted().length > 0);
      round.close();
      assertEquals(0, round.wanted().length);
      assertNotNull(predictor.opened(database.shape, database.page(1), 1 << 20));
    }
  }

  @Test
  void aPageThatChangedIsSentAgainAndOthersAreNot() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "again.db", ROWS)) {
      Predictor predictor = new Predictor(new Relations());
      Set<Long> had = new HashSet<>();
      List<Long> scan = database.pagesRead("SELECT length(pad) FROM t WHERE id < 1500;");
      for (long page : scan) {
        if (had.add(page)) {
          had.addAll(
              play(database, predictor, new PageImage(page, 1, 0, bytes(database, page)), 1));
        }
      }
      assertTrue(had.size() > 80, had.size() + " pages");
      // Of version 2 two leaves are read again; of what lies behind them, nothing else has changed.
      List<Long> again = new ArrayList<>();
      for (long page : scan.subList(scan.size() - 40, scan.size() - 36)) {
        again.addAll(
            play(database, predictor, new PageImage(page, 2, 0, bytes(database, page)), 2));
      }
      assertFalse(again.isEmpty());
      again.retainAll(had);
      assertEquals(List.of(), again);
    }
  }

  @Test
  void manyThreadsOfASessionShareOneAndLeaveItFree() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "threads.db", ROWS)) {
      Predictor predictor = new Predictor(new Relations());
      List<Long> scan = database.pagesRead("SELECT length(pad) FROM t INDEXED BY t_a ORDER BY a;");
      ExecutorService threads = Executors.newFixedThreadPool(4);
      List<Future<?>> ends = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        int from = i * 50;
        ends.add(
            threads.submit(
                () -> {
                  for (long page : scan.subList(from, from + 150)) {
                    play(database, predictor, database.page(page), 1 + page % 3);
                  }
                }));
      }
      for (Future<?> end : ends) {
        end.get(1, TimeUnit.MINUTES);
      }
      threads.shutdown();
      int alone = trips(database, new Predictor(new Relations()), scan);
      int after = trips(database, predictor, scan);
      assertTrue(after <= 2 * alone, after + " round trips, " + alone + " without the others");
    }
  }

  private static int openedWith(RealDatabase database, int pages) {
    Replay replay = new Replay(database, new Predictor(new Relations()), 0);
    replay.open((long) pages * database.shape.pageSize());
    return replay.opened - 1;
  }

  @Test
  void anOpenBringsNoLevelOfWhichMostWouldStayBehind() throws Exception {
    String sql =
        "PRAGMA page_size = 512;" + ROWS + "DROP TABLE w; DROP INDEX t_down; DROP INDEX t_nocase;";
    try (RealDatabase database = RealDatabase.make(folder, "levels.db", sql)) {
      int all = openedWith(database, 1000);
      assertTrue(all > 50, all + " interior pages");
      int first = openedWith(database, 10);
      assertEquals(first, openedWith(database, all / 3), "a third of the last level");
      assertEquals(all * 2 / 3, openedWith(database, all * 2 / 3), "two thirds");
    }
  }

  @Test
  void whatALongerVersionHadIsNotWantedOfAShorterOne() throws Exception {
    try (RealDatabase database = RealDatabase.make(folder, "lengths.db", ROWS)) {
      List<Long> reads = new ArrayList<>();
      for (int i = 1; i < 14; i++) {
        String key = " WHERE %s = " + i * 443;
        reads.addAll(database.pagesRead("SELECT pad FROM t" + key.formatted("a") + ";"));
        reads.addAll(database.pagesRead("SELECT v FROM w" + key.formatted("k") + ";"));
        reads.addAll(database.pagesRead("SELECT pad FROM t" + key.formatted("id") + ";"));
      }
      Predictor predictor = new Predictor(new Relations());
      long pages = database.shape.pageCount();
      Random random = new Random(11);
      int ofShorter = 0;
      for (int round = 0; round < 30; round++) {
        Collections.rotate(reads, random.nextInt(reads.size()));
        for (long page : reads) {
          boolean isOfShort = page <= pages / 2 && random.nextBoolean();
          ofShorter += isOfShort ? 1 : 0;
          Shape shape =
              isOfShort
                  ? new Shape(1, database.shape.pageSize(), pages / 2)
                  : new Shape(2, database.shape.pageSize(), pages);
          play(database, predictor, database.page(page), shape);
        }
      }
      assertTrue(ofShorter > 1000, ofShorter + " reads of the shorter version");
    }
  }

  private static ByteBuffer bytes(RealDatabase database, long page) {
    return database.page(page).data();
  }

  /** The pages that come when one is asked for. */
  private static List<Long> play(
      RealDatabase database, Predictor predictor, PageImage page, long version) {
    Shape shape = new Shape(version, database.shape.pageSize(), database.shape.pageCount());
    return play(database, predictor, page, shape);
  }

  private static List<Long> play(
      RealDatabase database, Predictor predictor, PageImage page, Shape shape) {
    List<Long> sent = new ArrayList<>();
    Round round = predictor.demanded(shape, List.of(page), 1 << 20);
    if (round == null) {
      return sent;
    }
    try (round) {
      List<PageImage> read = new ArrayList<>();
      do {
        round.take(read).forEach(image -> sent.add(image.number()));
        read.clear();
        for (long wanted : round.wanted()) {
          assertTrue(wanted <= shape.pageCount(), "page " + wanted + " of " + shape);
          read.add(database.page(wanted));
        }
      } while (!read.isEmpty());
    }
    return sent;
  }
}
