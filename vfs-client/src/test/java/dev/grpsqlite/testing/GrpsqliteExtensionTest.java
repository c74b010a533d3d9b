package dev.grpsqlite.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import javax.sql.DataSource;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.testkit.engine.EngineTestKit;

class GrpsqliteExtensionTest {
  private static final List<GrpsqliteServer> servers = new CopyOnWriteArrayList<>();
  private static final List<Connection> connections = new CopyOnWriteArrayList<>();

  @ExtendWith(GrpsqliteExtension.class)
  static class Example {
    @BeforeEach
    void makeTable(Connection connection) throws SQLException {
      connections.add(connection);
      Sql.run(connection, "CREATE TABLE t (x)");
    }

    @RepeatedTest(3)
    void eachTestHasADatabaseOfItsOwn(
        GrpsqliteServer server, DataSource database, GrpsqliteDataSource same, Connection open)
        throws SQLException {
      servers.add(server);
      assertSame(database, same);
      Sql.run(open, "INSERT INTO t VALUES (1)");
      try (Connection other = database.getConnection()) {
        assertEquals("1", Sql.value(other, "SELECT count(*) FROM t"));
      }
    }

    @Nested
    class Inner {
      @Test
      void theServerIsTheSame(GrpsqliteServer server) {
        assertTrue(server.isHealthy());
        servers.add(server);
      }
    }
  }

  static class Versioned {
    @RegisterExtension
    static final GrpsqliteExtension grpsqlite = GrpsqliteExtension.of(Backend.versioned());

    @Test
    void hasAHistory(Connection connection, GrpsqliteServer server) throws SQLException {
      servers.add(server);
      Sql.run(connection, "CREATE TABLE t (x)");
      assertNotEquals("0", Sql.value(connection, "SELECT count(*) FROM grpsqlite_history"));
    }
  }

  static class WithoutAServer {
    @RegisterExtension final GrpsqliteExtension grpsqlite = new GrpsqliteExtension();

    @Test
    void isTold(DataSource database) {
      throw new AssertionError(database);
    }
  }

  private static EngineTestKit.Builder engine(Class<?>... classes) {
    EngineTestKit.Builder builder = EngineTestKit.engine("junit-jupiter");
    for (Class<?> each : classes) {
      builder.selectors(selectClass(each));
    }
    return builder;
  }

  @Test
  void aClassHasOneServerWhichEndsWithIt() throws SQLException {
    servers.clear();
    connections.clear();
    engine(Example.class, Versioned.class)
        .execute()
        .testEvents()
        .assertStatistics(events -> events.succeeded(5).failed(0));
    assertEquals(5, servers.size());
    assertEquals(2, servers.stream().distinct().count());
    assertSame(servers.get(0), servers.get(1));
    assertNotSame(servers.get(0), servers.get(4));
    for (GrpsqliteServer server : servers) {
      assertFalse(server.isHealthy(), server.toString());
    }
    for (Connection connection : connections) {
      assertTrue(connection.isClosed());
    }
  }

  @Test
  void anExtensionOfEachTestIsRefusedWithAReason() {
    engine(WithoutAServer.class).execute().testEvents().failed().stream()
        .forEach(event -> assertTrue(event.toString().contains("static field"), event::toString));
    engine(WithoutAServer.class)
        .execute()
        .testEvents()
        .assertStatistics(events -> events.failed(1));
  }
}
