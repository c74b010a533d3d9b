package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Forks and restores, asked for from a stock shell. */
class VersionsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void aForkHasTheContentAndThenGoesItsOwnWay(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String parent = Kind.freshName("parent");
    String fork = Kind.freshName("fork");
    client.shell(parent, "CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);").ok();
    assertEquals(fork + "\n", client.shell(parent, "PRAGMA grpsqlite_fork='" + fork + "';").ok());
    assertEquals("3\n", client.shell(fork, "SELECT sum(x) FROM t;").ok());

    client.shell(fork, "INSERT INTO t VALUES (10);").ok();
    client.shell(parent, "INSERT INTO t VALUES (100);").ok();

    assertEquals(
        "13\nok\n", client.shell(fork, "SELECT sum(x) FROM t; PRAGMA integrity_check;").ok());
    assertEquals(
        "103\nok\n", client.shell(parent, "SELECT sum(x) FROM t; PRAGMA integrity_check;").ok());
    assertEquals(
        "13\nok\n",
        client.shell(fork, "VACUUM; SELECT sum(x) FROM t; PRAGMA integrity_check;").ok());
  }

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void aRestoreIsACommitThatReadersSee(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("restored");
    client.shell(database, "CREATE TABLE t (x);").ok();
    String version = client.shell(database, "PRAGMA grpsqlite_version;").ok().strip();
    client.shell(database, "INSERT INTO t SELECT value FROM generate_series(1, 5000);").ok();
    try (Program reader = client.openShell(database)) {
      reader.send("SELECT count(*) FROM t;\n.print before\n");
      assertEquals("5000\n", reader.readTo("before"));
      client.shell(database, "PRAGMA grpsqlite_restore=" + version + ";").ok();
      reader.send("SELECT count(*) FROM t; PRAGMA integrity_check;\n");
      assertEquals("0\nok\n", reader.finish().ok());
    }
  }

  @Test
  void aServerThatCannotSaysSo() throws Exception {
    String database = Kind.freshName("plain");
    Client client = Kind.MEMORY.client(folder);
    client.shell(database, "CREATE TABLE t (x);").ok();
    Finished refused = client.shell(database, "PRAGMA grpsqlite_fork='other.db';");
    assertNotEquals(0, refused.exit(), refused.toString());
    assertTrue(refused.err().contains("cannot fork databases"), refused.toString());
  }
}
