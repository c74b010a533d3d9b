package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What real queries cost, from the pages that SQLite reads for them, on a database that is packed
 * and on one whose pages lie anywhere. The table of all of them is printed.
 */
class TracedQueriesTest {
  private static final int POSTS = 40_000;
  private static final int USERS = 4_000;
  private static final long CREDIT = 4 << 20;
  private static final long OPEN_CREDIT = 1 << 20;

  private static final String SCHEMA =
      """
      PRAGMA page_size = 4096;
      PRAGMA journal_mode = OFF;
      PRAGMA synchronous = OFF;
      CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, city INT);
      CREATE TABLE cities (id INTEGER PRIMARY KEY, name TEXT, country INT);
      CREATE TABLE posts (id INTEGER PRIMARY KEY, user INT, at INT, title TEXT, body TEXT);
      CREATE TABLE comments (id INTEGER PRIMARY KEY, post INT, user INT, text TEXT);
      CREATE TABLE tags (id INTEGER PRIMARY KEY, post INT, tag TEXT);
      CREATE TABLE files (id INTEGER PRIMARY KEY, name TEXT, data BLOB);
      CREATE UNIQUE INDEX users_email ON users (email);
      CREATE INDEX posts_at ON posts (at);
      CREATE INDEX posts_user ON posts (user);
      CREATE INDEX comments_post ON comments (post);
      CREATE INDEX tags_post ON tags (post);
      """;

  @TempDir static Path folder;
  private static RealDatabase packed;
  private static RealDatabase fragmented;
  private static final List<String> TABLE = new ArrayList<>();
  private static long allNeeded;
  private static long allFetched;

  /** Rows in the order of {@code number}, which is 1, 2, 3… or anything. */
  private static String rows(String order) {
    return """
        BEGIN;
        CREATE TEMP TABLE numbers AS
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %1$d)
          SELECT i AS number, (i * 2654435761) %% 1000003 AS noise FROM n;
        CREATE TEMP TABLE ordered AS SELECT number, noise FROM numbers ORDER BY %3$s;
        CREATE TEMP TRIGGER fill AFTER INSERT ON posts BEGIN
          INSERT INTO comments SELECT NEW.id * 2, NEW.id, (NEW.id * 31) %% %2$d + 1,
            'comment of ' || NEW.id || hex(zeroblob(30));
          INSERT INTO comments SELECT NEW.id * 2 + 1, NEW.id, (NEW.id * 17) %% %2$d + 1,
            'another of ' || NEW.id || hex(zeroblob(30));
          INSERT INTO tags SELECT NEW.id, NEW.id, 'tag' || (NEW.id %% 50);
          INSERT INTO users SELECT NEW.id, 'user ' || NEW.id, 'u' || ((NEW.id * 7919) %% 100003) || '@example.org',
            NEW.id %% 100 + 1 WHERE NEW.id <= %2$d;
          INSERT INTO files SELECT NEW.id, 'file ' || NEW.id, zeroblob(CASE WHEN NEW.id %% 10 < 5 THEN 100 ELSE 9000 END)
            WHERE NEW.id <= 500;
        END;
        INSERT INTO cities SELECT number, 'city ' || number, number %% 10 FROM numbers WHERE number <= 100;
        INSERT INTO posts SELECT number, number * 7 %% %2$d + 1, noise, 'title ' || number,
          'body of ' || number || hex(zeroblob(100)) FROM ordered;
        INSERT INTO files VALUES (1000, 'large', zeroblob(1000000));
        COMMIT;
        """
        .formatted(POSTS, USERS, order);
  }

  @BeforeAll
  static void make() throws Exception {
    RealDatabase.compileTrace(folder);
    packed = RealDatabase.make(folder, "packed.db", SCHEMA + rows("number") + "VACUUM;");
    fragmented = RealDatabase.make(folder, "fragmented.db", SCHEMA + rows("noise"));
  }

  @AfterAll
  static void show() throws Exception {
    System.out.printf(
        "%-34s %-10s %7s %7s %7s %7s %6s %6s %6s %6s%n",
        "query",
        "database",
        "needed",
        "without",
        "with",
        "fetched",
        "open",
        "ratio",
        "looked",
        "reads");
    TABLE.forEach(System.out::println);
    System.out.printf("all: fetched / needed = %.3f%n", (double) allFetched / allNeeded);
    packed.close();
    fragmented.close();
    assertTrue(allFetched < 1.3 * allNeeded, "of all pages fetched, too few were needed");
  }

  /** Both databases, from an open on; the round trips after the open. */
  private static void check(String name, String sql, Predicate<Replay> isGood) throws Exception {
    Map<String, RealDatabase> databases = new LinkedHashMap<>();
    databases.put("packed", packed);
    databases.put("fragmented", fragmented);
    for (Map.Entry<String, RealDatabase> each : databases.entrySet()) {
      List<Long> trace = each.getValue().pagesRead(sql);
      Replay without = new Replay(each.getValue(), new Predictor(new Relations()), 0);
      without.open(0);
      without.read(trace);
      Replay with = new Replay(each.getValue(), new Predictor(new Relations()), CREDIT);
      Replay.Open open = with.open(OPEN_CREDIT);
      with.read(trace);
      Replay like = new Replay(each.getValue(), new Predictor(new Relations()), CREDIT);
      like.openLike(open);
      like.read(trace);
      String line =
          "%-34s %-10s %7d %7d %7d %7d %6d %6.2f %6d %6d"
              .formatted(
                  name,
                  each.getKey(),
                  with.needed(),
                  without.roundTrips - 1,
                  with.roundTrips - 1,
                  with.fetched,
                  with.opened,
                  with.ratio(),
                  with.looked,
                  with.reads);
      TABLE.add(line);
      allNeeded += with.needed();
      allFetched += with.fetched;
      assertEquals(0, with.twice, line);
      assertEquals(with.costs(), like.costs(), "opened as another did: " + line);
      assertTrue(with.roundTrips <= without.roundTrips, line);
      assertTrue(isGood.test(with), line);
    }
  }

  private static int trips(Replay replay) {
    return replay.roundTrips - 1;
  }

  @Test
  void aScanDoublesAndWastesNothing() throws Exception {
    check("scan", "SELECT sum(length(body)) FROM posts;", r -> trips(r) <= 15 && r.ratio() < 1.1);
  }

  @Test
  void aScanBackwardsToo() throws Exception {
    check(
        "scan backwards",
        "SELECT length(body) FROM posts ORDER BY id DESC;",
        r -> trips(r) <= 15 && r.ratio() < 1.1);
  }

  @Test
  void aScanOfAnIndex() throws Exception {
    check(
        "scan of an index",
        "SELECT count(*) FROM posts INDEXED BY posts_at WHERE at >= 0;",
        r -> trips(r) <= 10 && r.ratio() < 1.2);
  }

  @Test
  void aRangeOfRows() throws Exception {
    check(
        "range of 3000 rows",
        "SELECT sum(length(body)) FROM posts WHERE id BETWEEN 10000 AND 13000;",
        r -> trips(r) <= 12 && r.ratio() < 2);
  }

  @Test
  void aRangeOfASecondaryIndex() throws Exception {
    for (int rows : new int[] {30, 300, 1000}) {
      check(
          "index range, " + rows + " rows",
          "SELECT sum(length(body)) FROM (SELECT body FROM posts INDEXED BY posts_at"
              + " WHERE at >= 300000 ORDER BY at LIMIT "
              + rows
              + ");",
          r -> trips(r) <= 30 && r.ratio() < 2);
    }
    check(
        "index range backwards, 1000 rows",
        "SELECT length(body) FROM posts INDEXED BY posts_at"
            + " WHERE at <= 700000 ORDER BY at DESC LIMIT 1000;",
        r -> trips(r) <= 30 && r.ratio() < 2);
  }

  @Test
  void theRowsOfOneKey() throws Exception {
    check(
        "rows of one key",
        "SELECT sum(length(body)) FROM posts WHERE user = 17;",
        r -> trips(r) <= 6 && r.ratio() < 1.6);
  }

  @Test
  void pointsCostWhatTheyCost() throws Exception {
    Random random = new Random(7);
    StringBuilder sql = new StringBuilder("BEGIN;\n");
    for (int i = 0; i < 200; i++) {
      sql.append("SELECT * FROM posts WHERE id = ").append(1 + random.nextInt(POSTS)).append(";\n");
    }
    check("200 rows by primary key", sql + "COMMIT;", r -> trips(r) <= 220 && r.ratio() < 1.3);
  }

  @Test
  void pointsThroughAnIndex() throws Exception {
    Random random = new Random(8);
    StringBuilder sql = new StringBuilder("BEGIN;\n");
    for (int i = 0; i < 100; i++) {
      sql.append("SELECT * FROM posts INDEXED BY posts_at WHERE at = ")
          .append((1 + random.nextInt(POSTS)) * 2_654_435_761L % 1_000_003)
          .append(";\n");
    }
    check("100 rows by an index", sql + "COMMIT;", r -> trips(r) <= 220 && r.ratio() < 1.3);
  }

  @Test
  void aJoinOfFiveTables() throws Exception {
    check(
        "join of five tables",
        "SELECT * FROM users u JOIN cities c ON c.id = u.city JOIN posts p ON p.user = u.id"
            + " JOIN comments m ON m.post = p.id JOIN tags t ON t.post = p.id WHERE u.id = 77;",
        r -> trips(r) <= 28 && r.ratio() < 1.3);
    check(
        "join, 200 posts",
        "SELECT * FROM posts p JOIN users u ON u.id = p.user JOIN cities c ON c.id = u.city"
            + " JOIN comments m ON m.post = p.id JOIN tags t ON t.post = p.id"
            + " WHERE p.id BETWEEN 5000 AND 5200;",
        r -> trips(r) <= 24 && r.ratio() < 2);
  }

  @Test
  void aLargeBlob() throws Exception {
    check(
        "a blob of 1 MB",
        "SELECT hex(data) FROM files WHERE id = 1000;",
        r -> trips(r) <= 12 && r.ratio() < 1.1 && r.reads <= 40);
  }

  @Test
  void aScanWithOverflow() throws Exception {
    check(
        "scan with overflow",
        "SELECT max(hex(data)) FROM files WHERE id < 900;",
        r -> trips(r) <= 25 && r.ratio() < 1.6);
    check("scan beside overflow", "SELECT count(name) FROM files;", r -> r.ratio() < 1.4);
  }
}
