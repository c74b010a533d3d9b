package dev.grpsqlite.bench.workload;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** SQLite files that are made once and then put in several places. */
final class Sources {
  private Sources() {}

  /** Rows 1 to a number, as {@code n(i)}, for what follows. */
  static String rows(int count) {
    return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
        + count
        + ") ";
  }

  /** A prime beyond all numbers of rows here: multiplying by another one mixes their order. */
  static final String MIXED = "(i * 7368787) % 15485863";

  /** Makes it unless it is there. */
  static Path make(Rig rig, String name, String... statements) throws SQLException, IOException {
    Path file = rig.folder().resolve("source-" + name + ".db");
    if (!Files.exists(file)) {
      try (Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file)) {
        Place.execute(connection, "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF");
        connection.setAutoCommit(false);
        Place.execute(connection, statements);
        connection.commit();
      }
    }
    return file;
  }

  /**
   * A table {@code t (id, k, pad)} of about that size, inserted in the order of its key and indexed
   * by {@code k}, which is in no order.
   */
  static Path table(Rig rig, int mebibytes) throws SQLException, IOException {
    return make(
        rig,
        "table-" + mebibytes,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k INT, pad BLOB)",
        rows(tableRows(mebibytes))
            + "INSERT INTO t SELECT i, "
            + MIXED
            + ", randomblob(440) FROM n",
        "CREATE INDEX t_k ON t (k)");
  }

  static int tableRows(int mebibytes) {
    return mebibytes * ((1 << 20) / 480);
  }
}
