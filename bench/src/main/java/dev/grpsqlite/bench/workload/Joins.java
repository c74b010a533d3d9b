package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A forum: a post found by its name, and a page of five tables. */
final class Joins implements Workload {
  private static final String DATABASE = "forum.db";
  private static final String TWO = ", lookup and join";
  private static final String FIVE = ", five-way join";
  private static final double DELAY_MS = 4;
  private static final int POSTS_OF_A_USER = 10;
  private static final int TAGS = 500;

  @Override
  public String name() {
    return "joins";
  }

  @Override
  public String about() {
    return "An operation is an open and one query over an empty cache. Lookup and join: a post by a unique"
        + " index, and its author. Five-way: the ten posts of a user that is found by a unique index, each with"
        + " its tag, its comment and that one's author. Posts have 1.2 KiB of text, and a user's are anywhere among"
        + " the others.";
  }

  @Override
  public String tried() {
    return "An open is a round trip, and brings the upper pages of all b-trees along: 3 MB here. They save a "
        + "round trip for each tree later, and take most of the time: to be read, sent and checked. The server "
        + "keeps what it answered to the last opens, so that the next open of a version is that answer again: nothing "
        + "is read, walked or looked up. It gives up to 256 KiB of it to the system at once, where 64 KiB had "
        + "client and server wake each other for each piece. Both together took the whole from 22.1 to 17.6 ms at "
        + "4 ms, and from 6.2 to 3.9 ms at 0 ms (one run each, on a quiet machine; others 20.6 and 21.3). Now and then a "
        + "fourth round trip is needed, for a relation is believed a number of times only, and then has to be seen again: "
        + "of a hundred equal queries 18 did, before what is held back was looked for at once, and then 2. Half a flow control window of the client holds it, so "
        + "that its end does not wait for a round trip. Of what is left, each half a millisecond or more: the "
        + "copies and system calls of the server, the client's checksums and copies. The first turn, over a server "
        + "whose code is not compiled yet, takes several times as long. SQLite then begins two "
        + "transactions, one to read the schema and one for the query; a read delegation, which comes with "
        + "the open, spares both the question whether somebody has committed meanwhile. What follows is found "
        + "out by what earlier queries read: which column of a row leads to which table or index. A relation "
        + "is believed when chance can hardly explain it, after one to three rows; several rows of a walk are "
        + "then followed together. Five tables took 30 round trips without.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    int posts = rig.sizes().posts();
    int users = posts / POSTS_OF_A_USER;
    Path source =
        Sources.make(
            rig,
            "forum",
            "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, name TEXT)",
            "CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT)",
            "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INT, tag_id INT, slug TEXT, body TEXT)",
            "CREATE TABLE comments (id INTEGER PRIMARY KEY, post_id INT, user_id INT, body TEXT)",
            Sources.rows(users)
                + "INSERT INTO users SELECT i, 'user-' || (i * 7919 % 15485863), 'Name ' || i FROM n",
            Sources.rows(TAGS) + "INSERT INTO tags SELECT i, 'tag ' || i FROM n",
            Sources.rows(posts)
                + "INSERT INTO posts SELECT i, i % "
                + users
                + " + 1, i % "
                + TAGS
                + " + 1, 'post-' || (i * 7919 % 15485863), hex(randomblob(600)) FROM n",
            Sources.rows(posts)
                + "INSERT INTO comments SELECT i, i, (i * 31) % "
                + users
                + " + 1, hex(randomblob(50)) FROM n",
            "CREATE UNIQUE INDEX posts_slug ON posts (slug)",
            "CREATE INDEX posts_user ON posts (user_id)",
            "CREATE INDEX comments_post ON comments (post_id)");
    ColdQuery two =
        new ColdQuery(
            DATABASE,
            "SELECT p.body, u.name FROM posts p JOIN users u ON u.id = p.user_id WHERE p.slug = 'post-%d'"
                .formatted((posts / 3) * 7919L % 15485863),
            1);
    ColdQuery five =
        new ColdQuery(
            DATABASE,
            """
            SELECT p.slug, g.name, c.body, a.name FROM users u
              JOIN posts p ON p.user_id = u.id JOIN tags g ON g.id = p.tag_id
              JOIN comments c ON c.post_id = p.id JOIN users a ON a.id = c.user_id
              WHERE u.email = 'user-%d'"""
                .formatted((users / 3) * 7919L % 15485863),
            POSTS_OF_A_USER);
    List<Contender> contenders = new ArrayList<>();
    Place local = rig.local("FULL");
    local.load(source, DATABASE);
    contenders.add(two.in(rig, local, TWO));
    contenders.add(five.in(rig, local, FIVE));
    rig.loadOnce(Rig.ROCKSDB, source, DATABASE);
    for (Place place : rig.remotes(Rig.ROCKSDB, List.of(0.0, DELAY_MS))) {
      contenders.add(two.in(rig, place, TWO));
      contenders.add(five.in(rig, place, FIVE));
    }
    return contenders;
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String place = RemotePlace.name(Rig.ROCKSDB, DELAY_MS);
    return List.of(
        milliseconds(measured, "cold lookup and join, 4 ms, from open", place + TWO, 20),
        new Figure(
            "cold lookup and join, 4 ms: round trips from open",
            "",
            measured.count(place + TWO, Statistics.ROUND_TRIPS).values(),
            Bar.atMost(5)),
        milliseconds(measured, "cold five-way join, 4 ms, from open", place + FIVE, 60));
  }

  private static Figure milliseconds(Measured measured, String what, String place, double bar) {
    return new Figure(
        what,
        "ms",
        measured.seconds(place).values().stream().map(each -> each * 1e3).toList(),
        Bar.atMost(bar));
  }
}
