package dev.grpsqlite.bench.workload;

import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;

/**
 * A server of the distribution, at some distance.
 *
 * @param server the name of its backend
 * @param port of 127.0.0.1 that it has, seen from that distance
 * @param direct a client at no distance, for what is not timed
 */
record RemotePlace(String server, double delayMs, int port, Client direct) implements Place {
  static String name(String server, double delayMs) {
    return server + " " + milliseconds(delayMs);
  }

  static String milliseconds(double delayMs) {
    return (delayMs == Math.rint(delayMs) ? "" + (long) delayMs : "" + delayMs) + " ms";
  }

  @Override
  public String name() {
    return name(server, delayMs);
  }

  @Override
  public boolean isRemote() {
    return true;
  }

  private GrpsqliteDataSource source(String database, String parameters) {
    return GrpsqliteDataSource.of("jdbc:grpsqlite://127.0.0.1:" + port + "/db" + parameters)
        .withDatabase(database);
  }

  @Override
  public Connection open(String database) throws SQLException {
    Connection connection = source(database, "").getConnection();
    Place.execute(connection, "PRAGMA synchronous = FULL");
    return connection;
  }

  @Override
  public Connection openToRead(String database, String... parameters) throws SQLException {
    String all = parameters.length == 0 ? "" : "&" + String.join("&", parameters);
    return source(database, "?mode=ro" + all).getConnection();
  }

  @Override
  public void load(Path source, String database) throws Exception {
    direct.command("import", "--json", source.toString(), database).ok();
  }

  @Override
  public void drop(String database) throws Exception {
    direct.command("rm", "--force", database).ok();
  }
}
