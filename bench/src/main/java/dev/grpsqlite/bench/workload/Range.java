package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A range of a secondary index, whose rows are anywhere in a fragmented table. */
final class Range implements Workload {
  private static final String DATABASE = "range.db";
  private static final int SCATTERED = 1000;
  private static final double DELAY_MS = 2;

  @Override
  public String name() {
    return "range";
  }

  @Override
  public String about() {
    return "An operation is an open and the sum over a thousand rows that are neighbours in a secondary index"
        + " and in nothing else, of a table whose rows were inserted in no order of their keys, over an empty cache.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    int rows = rig.sizes().rangeRows();
    Path source =
        Sources.make(
            rig,
            "range",
            "CREATE TABLE t (id INTEGER PRIMARY KEY, at INT, body BLOB)",
            "CREATE INDEX t_at ON t (at)",
            Sources.rows(rows)
                + "INSERT INTO t SELECT (i * 7919) % 15485863, i, randomblob(300) FROM n"
                + " ORDER BY (i * 104729) % 15485863");
    int from = rows / 3;
    ColdQuery query =
        new ColdQuery(
            DATABASE,
            "SELECT sum(length(body)) FROM t WHERE at BETWEEN %d AND %d"
                .formatted(from, from + SCATTERED - 1),
            1);
    List<Contender> contenders = new ArrayList<>();
    Place local = rig.local("FULL");
    local.load(source, DATABASE);
    contenders.add(query.in(rig, local, ""));
    rig.loadOnce(Rig.ROCKSDB, source, DATABASE);
    for (Place place : rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs())) {
      contenders.add(query.in(rig, place, ""));
    }
    return contenders;
  }

  @Override
  public List<Figure> judge(Measured measured) {
    String place = RemotePlace.name(Rig.ROCKSDB, DELAY_MS);
    return List.of(
        new Figure(
            "cold range over a secondary index, 1,000 scattered rows, 2 ms: round trips",
            "",
            measured.count(place, Statistics.ROUND_TRIPS).values(),
            Bar.atMost(30)),
        Figure.ratio(
            "cold range, pages sent to pages needed, " + place,
            measured
                .count(place, Statistics.PAGES_SENT)
                .to(measured.count(place, Statistics.PAGES_NEEDED)),
            Bar.NONE));
  }
}
