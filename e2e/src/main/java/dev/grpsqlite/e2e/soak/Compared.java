package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.Finished;
import dev.grpsqlite.e2e.Program;
import dev.grpsqlite.e2e.soak.Nemesis.Mischief;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * Clients that run random SQL, each on a remote database and a local file of its own ({@code
 * random_sql.py}), while a nemesis is about. They find out themselves whether these differ.
 */
public final class Compared {
  private static final int CLIENTS = 3;

  private Compared() {}

  /**
   * Runs, and reports what happened.
   *
   * @param folder for the server's data and the local files; it is kept
   */
  public static Report run(Backend backend, long seed, Duration length, Path folder)
      throws Exception {
    Path work = Files.createDirectories(folder.resolve("compared"));
    List<String> complaints = new ArrayList<>();
    Random random = new Random(seed);
    List<Worker> workers = new ArrayList<>();
    try (Deployment deployment = backend.start(folder)) {
      for (int i = 0; i < CLIENTS; i++) {
        String[] arguments = {"random-" + i + ".db", "local-" + i + ".db", "" + (seed + i)};
        workers.add(
            new Worker(
                deployment.servers(),
                url -> {
                  Program program =
                      Recorded.client(work, url)
                          .with("GRPSQLITE_BUFFER_MB", "1")
                          .startPython("random_sql.py", arguments);
                  program.readTo("running");
                  return program;
                }));
      }
      Set<Mischief> repertoire = Mischief.possible(backend, deployment);
      repertoire.remove(Mischief.KILL_CLIENT);
      Nemesis nemesis = new Nemesis(random, deployment, workers, repertoire);
      nemesis.run(length);
      nemesis.missing().forEach(m -> complaints.add(m + " was planned and did not happen"));
      int[] counts = new int[5];
      for (Worker worker : workers) {
        Finished finished = worker.finish();
        if (finished.exit() == 0) {
          String[] found = finished.out().strip().split(" ", -1);
          Arrays.setAll(counts, i -> counts[i] + Integer.parseInt(found[i]));
        } else {
          complaints.add("the local file is not the same: " + finished);
        }
      }
      return new Report(
          backend,
          seed,
          counts[1],
          counts[4],
          counts[3],
          counts[2],
          counts[0],
          nemesis.counts(),
          complaints);
    } finally {
      for (Worker worker : workers) {
        worker.close();
      }
    }
  }
}
