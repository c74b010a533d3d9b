package dev.grpsqlite.jdbc;

import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverManager;
import java.sql.DriverPropertyInfo;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.util.Properties;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * For {@code jdbc:grpsqlite:} URLs; see {@link GrpsqliteDataSource} for what they say. Found by the
 * driver registry. Thread-safe.
 */
public final class GrpsqliteDriver implements Driver {
  static {
    try {
      DriverManager.registerDriver(new GrpsqliteDriver());
    } catch (SQLException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  @Override
  public @Nullable Connection connect(String url, @Nullable Properties properties)
      throws SQLException {
    if (!acceptsURL(url)) {
      return null;
    }
    return GrpsqliteDataSource.of(url, properties == null ? new Properties() : properties)
        .getConnection();
  }

  @Override
  public boolean acceptsURL(String url) {
    return url.startsWith(Target.PREFIX);
  }

  @Override
  public DriverPropertyInfo[] getPropertyInfo(String url, Properties properties) {
    return Target.names().stream()
        .map(name -> new DriverPropertyInfo(name, null))
        .toArray(DriverPropertyInfo[]::new);
  }

  @Override
  public int getMajorVersion() {
    return 0;
  }

  @Override
  public int getMinorVersion() {
    return 1;
  }

  @Override
  public boolean jdbcCompliant() {
    return false;
  }

  @Override
  public Logger getParentLogger() throws SQLFeatureNotSupportedException {
    throw new SQLFeatureNotSupportedException("nothing is logged");
  }
}
