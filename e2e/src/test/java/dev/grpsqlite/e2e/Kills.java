package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What is common to tests that kill clients, or the server of a writer. */
final class Kills {
  private static final Duration PROGRESS = Duration.ofMinutes(1);

  private final Program writer;
  private long acknowledged;

  /** What happens to a server's data while it is dead. */
  interface Aftermath {
    void happen() throws Exception;
  }

  private Kills(Program writer) {
    this.writer = writer;
  }

  /**
   * Kills a writer's server at random moments, starts it again, and lets the writer end.
   *
   * @param writer prints the number of its last commit after each; ends when told to, with 0
   * @param mostPauseMs between the writer's getting on and the kill
   * @return the number of the last commit that was acknowledged
   */
  static long ofServer(
      ServerProcess server,
      Program writer,
      int kills,
      int mostPauseMs,
      Random random,
      String context)
      throws Exception {
    return ofServer(server, writer, kills, mostPauseMs, random, context, () -> {});
  }

  /** The same, with this after each kill. */
  static long ofServer(
      ServerProcess server,
      Program writer,
      int kills,
      int mostPauseMs,
      Random random,
      String context,
      Aftermath aftermath)
      throws Exception {
    Kills run = new Kills(writer);
    for (int kill = 0; kill < kills; kill++) {
      run.awaitProgress();
      // The moment is what is random here; nothing is waited for.
      Thread.sleep(random.nextInt(mostPauseMs));
      server.kill();
      run.note(writer.drain());
      aftermath.happen();
      server.start();
    }
    run.awaitProgress();
    Finished ended = writer.finish();
    assertEquals(0, ended.exit(), context + ": " + ended);
    run.note(ended.out().lines().toList());
    return run.acknowledged;
  }

  /**
   * A program has killed clients, and found each transaction whole or absent.
   *
   * @param run ended with how many of the kills came before the commit, and how many after
   */
  static void assertBothOutcomes(Finished run, int kills, String context) {
    assertEquals(0, run.exit(), context + ": " + run);
    Matcher line =
        Pattern.compile(kills + " kills: (\\d+) before, (\\d+) after\n").matcher(run.out());
    assertTrue(line.matches(), run.out());
    // Else the moments were all on one side of the commit, and nothing was shown.
    assertTrue(Integer.parseInt(line.group(1)) >= kills / 20, run.out());
    assertTrue(Integer.parseInt(line.group(2)) >= kills / 20, run.out());
  }

  /**
   * Returns when the writer has had another commit acknowledged, and is in the midst of the next.
   */
  private void awaitProgress() throws Exception {
    long before = acknowledged;
    Await.until(
        "the writer to go on",
        PROGRESS,
        () -> {
          if (!writer.isAlive()) {
            throw new AssertionError("the writer ended: " + writer.errors());
          }
          note(writer.drain());
          return acknowledged > before;
        },
        writer::errors);
  }

  private void note(List<String> lines) {
    if (!lines.isEmpty()) {
      acknowledged = Long.parseLong(lines.get(lines.size() - 1));
    }
  }
}
