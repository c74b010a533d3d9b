package dev.grpsqlite.jdbc;

import java.io.PrintWriter;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.Properties;
import java.util.logging.Logger;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.sqlite.jdbc4.JDBC4Connection;

/**
 * Connections to one database at a gRPSQLite server.
 *
 * <pre>{@code
 * DataSource accounts = GrpsqliteDataSource.of("jdbc:grpsqlite://localhost:50051/accounts.db");
 * }</pre>
 *
 * <p>A URL is {@code jdbc:grpsqlite://HOST[:PORT]/DATABASE[?NAME=VALUE&…]}; the database's name may
 * have slashes. Without a host ({@code jdbc:grpsqlite:///DATABASE}) the server is the parameter
 * {@code server} ({@code https://…}, {@code unix:/path}) or else what the environment says, as for
 * the extension. Parameters and properties, of which the latter win:
 *
 * <ul>
 *   <li>{@code tls=true}, {@code ca_file}, {@code cert_file}, {@code key_file}: any of them means
 *       TLS;
 *   <li>{@code token}, or the standard {@code password}: neither is in {@link #toString}, in {@link
 *       #url}, or in the URL of a connection's metadata;
 *   <li>what else the URI of the extension takes: {@code mode=ro}, {@code max_staleness_ms}, {@code
 *       at}, {@code version}, {@code timeout_ms}, {@code connect_timeout_ms}, {@code cache_mb},
 *       {@code cache_dir}, {@code cache_dir_mb}, {@code prefetch_mb}, {@code buffer_mb}, {@code
 *       compression};
 *   <li>all of sqlite-jdbc's, such as {@code busy_timeout}, {@code foreign_keys}, {@code
 *       transaction_mode}.
 * </ul>
 *
 * <p>A connection costs a round trip, and less while another one to the same database is open: they
 * share their cache and their session. A pool keeps it so. Immutable and thread-safe; nothing to
 * close.
 */
public final class GrpsqliteDataSource implements DataSource {
  private final Target target;

  private GrpsqliteDataSource(Target target) {
    this.target = target;
  }

  /**
   * For a URL with all in it.
   *
   * @throws IllegalArgumentException with what is wrong with it
   */
  public static GrpsqliteDataSource of(String url) {
    try {
      return of(url, new Properties());
    } catch (SQLException e) {
      throw new IllegalArgumentException(e.getMessage(), e);
    }
  }

  /**
   * For a URL, with properties that go before its parameters.
   *
   * @throws SQLException with what is wrong with them
   */
  public static GrpsqliteDataSource of(String url, Properties properties) throws SQLException {
    return new GrpsqliteDataSource(Target.parse(url, properties));
  }

  /** The same for another database at the same server. */
  public GrpsqliteDataSource withDatabase(String name) {
    String wrong = Target.problemOfName(name);
    if (!wrong.isEmpty()) {
      throw new IllegalArgumentException(wrong);
    }
    return new GrpsqliteDataSource(target.withDatabase(name));
  }

  /** The same, and who calls is shown by this token. */
  public GrpsqliteDataSource withToken(String token) {
    return new GrpsqliteDataSource(target.withToken(token));
  }

  /** The database's name at the server. */
  public String database() {
    return target.database();
  }

  /** The JDBC URL, without the token. */
  public String url() {
    return target.url();
  }

  /**
   * What SQLite calls this database, for {@code ATTACH ? AS name} on a connection to another one.
   * It has the token in it: bind it, and log it nowhere.
   */
  public String uri() {
    return target.uri();
  }

  @Override
  public Connection getConnection() throws SQLException {
    NativeLibrary library = NativeLibrary.registered();
    try {
      return new JDBC4Connection(target.url(), target.uri(), target.properties());
    } catch (SQLException e) {
      throw library.explained(e, target);
    }
  }

  /** The password is the token; the name is not looked at, for a token says who it is. */
  @Override
  public Connection getConnection(@Nullable String user, @Nullable String password)
      throws SQLException {
    return password == null || password.isEmpty()
        ? getConnection()
        : withToken(password).getConnection();
  }

  @Override
  public @Nullable PrintWriter getLogWriter() {
    return null;
  }

  @Override
  public void setLogWriter(@Nullable PrintWriter out) {
    // Nothing is logged.
  }

  @Override
  public void setLoginTimeout(int seconds) throws SQLException {
    throw new SQLFeatureNotSupportedException("it is the parameter connect_timeout_ms");
  }

  @Override
  public int getLoginTimeout() {
    return 0;
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw new SQLFeatureNotSupportedException("nothing is logged");
  }

  @Override
  public <T> T unwrap(Class<T> type) throws SQLException {
    if (isWrapperFor(type)) {
      return type.cast(this);
    }
    throw new SQLException("this is no " + type.getName());
  }

  @Override
  public boolean isWrapperFor(Class<?> type) {
    return type.isInstance(this);
  }

  @Override
  public String toString() {
    return "GrpsqliteDataSource[" + target + "]";
  }
}
