package dev.grpsqlite.testing;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ExtensionContext.Store;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolutionException;
import org.junit.jupiter.api.extension.ParameterResolver;

/**
 * A server for the tests of a class, and a new database for each of them.
 *
 * <pre>{@code
 * @ExtendWith(GrpsqliteExtension.class)
 * class AccountsTest {
 *   @Test
 *   void newOnesAreEmpty(DataSource accounts) { … }
 * }
 * }</pre>
 *
 * <p>Parameters can be a {@link GrpsqliteServer}, a {@link DataSource} or {@link
 * GrpsqliteDataSource}, a {@link Connection}. All data sources and connections of one test, those
 * in {@code @BeforeEach} included, are of the same database; what is asked for in
 * {@code @BeforeAll} or a constructor, of one that the class has for that. Connections so given are
 * closed after the test. Nested classes use the server of the one that they are in.
 *
 * <p>Another backend: {@code @RegisterExtension static final GrpsqliteExtension grpsqlite =
 * GrpsqliteExtension.of(Backend.versioned())}. Tests can run in parallel.
 */
public final class GrpsqliteExtension
    implements BeforeAllCallback, AfterAllCallback, AfterEachCallback, ParameterResolver {
  private static final AtomicLong databases = new AtomicLong();

  private final Backend backend;
  private final Namespace namespace = Namespace.create(GrpsqliteExtension.class, this);

  /** With databases in the heap. */
  public GrpsqliteExtension() {
    this(Backend.memory());
  }

  private GrpsqliteExtension(Backend backend) {
    this.backend = backend;
  }

  public static GrpsqliteExtension of(Backend backend) {
    return new GrpsqliteExtension(backend);
  }

  /** What a context has: what is its own is in no other's store. */
  private static final class Connections {
    final List<Connection> open = new CopyOnWriteArrayList<>();
  }

  private Store store(ExtensionContext context) {
    return context.getStore(namespace);
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    // A nested class sees what its enclosing one has.
    if (store(context).get(GrpsqliteServer.class) == null) {
      store(context).put(GrpsqliteServer.class, GrpsqliteServer.start(backend));
    }
  }

  @Override
  public void afterEach(ExtensionContext context) throws SQLException {
    closeConnections(context);
  }

  @Override
  public void afterAll(ExtensionContext context) throws SQLException {
    try {
      closeConnections(context);
    } finally {
      GrpsqliteServer own = store(context).remove(GrpsqliteServer.class, GrpsqliteServer.class);
      if (own != null) {
        own.close();
      }
    }
  }

  private void closeConnections(ExtensionContext context) throws SQLException {
    Connections connections = store(context).remove(context.getUniqueId(), Connections.class);
    if (connections != null) {
      for (Connection connection : connections.open) {
        connection.close();
      }
    }
  }

  @Override
  public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
    Class<?> type = parameter.getParameter().getType();
    return type == GrpsqliteServer.class
        || type == GrpsqliteDataSource.class
        || type == DataSource.class
        || type == Connection.class;
  }

  @Override
  public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
    Class<?> type = parameter.getParameter().getType();
    GrpsqliteServer server = server(context);
    if (type == GrpsqliteServer.class) {
      return server;
    }
    GrpsqliteDataSource dataSource = dataSource(server, context);
    return type == Connection.class ? connection(dataSource, context) : dataSource;
  }

  private GrpsqliteServer server(ExtensionContext context) {
    @Nullable GrpsqliteServer server =
        store(context).get(GrpsqliteServer.class, GrpsqliteServer.class);
    if (server == null) {
      throw new ParameterResolutionException(
          "no server runs: register GrpsqliteExtension at the class or in a static field");
    }
    return server;
  }

  private GrpsqliteDataSource dataSource(GrpsqliteServer server, ExtensionContext context) {
    String key = "database of " + context.getUniqueId();
    GrpsqliteDataSource known = store(context).get(key, GrpsqliteDataSource.class);
    if (known == null) {
      known = server.dataSource("test-" + databases.incrementAndGet() + ".db");
      store(context).put(key, known);
    }
    return known;
  }

  private Connection connection(GrpsqliteDataSource dataSource, ExtensionContext context) {
    Connections connections = store(context).get(context.getUniqueId(), Connections.class);
    if (connections == null) {
      connections = new Connections();
      store(context).put(context.getUniqueId(), connections);
    }
    try {
      Connection connection = dataSource.getConnection();
      connections.open.add(connection);
      return connection;
    } catch (SQLException e) {
      throw new ParameterResolutionException("no connection: " + e.getMessage(), e);
    }
  }
}
