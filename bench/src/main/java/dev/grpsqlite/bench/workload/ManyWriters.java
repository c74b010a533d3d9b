package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Small commits of eight clients at once. */
final class ManyWriters implements Workload {
  private static final int CLIENTS = 8;
  private static final String ALONE = ", one client";
  private static final String APART = ", 8 on 8 databases";
  private static final String TOGETHER = ", 8 on one database";

  @Override
  public String name() {
    return "writers";
  }

  @Override
  public String about() {
    return "An operation is the small commit of `commit`. The time is that of all clients together, by the"
        + " number of all commits, so it falls as the throughput grows. Clients are threads with a connection"
        + " each; those of one database wait for each other with `busy_timeout`.";
  }

  @Override
  public String tried() {
    return "Commits that arrive while one is synced go into the next batch together: 3.9 on average. What is left is CPU: a"
        + " commit takes 100 microseconds of the client's, 115 to 135 of the server's event loops, 100 to 115 of the"
        + " thread that commits; 320 in all, so two cores make one in 160 at best, and the ratio to one writer is"
        + " 3.5 at most if that one needs 570. It falls as a single commit gets faster. Not done: threads of their own for"
        + " writing and for syncing (a fifth at most), waiting for larger groups (a tenth, and slower alone).";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(CLIENTS);
    rig.atEnd(threads::shutdownNow);
    List<Contender> contenders = new ArrayList<>();
    for (Place place :
        List.of(rig.local("FULL"), rig.remote(Rig.MEMORY, 0), rig.remote(Rig.ROCKSDB, 0))) {
      contenders.add(contender(rig, threads, place, ALONE, 1, false));
      contenders.add(contender(rig, threads, place, APART, CLIENTS, false));
      contenders.add(contender(rig, threads, place, TOGETHER, CLIENTS, true));
    }
    return contenders;
  }

  private static Contender contender(
      Rig rig, ExecutorService threads, Place place, String how, int clients, boolean isShared)
      throws Exception {
    List<Connection> connections = new ArrayList<>();
    for (int client = 0; client < clients; client++) {
      String database = place.own("writers-" + clients + "-" + (isShared ? "all" : "" + client));
      boolean isNew = !isShared || client == 0;
      Connection connection = isNew ? SmallCommit.make(place, database) : place.open(database);
      Place.execute(connection, "PRAGMA busy_timeout = 60000");
      connections.add(rig.closing(connection));
    }
    return new Contender(
        place.name() + how,
        () -> {
          List<Callable<Timed.Run>> work = new ArrayList<>();
          for (Connection connection : connections) {
            SmallCommit.Increment increment = new SmallCommit.Increment(connection);
            work.add(() -> Timed.during(rig.sizes().sliceMs(), increment::run));
          }
          long begun = System.nanoTime();
          int commits = 0;
          for (Future<Timed.Run> each : threads.invokeAll(work)) {
            commits += each.get().operations();
          }
          return new Sample((System.nanoTime() - begun) / 1e9 / commits);
        });
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String rocksdb = RemotePlace.name(Rig.ROCKSDB, 0);
    return List.of(
        measured.ratio(
            "commits/s of 8 writers on 8 databases to those of one, RocksDB",
            rocksdb + ALONE,
            rocksdb + APART,
            Bar.atLeast(4)));
  }
}
