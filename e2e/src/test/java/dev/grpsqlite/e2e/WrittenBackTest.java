package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Pages of a large transaction, which are at the server ahead of its end, and which it then makes
 * again what they were: the end is to have them as they are, not as they were when they left.
 */
class WrittenBackTest {
  /** 9 MB, of which a client keeps one. */
  private static final String MUCH =
      "INSERT INTO t SELECT value, randomblob(3000) FROM generate_series(10001, 13000);";

  private static final String NUMBERS =
      """
      CREATE TABLE t (id INTEGER PRIMARY KEY, b); CREATE TABLE s (id INTEGER PRIMARY KEY, v);
      INSERT INTO s SELECT value, 100 FROM generate_series(1, 2000);
      """;

  @TempDir Path folder;

  private void assertEveryoneReads(String expected, Kind kind, String sql, String query)
      throws Exception {
    Client client = kind.client(folder).with("GRPSQLITE_BUFFER_MB", "1");
    String database = Kind.freshName("back");
    String check = query + " PRAGMA integrity_check;";
    assertEquals(expected, client.shell(database, sql + check).ok(), "who wrote it");
    assertEquals(expected, client.shell(database, check).ok(), "another");
  }

  @ParameterizedTest
  @EnumSource
  void aRollbackLeavesAllAsItWas(Kind kind) throws Exception {
    // SQLite's journal lacks what free pages had: so its rollback writes pages that differ.
    assertEveryoneReads(
        "1000|3000000\nok\n",
        kind,
        """
        CREATE TABLE t (id INTEGER PRIMARY KEY, b);
        INSERT INTO t SELECT value, randomblob(3000) FROM generate_series(1, 2000);
        DELETE FROM t WHERE id % 2 = 0;
        BEGIN;
        """
            + MUCH
            + "ROLLBACK;",
        "SELECT count(*), sum(length(b)) FROM t;");
  }

  @ParameterizedTest
  @EnumSource
  void rowsThatAreChangedBackAreCommittedSo(Kind kind) throws Exception {
    assertEveryoneReads(
        "2000|200000|3000\nok\n",
        kind,
        NUMBERS + "BEGIN; UPDATE s SET v = v + 1;" + MUCH + "UPDATE s SET v = v - 1; COMMIT;",
        "SELECT count(*), sum(v), (SELECT count(*) FROM t) FROM s;");
  }

  @ParameterizedTest
  @EnumSource
  void aSavepointThatIsRolledBackIsCommittedSo(Kind kind) throws Exception {
    assertEveryoneReads(
        "2000|200000|1\nok\n",
        kind,
        NUMBERS
            + "BEGIN; INSERT INTO t VALUES (0, 0); SAVEPOINT p; UPDATE s SET v = 7;"
            + MUCH
            + "ROLLBACK TO p; RELEASE p; COMMIT;",
        "SELECT count(*), sum(v), (SELECT count(*) FROM t) FROM s;");
  }
}
