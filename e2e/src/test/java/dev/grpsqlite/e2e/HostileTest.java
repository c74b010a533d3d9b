package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * All attacks at once on a server with small limits, while an honest client works. How much slower
 * it gets is measured by {@code make bench}.
 */
class HostileTest {
  /** It ends when it has met each limit often enough. */
  private static final int SECONDS = 60;

  private static final int PAUSE_MS = 20;
  private static final int RATE = 400;
  private static final long MEBIBYTE = 1 << 20;

  /** What there is from the start, and RocksDB's write buffers and logs as they come and go. */
  private static final long FOLDER_SLACK_BYTES = 48 * MEBIBYTE;

  /** What clients do wrong is the clients' to know: they could fill the disk with it. */
  private static final int MOST_LOGGED = 16 << 10;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void theServerRefusesForgetsAndGoesOn(Kind kind) throws Exception {
    Path home = Folders.make("hostile");
    try (ServerProcess server =
        kind.start(
            home,
            ("--session-ttl-ms 5000 --metrics-listen 127.0.0.1:0 --stall-ms 1000"
                    + " --connection-idle-ms 1000 --max-connections-per-address 200"
                    + " --max-sessions 1000 --max-sessions-per-identity 60 --max-views 20000"
                    + " --max-staged-bytes-total 67108864 --max-staged-bytes-per-identity 50331648"
                    + " --max-call-bytes 16777216")
                .split(" ", -1))) {
      Client client = new Client(home, server.url());
      try (Session honest = Session.open(client, "honest.db")) {
        assertEquals("", honest.answer("CREATE TABLE t (a)"));
        long folderBefore = Attack.folderBytes(home.resolve("data"));
        // The last one would leave no sessions for the others.
        Honest work = new Honest(honest);
        String counts =
            attack(client, server, work, "fuzz", "connections", "staging", "unfinished")
                + attack(client, server, work, "sessions");
        int commits = work.commits;
        System.out.println(kind + ", " + commits + " honest commits beside\n" + counts);
        assertTrue(server.isAlive(), server.log());
        // Each of them was there, and met its limit.
        for (String did :
            new String[] {
              "fuzz: .*\\d+ requests.*",
              "connections: .*\\d+ refused.*",
              "staging: .*\\d+ refused, \\d+ staged messages.*",
              "sessions: .*\\d+ sessions.*",
            }) {
          assertTrue(counts.lines().anyMatch(line -> line.matches(did)), did + " in " + counts);
        }
        for (String limit : new String[] {"connections_per_address", "call_bytes", "stall"}) {
          assertTrue(
              server.metric("grpsqlite_refused_total", "\"" + limit + "\"") > 0, limit + counts);
        }

        // The honest one's session, its view, and nothing else.
        awaitMetric(server, "grpsqlite_sessions", 1);
        awaitMetric(server, "grpsqlite_views", 1);
        awaitMetric(server, "grpsqlite_staged_bytes", 0);
        awaitMetric(server, "grpsqlite_call_bytes", 64 << 10);
        awaitMetric(server, "grpsqlite_connections", 16);
        String log = server.log();
        assertTrue(
            log.length() < MOST_LOGGED,
            () -> log.length() + " characters in the log: " + log.substring(0, MOST_LOGGED));
        Await.until(
            "the folder to be as it was",
            Duration.ofMinutes(1),
            () -> Attack.folderBytes(home.resolve("data")) <= folderBefore + FOLDER_SLACK_BYTES,
            () -> folderBefore + " bytes it had; now there are " + folder(home));

        assertEquals("ok\n", honest.answer("PRAGMA integrity_check"));
        assertEquals(
            commits + "|" + (commits - 1) + "\n",
            honest.answer("SELECT count(DISTINCT a), max(a) FROM t"));
        honest.finish();
      }
      // Whoever comes anew finds it so too.
      assertTrue(
          Integer.parseInt(client.shell("honest.db", "SELECT count(*) FROM t;").ok().trim()) > 0);
    } finally {
      Folders.delete(home);
    }
  }

  /** Returns what the attackers say that they did, while the honest client went on. */
  private static String attack(Client client, ServerProcess server, Honest work, String... kinds)
      throws Exception {
    try (Program attack =
        Attack.start(client.with("ENOUGH", "1"), 0, server.port(), SECONDS, RATE, kinds)) {
      while (attack.isAlive()) {
        work.one();
      }
      return attack.finish().ok();
    }
  }

  /** Commits that are all there. */
  private static final class Honest {
    private final Session session;
    private int commits;

    Honest(Session session) {
      this.session = session;
    }

    void one() throws Exception {
      String answer = session.answer("INSERT INTO t VALUES (" + commits + ")");
      assertEquals("", answer, () -> lastError(session));
      commits++;
      assertEquals(commits + "\n", session.answer("SELECT count(*) FROM t"));
      // Its versions are kept for a time, and are not what the folder has to lose.
      Thread.sleep(PAUSE_MS);
    }
  }

  private static String folder(Path home) {
    try {
      return Attack.folderBytes(home.resolve("data")) + " bytes";
    } catch (IOException e) {
      return e.toString();
    }
  }

  private static String lastError(Session session) {
    try {
      return session.answer("PRAGMA grpsqlite_last_error");
    } catch (Exception e) {
      return "PRAGMA grpsqlite_last_error failed: " + e;
    }
  }

  private static void awaitMetric(ServerProcess server, String name, double atMost)
      throws Exception {
    Await.until(
        name + " to be at most " + atMost,
        Duration.ofMinutes(1),
        () -> server.metric(name, "") <= atMost,
        () -> "it is more");
  }
}
