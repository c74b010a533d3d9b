package dev.grpsqlite.examples.agent;

import dev.grpsqlite.jdbc.GrpsqliteDataSource;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Plans jobs on machines by trying. Each attempt gets a fork of the best database so far, in which
 * it can do what it likes; a fork costs no copy, and what it breaks, it breaks for itself alone.
 * The best of a round is where the next one begins.
 */
public final class Agent {
  private static final int JOBS = 40;
  private static final int MACHINES = 4;
  private static final int ROUNDS = 12;
  private static final int ATTEMPTS = 6;

  private final GrpsqliteDataSource databases;
  private final Random random;

  /** Repeats itself with the same random numbers. */
  public Agent(GrpsqliteDataSource databases, Random random) {
    this.databases = databases;
    this.random = random;
  }

  /**
   * What became of an attempt.
   *
   * @param database its name
   * @param hours until the last machine is done
   */
  public record Plan(String database, int hours) {}

  public static void main(String[] arguments) throws Exception {
    // At the server in GRPSQLITE_URL, or on this machine.
    Agent agent = new Agent(GrpsqliteDataSource.of("jdbc:grpsqlite:///any"), new Random());
    Plan plan = agent.start("agent/" + Long.toHexString(System.currentTimeMillis()));
    System.out.println("at first: " + plan.hours() + " hours in " + plan.database());
    Plan best = agent.improve(plan);
    System.out.println("the best: " + best.hours() + " hours in " + best.database());
  }

  /** Makes the database of a task, with everything on one machine. */
  public Plan start(String folder) throws SQLException {
    String name = folder + "/start.db";
    try (Connection database = databases.withDatabase(name).getConnection();
        Statement statement = database.createStatement()) {
      database.setAutoCommit(false);
      statement.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, hours INT, machine INT)");
      for (int job = 0; job < JOBS; job++) {
        statement.execute(
            "INSERT INTO job (hours, machine) VALUES (" + (1 + random.nextInt(9)) + ", 0)");
      }
      database.commit();
      return new Plan(name, hours(statement));
    }
  }

  /** Tries for some rounds. What it began with stays as it is. */
  public Plan improve(Plan start) throws SQLException, InterruptedException, ExecutionException {
    String folder = start.database().substring(0, start.database().lastIndexOf('/'));
    Plan best = start;
    ExecutorService threads = Executors.newFixedThreadPool(ATTEMPTS);
    try {
      for (int round = 1; round <= ROUNDS; round++) {
        List<Future<Plan>> attempts = new ArrayList<>();
        for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
          String fork = folder + "/round-" + round + "-attempt-" + attempt + ".db";
          fork(best.database(), fork);
          Random luck = new Random(random.nextLong());
          attempts.add(threads.submit(() -> attempt(fork, luck)));
        }
        for (Future<Plan> attempt : attempts) {
          Plan plan = attempt.get();
          if (Comparator.comparingInt(Plan::hours).compare(plan, best) < 0) {
            best = plan;
          }
        }
      }
    } finally {
      threads.shutdownNow();
    }
    return best;
  }

  private void fork(String from, String to) throws SQLException {
    try (Connection database = databases.withDatabase(from).getConnection();
        Statement statement = database.createStatement()) {
      statement.execute("PRAGMA grpsqlite_fork='" + to + "'");
    }
  }

  /** Moves some jobs from one of the machines to others. */
  private Plan attempt(String name, Random luck) throws SQLException {
    try (Connection database = databases.withDatabase(name).getConnection();
        Statement statement = database.createStatement()) {
      int moves = 1 + luck.nextInt(4);
      for (int move = 0; move < moves; move++) {
        statement.execute(
            "UPDATE job SET machine = "
                + luck.nextInt(MACHINES)
                + " WHERE id = "
                + (1 + luck.nextInt(JOBS)));
      }
      return new Plan(name, hours(statement));
    }
  }

  /** How long the machine takes that takes longest. */
  private static int hours(Statement statement) throws SQLException {
    try (ResultSet longest =
        statement.executeQuery(
            "SELECT max(total) FROM (SELECT sum(hours) AS total FROM job GROUP BY machine)")) {
      return longest.getInt(1);
    }
  }
}
