package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a transaction costs in round trips, as {@code PRAGMA grpsqlite_stats} counts them. */
class RoundTripsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB"})
  void underAHeldLeaseAWarmReadCostsNoneAndASmallCommitOne(Kind kind) throws Exception {
    try (Program session = kind.client(folder).startPython("session.py", Kind.freshName("trips"))) {
      session.readTo("--");
      answer(session, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
      answer(session, "INSERT INTO t VALUES (1, 'one'), (2, 'two')");
      answer(session, "SELECT * FROM t");

      long before = rpcs(session);
      for (int i = 0; i < 10; i++) {
        assertEquals("1|one\n2|two\n", answer(session, "SELECT * FROM t"));
      }
      assertEquals(before, rpcs(session), "a warm read");

      for (int i = 0; i < 10; i++) {
        before = rpcs(session);
        assertEquals("", answer(session, "UPDATE t SET b = 'change " + i + "' WHERE a = 1"));
        assertEquals(before + 1, rpcs(session), "a small commit");
      }
      session.finish().ok();
    }
  }

  private static String answer(Program session, String sql) throws Exception {
    session.send(sql + "\n");
    return session.readTo("--");
  }

  /** The line "rpcs N". KeepAlives, which no transaction waits for, are not counted there. */
  private static long rpcs(Program session) throws Exception {
    String stats = answer(session, "PRAGMA grpsqlite_stats");
    Matcher line = Pattern.compile("(?m)^rpcs (\\d+)$").matcher(stats);
    assertTrue(line.find(), stats);
    return Long.parseLong(line.group(1));
  }
}
