package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;

/**
 * A whole table, in a process that starts over a cache on disk, beside one that starts over none.
 */
final class WarmDisk implements Workload {
  private static final String DATABASE = "table.db";
  private static final List<Double> DELAYS_MS = List.of(0.0, 2.0);
  private static final ColdQuery QUERY =
      new ColdQuery(DATABASE, "SELECT sum(length(pad)) FROM t NOT INDEXED", 1);

  @Override
  public String name() {
    return "warm-disk";
  }

  @Override
  public String about() {
    return "An operation is an open and `SELECT sum(length(pad)) FROM t NOT INDEXED` of the large"
        + " table, with `cache_dir=` and without. Nothing has changed since the folder was filled.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Contender> contenders = new ArrayList<>();
    rig.loadOnce(Rig.ROCKSDB, Sources.table(rig, rig.sizes().tableMiB()), DATABASE);
    for (Place place : rig.remotes(Rig.ROCKSDB, DELAYS_MS)) {
      contenders.add(QUERY.in(rig, place, ""));
      contenders.add(warm(rig, place));
    }
    return contenders;
  }

  private static Contender warm(Rig rig, Place place) throws Exception {
    Connection holder = rig.closing(place.open(place.own("session")));
    String[] disk = {
      "cache_dir=" + rig.folder().resolve("cache"), "cache_dir_mb=" + 2 * rig.sizes().tableMiB()
    };
    return new Contender(
        place.name() + ", on disk",
        () -> {
          Statistics before = Statistics.of(holder);
          long begun = System.nanoTime();
          try (Connection connection = place.openToRead(DATABASE, disk)) {
            QUERY.run(connection);
            double seconds = (System.nanoTime() - begun) / 1e9;
            return new Sample(seconds, Statistics.of(connection).trips(before, 1));
          }
        });
  }

  @Override
  public List<Figure> judge(Measured measured) {
    List<Figure> figures = new ArrayList<>();
    for (double delayMs : DELAYS_MS) {
      String place = RemotePlace.name(Rig.ROCKSDB, delayMs);
      figures.add(
          measured.ratio(
              "full scan over a cache on disk, time to a cold one, " + place,
              place + ", on disk",
              place,
              Bar.NONE));
    }
    return figures;
  }
}
