package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Program;
import java.io.IOException;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/** Processes that read what another one writes to. */
final class Replicas implements Workload {
  private static final List<Integer> NUMBERS = List.of(1, 2, 4, 8);
  private static final String DATABASE = "replicas.db";

  @Override
  public String name() {
    return "replicas";
  }

  @Override
  public String about() {
    return "An operation is a read of ten rows in a fresh transaction, of a process that has the database open"
        + " with `mode=ro`, while another one commits without a pause. The time is that of all replicas"
        + " together, by the number of all reads. They share the processors of this machine with the server: where"
        + " the throughput stops growing is where those are used up.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    Place place = rig.remote(Rig.ROCKSDB, 0);
    Connection writer = rig.closing(SmallCommit.make(place, DATABASE));
    SmallCommit.Increment increment = new SmallCommit.Increment(writer);
    ExecutorService thread = Executors.newSingleThreadExecutor();
    rig.atEnd(thread::shutdownNow);
    Client client = new Client(rig.folder(), rig.server(Rig.ROCKSDB).url());
    String script = Dist.root().resolve("bench/src/main/python/replica.py").toString();
    List<Program> replicas = new ArrayList<>();
    for (int i = 0; i < NUMBERS.get(NUMBERS.size() - 1); i++) {
      Program replica = client.start("/usr/bin/python3", "-B", script, DATABASE);
      rig.atEnd(replica::close);
      replica.readTo("ready");
      replicas.add(replica);
    }
    int millis = rig.sizes().sliceMs() * 2;
    List<Contender> contenders = new ArrayList<>();
    for (int number : NUMBERS) {
      contenders.add(
          new Contender(
              place(number),
              () -> {
                Future<Timed.Run> written =
                    thread.submit(() -> Timed.during(millis, increment::run));
                Sample read = read(replicas.subList(0, number), millis);
                return new Sample(
                    read.seconds(),
                    Map.of(
                        Statistics.ROUND_TRIPS,
                        read.counts().getOrDefault(Statistics.ROUND_TRIPS, 0.0),
                        "commit ms",
                        written.get().each() * 1e3));
              }));
    }
    return contenders;
  }

  private static String place(int number) {
    return RemotePlace.name(Rig.ROCKSDB, 0) + ", replicas: " + number;
  }

  private static Sample read(List<Program> replicas, int millis) throws Exception {
    long begun = System.nanoTime();
    for (Program each : replicas) {
      each.send(millis + "\n");
    }
    long reads = 0;
    long trips = 0;
    for (Program each : replicas) {
      @Nullable String answer = each.line();
      if (answer == null) {
        throw new IOException("a replica ended: " + each.errors());
      }
      String[] numbers = answer.split(" ", -1);
      reads += Long.parseLong(numbers[0]);
      trips += Long.parseLong(numbers[1]);
    }
    return new Sample(
        (System.nanoTime() - begun) / 1e9 / reads,
        Map.of(Statistics.ROUND_TRIPS, (double) trips / reads));
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return List.of(
        measured.ratio("reads/s of 8 replicas to those of one", place(1), place(8), Bar.NONE));
  }
}
