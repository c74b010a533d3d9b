package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.Finished;
import dev.grpsqlite.e2e.Program;
import dev.grpsqlite.e2e.ServerProcess;
import dev.grpsqlite.e2e.soak.Nemesis.Mischief;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * A client that runs random SQL on a remote database and on a local file ({@code random_sql.py}),
 * while a nemesis is about. It finds out itself whether they differ.
 */
public final class Compared {
  private Compared() {}

  /**
   * Runs, and reports what happened.
   *
   * @param folder for the server's data and the local file; it is kept
   */
  public static Report run(Backend backend, long seed, Duration length, Path folder)
      throws Exception {
    Path work = Files.createDirectories(folder.resolve("compared"));
    List<String> complaints = new ArrayList<>();
    Random random = new Random(seed);
    try (ServerProcess server = backend.start(folder);
        Worker worker =
            new Worker(
                server.port(),
                proxy -> {
                  Program program =
                      Recorded.client(work, proxy)
                          .startPython("random_sql.py", "random.db", "local.db", "" + seed);
                  program.readTo("running");
                  return program;
                })) {
      Set<Mischief> repertoire = EnumSet.complementOf(EnumSet.of(Mischief.KILL_CLIENT));
      if (!backend.isDurable()) {
        repertoire.remove(Mischief.KILL_SERVER);
      }
      Nemesis nemesis = new Nemesis(random, server, List.of(worker), repertoire);
      nemesis.run(length);
      nemesis.missing().forEach(m -> complaints.add(m + " was planned and did not happen"));
      Finished finished = worker.finish();
      int[] counts = new int[5];
      if (finished.exit() == 0) {
        counts =
            Arrays.stream(finished.out().strip().split(" ", -1))
                .mapToInt(Integer::parseInt)
                .toArray();
      } else {
        complaints.add("the local file is not the same: " + finished);
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
    }
  }
}
