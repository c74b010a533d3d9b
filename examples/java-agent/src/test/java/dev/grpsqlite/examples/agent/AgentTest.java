package dev.grpsqlite.examples.agent;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.examples.agent.Agent.Plan;
import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import dev.grpsqlite.testing.Backend;
import dev.grpsqlite.testing.GrpsqliteExtension;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class AgentTest {
  @RegisterExtension
  static final GrpsqliteExtension grpsqlite = GrpsqliteExtension.of(Backend.versioned());

  @Test
  void theBestIsKeptAndTheStartIsAsItWas(GrpsqliteDataSource databases) throws Exception {
    Agent agent = new Agent(databases, new Random(7));
    Plan start = agent.start("task");
    Plan best = agent.improve(start);

    assertTrue(best.hours() < start.hours(), best + " is no better than " + start);
    assertEquals("40|" + best.hours(), summary(databases.withDatabase(best.database())));
    assertEquals("40|" + start.hours(), summary(databases.withDatabase("task/start.db")));
  }

  private static String summary(GrpsqliteDataSource plan) throws SQLException {
    try (Connection database = plan.getConnection();
        Statement statement = database.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT sum(n) || '|' || max(total) FROM"
                    + " (SELECT count(*) AS n, sum(hours) AS total FROM job GROUP BY machine)")) {
      return row.getString(1);
    }
  }
}
