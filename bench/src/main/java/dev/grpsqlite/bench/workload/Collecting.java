package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;

/** Commits while old versions are thrown away as fast as new ones are made. */
final class Collecting implements Workload {
  private static final String COLLECTING = "collecting rocksdb";
  private static final int RETENTION_MS = 20;

  @Override
  public String name() {
    return "collecting";
  }

  @Override
  public String about() {
    return "An operation is the small commit of `commit`, at a RocksDB server that keeps the versions of the last"
        + " 10 minutes, so that nothing is collected during a run, and at one that keeps those of the last "
        + RETENTION_MS
        + " ms, whose collector so follows the writer.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    Place collecting = rig.another(COLLECTING, Rig.ROCKSDB, "--retention", RETENTION_MS + "ms");
    List<Contender> contenders = new ArrayList<>();
    for (Place place : List.of(rig.remote(Rig.ROCKSDB, 0), collecting)) {
      Connection connection = rig.closing(SmallCommit.make(place, place.own("collecting")));
      SmallCommit.Increment increment = new SmallCommit.Increment(connection);
      contenders.add(
          new Contender(
              place.name(),
              () -> new Sample(Timed.during(rig.sizes().sliceMs() * 2, increment::run).each())));
    }
    return contenders;
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return List.of(
        measured.ratio(
            "small commit while old versions are collected, to that while none are",
            RemotePlace.name(COLLECTING, 0),
            RemotePlace.name(Rig.ROCKSDB, 0),
            Bar.NONE));
  }
}
