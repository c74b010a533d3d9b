package dev.grpsqlite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is imported has to be whole. */
class SourceFileTest {
  /** SQLite counts the page that is there in part. */
  @Test
  void aTruncatedFileIsADamagedDatabase(@TempDir Path folder) throws Exception {
    Path path = folder.resolve("truncated.db");
    try (Connection sqlite = DriverManager.getConnection("jdbc:sqlite:" + path);
        Statement statement = sqlite.createStatement()) {
      statement.execute("CREATE TABLE t (x)");
    }
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(5000);
    }
    Refusal wrong = assertThrows(Refusal.class, () -> SourceFile.open(path).close());
    assertEquals(Kind.NO_DATABASE, wrong.kind());
    assertEquals(path + " is damaged: it is shorter than its 2 pages", wrong.getMessage());
  }
}
