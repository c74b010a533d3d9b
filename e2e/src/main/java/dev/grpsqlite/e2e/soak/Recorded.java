package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.Finished;
import dev.grpsqlite.e2e.Program;
import dev.grpsqlite.e2e.history.History;
import dev.grpsqlite.e2e.history.Verdict;
import dev.grpsqlite.e2e.history.Violation;
import dev.grpsqlite.e2e.soak.Nemesis.Mischief;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

/**
 * Clients of one store whose every transaction is recorded ({@code workload.py}), while a nemesis
 * is about; then all that they saw is judged.
 */
public final class Recorded {
  /** Numbers in {@code workload.py}. */
  private static final int ACCOUNTS = 6;

  private static final int BALANCE = 1000;

  /** As many as two processors can keep at work. */
  private static final int CLIENTS = 5;

  private static final List<String> WORKLOADS = List.of("register", "list", "bank", "pair");

  private Recorded() {}

  /**
   * Runs, and reports what happened.
   *
   * @param folder for the server's data and the histories; it is kept
   */
  public static Report run(Backend backend, long seed, Duration length, Path folder)
      throws Exception {
    Path histories = Files.createDirectories(folder.resolve("histories"));
    String workloads = String.join(",", WORKLOADS);
    List<String> complaints = new ArrayList<>();
    List<Worker> workers = new ArrayList<>();
    try (Deployment deployment = backend.start(folder)) {
      Client direct = new Client(histories, deployment.url());
      direct.python("workload.py", "make", workloads).ok();
      AtomicInteger name = new AtomicInteger();
      Random random = new Random(seed);
      for (int i = 0; i < CLIENTS; i++) {
        workers.add(
            new Worker(
                deployment.servers(), url -> start(url, histories, name, workloads, random)));
      }
      Set<Mischief> repertoire = Mischief.possible(backend, deployment);
      Nemesis nemesis = new Nemesis(random, deployment, workers, repertoire);
      nemesis.run(length);
      nemesis.missing().forEach(m -> complaints.add(m + " was planned and did not happen"));
      for (Worker worker : workers) {
        Finished finished = worker.finish();
        if (finished.exit() != 0) {
          complaints.add("a client failed: " + finished);
        }
      }
      if (backend.isDurable()) {
        deployment.restart();
      }
      Finished end = direct.python("workload.py", "final", workloads, "final");
      if (end.exit() != 0) {
        complaints.add("it cannot be read at the end: " + end);
      }
      Verdict verdict = judge(histories);
      verdict.violations().stream().map(Violation::toString).forEach(complaints::add);
      return new Report(
          backend,
          seed,
          verdict.ok(),
          verdict.failed(),
          verdict.whole(),
          verdict.absent(),
          verdict.steps(),
          nemesis.counts(),
          complaints);
    } finally {
      for (Worker worker : workers) {
        worker.close();
      }
    }
  }

  private static Program start(
      String url, Path histories, AtomicInteger names, String workloads, Random random)
      throws Exception {
    String name = "" + names.incrementAndGet();
    return client(histories, url)
        .startPython("workload.py", "run", workloads, name, "" + random.nextInt(), name);
  }

  /** One that does not wait for long. */
  static Client client(Path folder, String url) {
    return new Client(folder, url)
        .with("GRPSQLITE_CONNECT_TIMEOUT_MS", "2000")
        .with("GRPSQLITE_TIMEOUT_MS", "3000");
  }

  private static Verdict judge(Path histories) throws Exception {
    try (Stream<Path> files = Files.list(histories)) {
      return Verdict.of(History.read(files.toList()), ACCOUNTS, BALANCE);
    }
  }
}
