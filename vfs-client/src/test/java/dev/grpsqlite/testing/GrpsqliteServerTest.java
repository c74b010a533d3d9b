package dev.grpsqlite.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GrpsqliteServerTest {
  @TempDir Path folder;

  @Test
  void aDatabaseIsThereForDataSourceAndDriverRegistry() throws SQLException {
    try (GrpsqliteServer server = GrpsqliteServer.start()) {
      try (Connection connection = server.dataSource("tenant 7/main.db").getConnection()) {
        Sql.run(connection, "CREATE TABLE t (x)", "INSERT INTO t VALUES ('günstig')");
      }
      try (Connection connection =
          DriverManager.getConnection(server.jdbcUrl("tenant 7/main.db"))) {
        assertEquals("günstig", Sql.value(connection, "SELECT x FROM t"));
      }
    }
  }

  @Test
  void severalServersAreSeveral() throws SQLException {
    try (GrpsqliteServer one = GrpsqliteServer.start();
        GrpsqliteServer two = GrpsqliteServer.start(Backend.versioned());
        Connection here = one.dataSource("main.db").getConnection();
        Connection there = two.dataSource("main.db").getConnection()) {
      Sql.run(here, "CREATE TABLE here (x)");
      Sql.run(there, "CREATE TABLE there (x)", "INSERT INTO there VALUES (1)");
      assertEquals("here", Sql.value(here, "SELECT group_concat(name) FROM sqlite_schema"));
      assertEquals("there", Sql.value(there, "SELECT group_concat(name) FROM sqlite_schema"));
      assertEquals("3", Sql.value(there, "SELECT count(*) FROM grpsqlite_history"));
    }
  }

  @Test
  void rocksdbKeepsWhatItHas() throws SQLException {
    Backend backend = Backend.rocksdb(folder.resolve("data"));
    try (GrpsqliteServer server = GrpsqliteServer.start(backend);
        Connection connection = server.dataSource("main.db").getConnection()) {
      Sql.run(connection, "CREATE TABLE t (x)", "INSERT INTO t VALUES (7)");
    }
    try (GrpsqliteServer server = GrpsqliteServer.start(backend);
        Connection connection = server.dataSource("main.db").getConnection()) {
      assertEquals("7", Sql.value(connection, "SELECT x FROM t"));
      assertThrows(UncheckedIOException.class, () -> GrpsqliteServer.start(backend).close());
    }
  }

  @Test
  void healthIsWhatTheServerSays() {
    GrpsqliteServer server = GrpsqliteServer.start();
    assertTrue(server.isHealthy());
    server.close();
    server.close();
    assertFalse(server.isHealthy());
  }

  @Test
  void aClosedServerIsAClearError() {
    GrpsqliteServer server = GrpsqliteServer.start();
    GrpsqliteDataSource gone = server.dataSource("main.db");
    server.close();
    SQLException e = assertThrows(SQLException.class, () -> gone.getConnection().close());
    assertTrue(
        String.valueOf(e.getMessage()).contains("no server at " + server.url()), e.toString());
  }

  @Test
  void wrongBackendsAndSettingsAreNamed() {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> GrpsqliteServer.start(new Backend("tape", Map.of())).close())
            .getMessage();
    assertTrue(String.valueOf(message).contains("memory"), message);
    for (Backend backend :
        new Backend[] {
          new Backend("memory", Map.of("colour", "red")),
          new Backend("versioned", Map.of("retention", "red")),
          new Backend("rocksdb", Map.of())
        }) {
      assertThrows(IllegalArgumentException.class, () -> GrpsqliteServer.start(backend).close());
    }
  }
}
