package dev.grpsqlite.e2e.soak;

import dev.grpsqlite.e2e.Await;
import dev.grpsqlite.e2e.FaultProxy;
import dev.grpsqlite.e2e.FaultProxy.Fault;
import dev.grpsqlite.e2e.ServerProcess;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Makes everything go wrong in turn, by a schedule that its seed decides. Each kind of mischief
 * comes as often as it is in the bag; what of it happened is counted. One thread.
 */
final class Nemesis {
  /** What it does: to a connection, to a client, to a server, to what the servers store in. */
  enum Mischief {
    DELAY(Fault.DELAY, 3),
    FREEZE(Fault.FREEZE, 2),
    DROP(Fault.DROP, 2),
    RESET(Fault.RESET, 3),
    TRUNCATE(Fault.TRUNCATE, 2),
    DUPLICATE(Fault.DUPLICATE, 2),
    LOSE_ANSWER(Fault.LOSE_ANSWER, 4),
    PARTITION(Fault.PARTITION, 2),
    KILL_CLIENT(null, 3),
    STOP_CLIENT(null, 2),
    KILL_SERVER(null, 1),
    STOP_SERVER(null, 1),
    KILL_CLUSTER(null, 1);

    private final @Nullable Fault fault;
    private final int share;

    Mischief(@Nullable Fault fault, int share) {
      this.fault = fault;
      this.share = share;
    }

    /** What can be got over. */
    static Set<Mischief> possible(Backend backend, Deployment deployment) {
      Set<Mischief> all = EnumSet.allOf(Mischief.class);
      if (!backend.isDurable()) {
        all.remove(KILL_SERVER);
      }
      if (!deployment.hasCluster()) {
        all.remove(KILL_CLUSTER);
      }
      return all;
    }
  }

  private record Due(long nanos, Undoing undoing) {}

  private interface Undoing {
    void run() throws Exception;
  }

  private static final int MOST_PAUSE_MS = 350;
  private static final Duration UNTIL_ALL_HAPPENED = Duration.ofSeconds(60);
  private static final int MOST_CLUSTER_DOWN_MS = 2000;
  private static final Duration MOST_WAIT_FOR_HOLDER = Duration.ofSeconds(1);
  private static final int TTL_MS = Backend.SESSION_TTL_MS;

  private final Random random;
  private final Deployment deployment;
  private final List<Worker> workers;
  private final Set<Mischief> repertoire;
  private final Map<Mischief, Integer> planned = new EnumMap<>(Mischief.class);
  private final Map<Mischief, Integer> done = new EnumMap<>(Mischief.class);
  private final Deque<Mischief> bag = new ArrayDeque<>();
  private final PriorityQueue<Due> due = new PriorityQueue<>(Comparator.comparingLong(Due::nanos));
  private final Set<ServerProcess> stopped = new HashSet<>();

  Nemesis(Random random, Deployment deployment, List<Worker> workers, Set<Mischief> repertoire) {
    this.random = random;
    this.deployment = deployment;
    this.workers = workers;
    this.repertoire = EnumSet.copyOf(repertoire);
  }

  /** Goes on for this long, or until a worker is at its end; then until all has happened once. */
  void run(Duration length) throws Exception {
    long end = System.nanoTime() + length.toNanos();
    while (System.nanoTime() < end && areAlive()) {
      pause(50 + random.nextInt(MOST_PAUSE_MS));
      if (bag.isEmpty()) {
        fillBag();
      }
      Mischief next = bag.remove();
      planned.merge(next, 1, Integer::sum);
      perform(next);
    }
    Await.until(
        "everything planned to happen",
        UNTIL_ALL_HAPPENED,
        () -> {
          undoWhatIsDue();
          return planned.keySet().stream().allMatch(m -> happened(m) > 0) || !areAlive();
        },
        this::summary);
    heal();
  }

  /** Whatever was planned and did not happen. */
  List<Mischief> missing() {
    return planned.keySet().stream().filter(m -> happened(m) == 0).toList();
  }

  private boolean areAlive() {
    return workers.stream().allMatch(Worker::isAlive);
  }

  private int happened(Mischief mischief) {
    Fault fault = mischief.fault;
    return fault == null
        ? done.getOrDefault(mischief, 0)
        : workers.stream().mapToInt(w -> w.fired(fault)).sum();
  }

  /** How often each kind happened. */
  Map<Mischief, Integer> counts() {
    Map<Mischief, Integer> counts = new EnumMap<>(Mischief.class);
    repertoire.forEach(m -> counts.put(m, happened(m)));
    return counts;
  }

  private String summary() {
    return "planned " + planned + ", happened " + counts();
  }

  private void fillBag() {
    List<Mischief> all = new ArrayList<>();
    for (Mischief mischief : repertoire) {
      all.addAll(Collections.nCopies(mischief.share, mischief));
    }
    Collections.shuffle(all, random);
    bag.addAll(all);
  }

  private void pause(int millis) throws Exception {
    long end = System.nanoTime() + millis * 1_000_000L;
    for (long left = millis; left > 0; left = (end - System.nanoTime()) / 1_000_000) {
      Thread.sleep(Math.min(left, 20)); // the schedule is made of time
      undoWhatIsDue();
    }
  }

  private void undoWhatIsDue() throws Exception {
    while (!due.isEmpty() && due.element().nanos <= System.nanoTime()) {
      due.remove().undoing.run();
    }
  }

  private void later(int millis, Undoing undoing) {
    due.add(new Due(System.nanoTime() + millis * 1_000_000L, undoing));
  }

  private void perform(Mischief mischief) throws Exception {
    Worker worker =
        switch (mischief) {
          case KILL_CLIENT, STOP_CLIENT, PARTITION -> holding();
          default -> workers.get(random.nextInt(workers.size()));
        };
    boolean towardsServer = random.nextBoolean();
    int millis =
        switch (mischief) {
          case DELAY -> 5 + random.nextInt(300);
          // Sometimes longer than the session lasts.
          case FREEZE, STOP_SERVER -> 300 + random.nextInt(TTL_MS * 3 / 2);
          // Long enough for another one to take its place.
          case STOP_CLIENT -> TTL_MS + 300 + random.nextInt(TTL_MS);
          case PARTITION -> TTL_MS + 300 + random.nextInt(2 * TTL_MS);
          case KILL_CLUSTER -> random.nextInt(MOST_CLUSTER_DOWN_MS);
          default -> 0;
        };
    switch (mischief) {
      case KILL_CLIENT -> {
        worker.killAndStartAnother();
        happenedNow(mischief);
      }
      case STOP_CLIENT -> {
        if (!worker.isStopped()) {
          worker.stop();
          happenedNow(mischief);
          later(millis, worker::proceed);
        }
      }
      case KILL_SERVER -> {
        ServerProcess server = anyServer();
        server.kill();
        stopped.remove(server);
        happenedNow(mischief);
        deployment.startCluster(); // or it would not start
        server.start();
      }
      case STOP_SERVER -> {
        ServerProcess server = anyServer();
        if (stopped.add(server)) {
          server.signal("STOP");
          happenedNow(mischief);
          later(millis, () -> letProceed(server));
        }
      }
      case KILL_CLUSTER -> {
        if (deployment.killCluster()) {
          happenedNow(mischief);
          later(millis, deployment::startCluster);
        }
      }
      default -> inject(worker, mischief, towardsServer, millis);
    }
  }

  /**
   * One that has a lease and takes its time, for what happens to others is easy to get over; any
   * one if there is none for long.
   */
  private Worker holding() throws Exception {
    long end = System.nanoTime() + MOST_WAIT_FOR_HOLDER.toNanos();
    while (workers.size() > 1 && System.nanoTime() < end) {
      for (Worker worker : workers) {
        if (worker.isHolding()) {
          return worker;
        }
      }
      pause(5);
    }
    return workers.get(random.nextInt(workers.size()));
  }

  private ServerProcess anyServer() {
    return deployment.servers().get(random.nextInt(deployment.servers().size()));
  }

  private void inject(Worker worker, Mischief mischief, boolean towardsServer, int millis) {
    Fault fault = mischief.fault;
    if (fault == null) {
      throw new IllegalStateException(mischief + " is not a fault of connections");
    }
    FaultProxy proxy = worker.proxies().get(random.nextInt(worker.proxies().size()));
    proxy.inject(fault, towardsServer, Duration.ofMillis(millis));
  }

  private void happenedNow(Mischief mischief) {
    done.merge(mischief, 1, Integer::sum);
  }

  private void letProceed(ServerProcess server) throws Exception {
    if (stopped.remove(server)) {
      server.signal("CONT");
    }
  }

  /** Nothing is stopped, held back or about to fail any more. */
  private void heal() throws Exception {
    due.clear();
    for (ServerProcess server : List.copyOf(stopped)) {
      letProceed(server);
    }
    deployment.startCluster();
    for (Worker worker : workers) {
      worker.proxies().forEach(FaultProxy::heal);
      if (worker.isAlive()) {
        worker.proceed();
      }
    }
  }
}
