package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A forum, whose tables are read with one another: by sessions that know nothing, and by later
 * ones.
 */
class JoinsTest {
  private static final int POSTS = 40_000;
  private static final int USERS = 4_000;
  private static final long CREDIT = 4 << 20;

  @TempDir static Path folder;
  private static RealDatabase forum;

  private static String rows(int count, String insert) {
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        + count
        + ") "
        + insert
        + " FROM n;\n";
  }

  @BeforeAll
  static void make() throws Exception {
    RealDatabase.compileTrace(folder);
    forum =
        RealDatabase.make(
            folder,
            "forum.db",
            """
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT);
            CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INT, tag_id INT, slug TEXT, body TEXT);
            CREATE TABLE comments (id INTEGER PRIMARY KEY, post_id INT, user_id INT, body TEXT);
            BEGIN;
            """
                + rows(USERS, "INSERT INTO users SELECT i, email(i), 'Name ' || i")
                    .replace("email(i)", "'user-' || (i * 7654321 % 15485863)")
                + rows(500, "INSERT INTO tags SELECT i, 'tag ' || i")
                + rows(
                    POSTS,
                    "INSERT INTO posts SELECT i, i %% %d + 1, i %% 500 + 1, 'post-' || (i * 7654321 %% 15485863),"
                            .formatted(USERS)
                        + " hex(zeroblob(600))")
                + rows(
                    POSTS,
                    "INSERT INTO comments SELECT i, i, (i * 31) %% %d + 1, hex(zeroblob(50))"
                        .formatted(USERS))
                + """
                COMMIT;
                CREATE UNIQUE INDEX posts_slug ON posts (slug);
                CREATE INDEX posts_user ON posts (user_id);
                CREATE INDEX comments_post ON comments (post_id);
                """);
  }

  @AfterAll
  static void close() throws Exception {
    forum.close();
  }

  private static String post(int id, String columns, String join) {
    return "SELECT %s FROM posts p %s WHERE p.slug = 'post-%d';\n"
        .formatted(columns, join, id * 7654321L % 15485863);
  }

  private static String withAuthor(int id) {
    return post(id, "p.body, u.name", "JOIN users u ON u.id = p.user_id");
  }

  private static String pageOf(int user) {
    return """
        SELECT p.slug, g.name, c.body, a.name FROM users u
          JOIN posts p ON p.user_id = u.id JOIN tags g ON g.id = p.tag_id
          JOIN comments c ON c.post_id = p.id JOIN users a ON a.id = c.user_id
          WHERE u.email = 'user-%d';
        """
        .formatted(user * 7654321L % 15485863);
  }

  /** A session from its open on. */
  private static Replay session(Relations relations, String sql) throws Exception {
    List<Long> trace = forum.pagesRead(sql);
    Replay replay = new Replay(forum, new Predictor(relations), CREDIT);
    replay.open(1 << 20);
    replay.read(trace);
    assertEquals(0, replay.twice, sql);
    return replay;
  }

  private static int trips(Replay replay) {
    return replay.roundTrips - 1;
  }

  @Test
  void aRowsJoinIsFollowedBySessionsThatComeLater() throws Exception {
    Relations relations = new Relations();
    assertEquals(3, trips(session(relations, withAuthor(POSTS / 3))));
    session(relations, withAuthor(POSTS / 2)); // Once may be chance, for users are few.
    session(relations, withAuthor(POSTS / 4));
    for (int i = 2; i < 6; i++) {
      Replay replay = session(relations, withAuthor(i * 5557));
      assertEquals(2, trips(replay), "the index and the row, with its author");
    }
  }

  /** It costs a round trip, so it has to be seldom, and over at once. */
  @Test
  void whatIsHeldBackToBeSeenAgainIsSeenAtOnce() throws Exception {
    List<Long> trace = forum.pagesRead(withAuthor(POSTS / 3));
    Predictor predictor = new Predictor(new Relations());
    StringBuilder trips = new StringBuilder();
    for (int i = 0; i < 400; i++) {
      Replay replay = new Replay(forum, predictor, CREDIT);
      replay.open(1 << 20);
      replay.read(trace);
      trips.append(trips(replay));
    }
    String learned = trips.substring(20);
    assertTrue(!learned.contains("33"), learned);
    long more = learned.chars().filter(each -> each != '2').count();
    assertTrue(more <= learned.length() / 40, more + " of " + learned);
  }

  @Test
  void aJoinOfFiveTablesIsRecognisedWhileItIsRead() throws Exception {
    Replay replay = session(new Relations(), pageOf(USERS / 3));
    assertTrue(trips(replay) <= 14, trips(replay) + " round trips of 34 pages");
    assertTrue(replay.ratio() < 1.3, "fetched / needed = " + replay.ratio());
  }

  @Test
  void aJoinOfFiveTablesIsKnownToLaterSessions() throws Exception {
    Relations relations = new Relations();
    session(relations, pageOf(USERS / 3));
    int all = 0;
    for (int i = 1; i <= 10; i++) {
      Replay replay = session(relations, pageOf(i * 331));
      all += trips(replay);
      assertTrue(trips(replay) <= 12, trips(replay) + " round trips");
    }
    assertTrue(all <= 75, all + " round trips of ten sessions");
  }

  @Test
  void whoDoesNotJoinAnyMoreIsSentLittleOfIt() throws Exception {
    Relations relations = new Relations();
    for (int i = 5; i <= 15; i++) {
      session(relations, withAuthor(i * 2009));
    }
    int needed = 0;
    int fetched = 0;
    for (int i = 1; i <= 50; i++) {
      Replay replay = session(relations, post(i * 101, "p.body", ""));
      assertEquals(2, trips(replay));
      needed += 2;
      fetched += replay.fetched - replay.opened;
    }
    assertTrue(fetched > needed, "that rows lead to others was not known");
    assertTrue(fetched <= needed + 32, fetched + " fetched, " + needed + " needed");
  }

  @Test
  void pointsOfAnyTablesCostNoMoreThanWithout() throws Exception {
    Random random = new Random(5);
    StringBuilder sql = new StringBuilder("BEGIN;\n");
    for (int i = 1; i <= 60; i++) {
      int user = 1 + random.nextInt(USERS);
      int commented = 1 + random.nextInt(POSTS);
      sql.append("SELECT name FROM users WHERE id = ").append(user).append(";\n");
      sql.append(post(1 + random.nextInt(POSTS), "body", ""));
      sql.append("SELECT body FROM comments WHERE post_id = ").append(commented).append(";\n");
    }
    sql.append("COMMIT;\n");
    List<Long> trace = forum.pagesRead(sql.toString());
    Replay without = new Replay(forum, new Predictor(new Relations()), 0);
    without.open(1 << 20);
    without.read(trace);
    Replay with = session(new Relations(), sql.toString());
    assertTrue(with.roundTrips <= without.roundTrips, with.roundTrips + " round trips");
    assertTrue(with.ratio() < 1.3, "fetched / needed = " + with.ratio());
    assertTrue(with.reads <= 8 * trace.size(), with.reads + " reads");
  }
}
