package dev.grpsqlite.bench.workload;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;

/**
 * A query over an empty cache: a connection is opened, asks it, and is closed. Another one stays
 * open to the same server all the time, so that the session is there already.
 *
 * @param database that nobody else has open meanwhile
 * @param sql whose answer's first column is looked at
 * @param rows that it has to have
 */
record ColdQuery(String database, String sql, int rows) {
  Contender in(Rig rig, Place place, String how) throws SQLException {
    Connection holder = rig.closing(place.open(place.own("session")));
    return new Contender(
        place.name() + how,
        () -> {
          Statistics before = place.isRemote() ? Statistics.of(holder) : new Statistics(Map.of());
          long begun = System.nanoTime();
          try (Connection connection = place.openToRead(database)) {
            run(connection);
            double seconds = (System.nanoTime() - begun) / 1e9;
            return place.isRemote()
                ? new Sample(seconds, Statistics.of(connection).cold(before, 1))
                : new Sample(seconds);
          }
        });
  }

  /** Asks it once. */
  void run(Connection connection) throws SQLException {
    int found = 0;
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      while (row.next()) {
        found++;
        if (row.getObject(1) == null) {
          throw new SQLException("nothing: " + sql);
        }
      }
    }
    if (found != rows) {
      throw new SQLException(found + " rows, not " + rows + ": " + sql);
    }
  }
}
