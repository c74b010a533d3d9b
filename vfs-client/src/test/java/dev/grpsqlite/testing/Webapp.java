package dev.grpsqlite.testing;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.jdbc.GrpsqliteStatistics;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * A program that has its own classes of all, as in a web container. Gets a URL, counts its runs.
 */
public final class Webapp implements UnaryOperator<String> {
  private final List<Connection> forgotten = new ArrayList<>();

  @Override
  public String apply(String url) {
    try {
      Connection connection = GrpsqliteDataSource.of(url).getConnection();
      Sql.run(
          connection, "CREATE TABLE IF NOT EXISTS run (at)", "INSERT INTO run VALUES (datetime())");
      String runs = String.valueOf(Sql.value(connection, "SELECT count(*) FROM run"));
      if (!url.contains("uncounted") && GrpsqliteStatistics.ofProcess().commits() < 1) {
        return "commits are not counted";
      }
      if (url.contains("forget")) {
        forgotten.add(connection);
      } else {
        connection.close();
      }
      // As containers do: to ask for the drivers may load some, which then register themselves.
      Collections.list(DriverManager.getDrivers());
      for (Driver driver : Collections.list(DriverManager.getDrivers())) {
        DriverManager.deregisterDriver(driver);
      }
      return runs;
    } catch (SQLException e) {
      return String.valueOf(e.getMessage());
    }
  }
}
