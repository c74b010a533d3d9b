package dev.grpsqlite.bench.workload;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;

/** Where databases are: a local folder, or a server at some distance. Thread-safe. */
interface Place {
  /** As in tables: {@code local FULL}, {@code rocksdb 2 ms}. */
  String name();

  boolean isRemote();

  /** Opens a database of this place, which is made if it is not there. In autocommit mode. */
  Connection open(String database) throws SQLException;

  /**
   * The same to read alone.
   *
   * @param parameters of the extension, {@code NAME=VALUE}; a local place has no use for them
   */
  Connection openToRead(String database, String... parameters) throws SQLException;

  /** Puts a copy of a SQLite file there, under a name that is not taken. */
  void load(Path source, String database) throws Exception;

  /** Removes a database that nobody has open. */
  void drop(String database) throws Exception;

  /** The name of a database that no other place of the same server writes to. */
  default String own(String database) {
    return database + "-" + name().replace(' ', '-') + ".db";
  }

  /** Executes statements in order. */
  static void execute(Connection connection, String... statements) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String each : statements) {
        statement.execute(each);
      }
    }
  }
}
