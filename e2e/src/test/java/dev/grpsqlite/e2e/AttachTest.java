package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.e2e.FaultProxy.Fault;
import java.nio.file.Path;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P1, P2 and P5 of transactions over several attached databases of one server. */
class AttachTest {
  /** {@code -Dgrpsqlite.attachKills=N} is for more of them: N clients, N / 8 servers. */
  private static final int KILLS = Integer.getInteger("grpsqlite.attachKills", 120);

  private static final int MOST_PAUSE_MS = 100;
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void p1_twoDatabasesAreCommittedTogether(Kind kind) throws Exception {
    assertEquals(
        "18 combinations\n",
        kind.client(folder)
            .python("attach.py", "transactions", Kind.freshName("attached"), "2")
            .ok());
  }

  @Test
  void p1_fiveDatabasesAreCommittedTogether() throws Exception {
    assertEquals(
        "6 combinations\n",
        Kind.ROCKSDB
            .client(folder)
            .python("attach.py", "transactions", Kind.freshName("attached"), "5")
            .ok());
  }

  @ParameterizedTest
  @EnumSource(names = {"ROCKSDB", "FDB"})
  void p1_aKilledClientLeavesAllOrNothing(Kind kind) throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Finished run =
        kind.client(folder)
            .python("attach.py", "kills", Kind.freshName("a"), "" + KILLS, "" + seed);
    System.out.print("AttachTest: " + run.out());
    Kills.assertBothOutcomes(run, KILLS, "-Dgrpsqlite.seed=" + seed);
  }

  @ParameterizedTest
  @EnumSource(names = {"ROCKSDB", "FDB"})
  void p2_acknowledgedTransactionsSurviveKillsOfTheServer(Kind kind) throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    long acknowledged;
    try (ServerProcess server = kind.start(Folders.make("attach-kills"))) {
      Client client = new Client(folder, server.url());
      try (Program writer = client.startPython("attach.py", "write", "one.db", "two.db")) {
        writer.readTo("writing");
        acknowledged =
            Kills.ofServer(
                server,
                writer,
                KILLS / 8,
                MOST_PAUSE_MS,
                new Random(seed),
                "-Dgrpsqlite.seed=" + seed);
      }
      System.out.print(
          "AttachTest: "
              + client.python("attach.py", "check", "one.db", "two.db", "" + acknowledged).ok());
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void p5_aTransactionWhoseAnswerIsLostIsAppliedOnceAndSucceeds(Kind kind) throws Exception {
    String one = Kind.freshName("lost");
    String two = Kind.freshName("lost");
    String both = "BEGIN|INSERT INTO main.t VALUES (randomblob(5000))|INSERT INTO two.t VALUES (1)";
    try (FaultProxy proxy = new FaultProxy(kind.server().port());
        Program session = new Client(folder, proxy.url()).startPython("session.py", one)) {
      session.readTo("--");
      run(session, "ATTACH '" + two + "' AS two|CREATE TABLE main.t (x)|CREATE TABLE two.t (x)");
      for (int lost = 1; lost <= 5; lost++) {
        run(session, both);
        proxy.inject(Fault.LOSE_ANSWER);
        assertEquals("", answer(session, "COMMIT"));
        assertEquals(lost, proxy.fired(Fault.LOSE_ANSWER), "the answer was not lost");
        assertEquals(
            lost + "|" + lost + "\n",
            answer(session, "SELECT (SELECT count(*) FROM main.t), (SELECT count(*) FROM two.t)"));
      }
      session.finish().ok();
    }
    assertEquals(
        "5\n5\nok\n",
        kind.client(folder)
            .shell(
                one,
                "ATTACH '"
                    + two
                    + "' AS two; SELECT count(*) FROM main.t; SELECT count(*) FROM two.t;"
                    + " PRAGMA integrity_check;")
            .ok());
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aSmallTransactionOverTwoDatabasesIsOneRpc(Kind kind) throws Exception {
    try (Program session = kind.client(folder).startPython("session.py", Kind.freshName("one"))) {
      session.readTo("--");
      run(session, "ATTACH '" + Kind.freshName("two") + "' AS two|CREATE TABLE main.t (x)");
      run(session, "CREATE TABLE two.u (x)|INSERT INTO t VALUES (0)|INSERT INTO u VALUES (0)");
      for (int i = 0; i < 5; i++) {
        long before = rpcs(session);
        run(session, "BEGIN|UPDATE t SET x = x + 1|UPDATE u SET x = x + 1|COMMIT");
        assertEquals(before + 1, rpcs(session));
      }
      assertEquals("5|5\n", answer(session, "SELECT t.x, u.x FROM t, u"));
      session.finish().ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "FILES", "FILES_NOT_ATOMIC"})
  void besideALocalFileItWorks(Kind kind) throws Exception {
    Path local = folder.resolve("local.db");
    String database = Kind.freshName("mixed");
    String sql =
        "ATTACH 'file:%s?vfs=unix' AS l; CREATE TABLE main.t (x); CREATE TABLE l.t (x);"
            + " BEGIN; INSERT INTO main.t VALUES (1); INSERT INTO l.t VALUES (2); COMMIT;"
            + " SELECT * FROM main.t; SELECT * FROM l.t; PRAGMA integrity_check;";
    assertEquals(
        "1\n2\nok\n", kind.client(folder).shell(database, sql.formatted(local) + "\n").ok());
    Client client = kind.client(folder);
    assertEquals("2\n", client.localShell(local, "SELECT * FROM t;").ok());
    assertEquals("1\n", client.shell(database, "SELECT * FROM t;").ok());
  }

  /** Statements, one after the other, that have no answer. */
  private static void run(Program session, String statements) throws Exception {
    for (String sql : statements.split("\\|", -1)) {
      assertEquals("", answer(session, sql), sql);
    }
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
