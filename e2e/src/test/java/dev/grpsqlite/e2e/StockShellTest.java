package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The distribution's own {@code sqlite3}, as it is. */
class StockShellTest {
  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource
  void whatOneShellWroteTheNextOneReads(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("shell");

    client
        .shell(
            database,
            """
            CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);
            INSERT INTO t (b) VALUES ('one'), ('two');
            """)
        .ok();
    assertEquals("1|one\n2|two\n", client.shell(database, "SELECT * FROM t;\n").ok());
    client
        .shell(database, "BEGIN; UPDATE t SET b = upper(b); COMMIT; DELETE FROM t WHERE a=2;")
        .ok();
    assertEquals("1|ONE\n", client.shell(database, "SELECT * FROM t;\n").ok());

    assertEquals(List.of(), filesIn(folder), "local files were made");
  }

  @ParameterizedTest
  @EnumSource
  void noLocalFileIsThereWhileATransactionIsOpen(Kind kind) throws Exception {
    String database = Kind.freshName("shell");
    try (Program shell = kind.client(folder).openShell(database)) {
      shell.send(
          """
          PRAGMA cache_size=5; CREATE TABLE t (a, b); BEGIN;
          INSERT INTO t SELECT value, randomblob(1000) FROM generate_series(1, 500);
          CREATE TEMP TABLE s AS SELECT * FROM t ORDER BY b; SELECT count(*) FROM s;
          .print open
          """);
      assertTrue(shell.readTo("open").endsWith("500\n"));
      assertEquals(List.of(), filesIn(folder), "local files were made");
      shell.send("COMMIT; SELECT count(*) FROM t;\n");
      assertEquals("500\n", shell.finish().ok());
    }
    assertEquals(List.of(), filesIn(folder), "local files were made");
  }

  private static List<String> filesIn(Path folder) throws Exception {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(Path::toString).toList();
    }
  }
}
