package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.e2e.FaultProxy.Fault;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P5 where it matters: the commit was applied, and nobody heard of it. */
class LostAnswerTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void p5_aCommitWhoseAnswerIsLostIsAppliedOnceAndSucceeds(Kind kind) throws Exception {
    String database = Kind.freshName("lost");
    try (FaultProxy proxy = new FaultProxy(kind.server().port());
        Program session = new Client(folder, proxy.url()).startPython("session.py", database)) {
      session.readTo("--");
      assertEquals("", answer(session, "CREATE TABLE t (x)"));
      for (int lost = 1; lost <= 5; lost++) {
        proxy.inject(Fault.LOSE_ANSWER);
        assertEquals("", answer(session, "INSERT INTO t VALUES (randomblob(5000))"));
        assertEquals(lost, proxy.fired(Fault.LOSE_ANSWER), "the answer was not lost");
        assertEquals(lost + "\n", answer(session, "SELECT count(*) FROM t"));
      }
      // Several times in a row.
      for (int lost = 0; lost < 3; lost++) {
        proxy.inject(Fault.LOSE_ANSWER);
      }
      assertEquals("", answer(session, "INSERT INTO t VALUES (randomblob(5000))"));
      assertEquals(8, proxy.fired(Fault.LOSE_ANSWER));
      assertEquals("6\n", answer(session, "SELECT count(*) FROM t"));
      session.finish().ok();
      assertEquals(
          "6\nok\n",
          kind.client(folder)
              .shell(database, "SELECT count(*) FROM t; PRAGMA integrity_check;")
              .ok());
    }
  }

  private static String answer(Program session, String sql) throws Exception {
    session.send(sql + "\n");
    return session.readTo("--");
  }
}
