package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** How many bytes the same rows take, with compressed pages and without. */
class CompressionTest {
  private static final List<String> MAKE =
      List.of(
          "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, noise BLOB)",
          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
              + " INSERT INTO t SELECT i, 'the name of row number ' || i || ', as a sentence',"
              + " randomblob(20) FROM n");
  private static final String SCAN = "SELECT count(*), sum(length(name)), max(name) FROM t";

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB"})
  void compressedPagesAreFewerBytes(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("compressed");
    String expected;
    try (Session session = Session.open(client, database)) {
      for (String statement : MAKE) {
        assertEquals("", session.answer(statement));
      }
      expected = session.answer(SCAN);
      session.finish();
    }
    long plain = bytesReceived(client, database, "&compression=off", expected);
    long compressed = bytesReceived(client, database, "&compression=lz4", expected);
    System.out.printf("%s: %d bytes plain, %d compressed%n", kind, plain, compressed);
    assertTrue(compressed < plain * 2 / 3, compressed + " bytes instead of " + plain);
    // By default there is no compression on one machine.
    long byDefault = bytesReceived(client, database, "", expected);
    assertTrue(Math.abs(byDefault - plain) < plain / 20, byDefault + " bytes, " + plain);
  }

  private static long bytesReceived(Client client, String database, String options, String expected)
      throws Exception {
    try (Session session = Session.open(client, "file:" + database + "?mode=ro" + options)) {
      assertEquals(expected, session.answer(SCAN));
      String stats = session.answer("PRAGMA grpsqlite_stats");
      Matcher line = Pattern.compile("(?m)^bytes_received (\\d+)$").matcher(stats);
      assertTrue(line.find(), stats);
      assertEquals("ok\n", session.answer("PRAGMA integrity_check"));
      session.finish();
      return Long.parseLong(line.group(1));
    }
  }
}
