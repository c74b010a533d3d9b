package dev.grpsqlite.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.jdbc.GrpsqliteStatistics;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.sqlite.SQLiteConnection;
import org.sqlite.SQLiteErrorCode;
import org.sqlite.SQLiteException;
import org.sqlite.SQLiteJDBCLoader;

@ExtendWith(GrpsqliteExtension.class)
class GrpsqliteDataSourceTest {
  private static final int THREADS = 64;

  @Test
  void thisIsTheSqliteJdbcThatIsMeant() {
    String expected =
        System.getProperty("expected.sqlite-jdbc.version", SQLiteJDBCLoader.getVersion());
    assertEquals(expected, SQLiteJDBCLoader.getVersion());
  }

  @Test
  void connectionsAreSqliteJdbcsOwnAndTakeItsProperties(GrpsqliteDataSource database)
      throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("foreign_keys", "true");
    properties.setProperty("busy_timeout", "1234");
    try (Connection connection =
        GrpsqliteDataSource.of(database.url() + "?busy_timeout=5", properties).getConnection()) {
      assertInstanceOf(SQLiteConnection.class, connection);
      assertEquals("1", Sql.value(connection, "PRAGMA foreign_keys"));
      assertEquals("1234", Sql.value(connection, "PRAGMA busy_timeout"));
    }
  }

  @Test
  void whatIsNotAtAServerStaysWhereItWas(GrpsqliteDataSource database) throws SQLException {
    try (Connection remote = database.getConnection();
        Connection local = DriverManager.getConnection("jdbc:sqlite::memory:")) {
      Sql.run(remote, "CREATE TABLE remote (x)");
      Sql.run(local, "CREATE TABLE local (x)");
      assertEquals("local", Sql.value(local, "SELECT group_concat(name) FROM sqlite_schema"));
      assertFalse(
          String.valueOf(Sql.value(local, "SELECT file FROM pragma_database_list"))
              .contains("grpsqlite"));
    }
  }

  @Test
  void aReadOnlyDataSourceRefusesToWrite(GrpsqliteDataSource database) throws SQLException {
    try (Connection writer = database.getConnection();
        Connection reader = GrpsqliteDataSource.of(database.url() + "?mode=ro").getConnection()) {
      Sql.run(writer, "CREATE TABLE t (x)");
      SQLiteException e =
          assertThrows(SQLiteException.class, () -> Sql.run(reader, "INSERT INTO t VALUES (1)"));
      assertEquals(SQLiteErrorCode.SQLITE_READONLY, e.getResultCode());
    }
  }

  @Test
  void aTransactionOverAttachedDatabases(GrpsqliteServer server) throws SQLException {
    GrpsqliteDataSource one = server.dataSource("attach/one.db");
    GrpsqliteDataSource two = one.withDatabase("attach/two & more.db");
    try (Connection connection = one.getConnection()) {
      try (PreparedStatement attach = connection.prepareStatement("ATTACH ? AS two")) {
        attach.setString(1, two.uri());
        attach.execute();
      }
      Sql.run(connection, "CREATE TABLE main.t (x)", "CREATE TABLE two.t (x)");
      connection.setAutoCommit(false);
      Sql.run(connection, "INSERT INTO main.t VALUES (1)", "INSERT INTO two.t VALUES (2)");
      connection.commit();
    }
    try (Connection connection = two.getConnection()) {
      assertEquals("2", Sql.value(connection, "SELECT x FROM t"));
    }
  }

  @Test
  void manyDatabasesAndServersUnderHikariWith64Threads(GrpsqliteServer server) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    try (GrpsqliteServer other = GrpsqliteServer.start(Backend.versioned());
        HikariDataSource one = pool(server.jdbcUrl("pool/one.db"));
        HikariDataSource two = pool(server.jdbcUrl("pool/two.db"));
        HikariDataSource three = pool(other.jdbcUrl("pool/one.db"))) {
      List<HikariDataSource> pools = List.of(one, two, three);
      for (HikariDataSource pool : pools) {
        try (Connection connection = pool.getConnection()) {
          Sql.run(connection, "CREATE TABLE t (thread, n)");
        }
      }
      List<Future<?>> work = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        int number = thread;
        work.add(threads.submit(() -> insertAndCount(pools.get(number % 3), number)));
      }
      for (Future<?> each : work) {
        each.get(2, TimeUnit.MINUTES);
      }
      long rows = 0;
      for (HikariDataSource pool : pools) {
        try (Connection connection = pool.getConnection()) {
          assertEquals("ok", Sql.value(connection, "PRAGMA integrity_check"));
          rows += Long.parseLong(String.valueOf(Sql.value(connection, "SELECT count(*) FROM t")));
        }
      }
      assertEquals(THREADS * 5L, rows);
    } finally {
      threads.shutdownNow();
    }
  }

  /** What was written is there, whichever connection of the pool is asked. */
  private static @Nullable Void insertAndCount(HikariDataSource pool, int thread)
      throws SQLException {
    for (int n = 1; n <= 5; n++) {
      try (Connection connection = pool.getConnection()) {
        Sql.run(connection, "INSERT INTO t VALUES (" + thread + ", " + n + ")");
      }
      try (Connection connection = pool.getConnection()) {
        assertEquals(
            Integer.toString(n),
            Sql.value(connection, "SELECT count(*) FROM t WHERE thread = " + thread));
      }
    }
    return null;
  }

  private static HikariDataSource pool(String url) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    config.setMaximumPoolSize(THREADS / 3 + 1);
    config.addDataSourceProperty("busy_timeout", "60000");
    config.setConnectionTimeout(60_000);
    return new HikariDataSource(config);
  }

  @Test
  void statisticsCountWhatWasDone(GrpsqliteDataSource database) throws SQLException {
    try (Connection connection = database.getConnection()) {
      Sql.run(connection, "CREATE TABLE t (x)");
      GrpsqliteStatistics before = GrpsqliteStatistics.ofProcess();
      Sql.run(connection, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)");
      GrpsqliteStatistics after = GrpsqliteStatistics.ofProcess();
      assertEquals(2, after.commits() - before.commits());
      assertEquals(2, after.rpcs() - before.rpcs(), "one round trip for each");
      assertTrue(after.bytesSent() - before.bytesSent() > 2 * 4096, after.toString());
      assertEquals(1, after.servers());
    }
    // Of a server that is closed, nothing is forgotten.
    GrpsqliteStatistics closed = GrpsqliteStatistics.ofProcess();
    assertEquals(0, closed.servers());
    assertTrue(closed.commits() >= 3, closed.toString());
  }
}
