package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/** The same operations on small and large databases. */
final class Scale implements Workload {
  private static final String LOOKUP = "lookup";
  private static final String CHANGE = "change";
  private static final String OPEN = "open";
  private static final long STEP = 7368787;

  private final List<Integer> sizesMiB = new ArrayList<>();

  @Override
  public String name() {
    return "scale";
  }

  @Override
  public String about() {
    return "An operation is, at a RocksDB server without delay, on tables of several sizes: the lookup of a row"
        + " anywhere by its key, the change of such a row in a transaction of its own, an open with a query and"
        + " close. The extension has a cache of 1 MiB, so that the rows are never in it.";
  }

  @Override
  public String tried() {
    return "An open brings the upper pages of all trees, for that saves a round trip of each first "
        + "lookup: none at 10 MiB, 2 MB at 1 GiB. The server keeps those of the last opens, so that "
        + "RocksDB is not asked again, which took 20 to 30 microseconds for each. An open brings no "
        + "level of which most would have to stay behind, so in the largest tables the query of an "
        + "open reads one page more. A lookup in a table that is larger than the block cache waits "
        + "for the disk, or for the system's cache of it; and where the extension's cache (1 MiB here) does not "
        + "hold the upper pages of the b-tree, as from 1 GiB on, it reads one of those too. Such a session "
        + "is not sent their neighbours any more: with them, a lookup brought 28 pages in vain.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    sizesMiB.clear();
    sizesMiB.addAll(rig.sizes().scaleMiB());
    List<Contender> contenders = new ArrayList<>();
    Place place = rig.remote(Rig.ROCKSDB, 0);
    rig.closing(place.open(place.own("session"))); // so that the session is there
    for (int mebibytes : sizesMiB) {
      String database = "scale-" + mebibytes + ".db";
      rig.loadOnce(Rig.ROCKSDB, Sources.table(rig, mebibytes), database);
      long rows = Sources.tableRows(mebibytes);
      int millis = rig.sizes().sliceMs();
      contenders.add(
          new Contender(
              name(OPEN, mebibytes),
              () -> new Sample(Timed.during(millis, number -> open(place, database)).each())));
      contenders.add(
          new Contender(
              name(LOOKUP, mebibytes),
              () -> {
                try (Connection connection = place.openToRead(database, "cache_mb=1");
                    PreparedStatement select =
                        connection.prepareStatement("SELECT length(pad) FROM t WHERE id = ?")) {
                  connection.setAutoCommit(false);
                  return new Sample(
                      Timed.during(millis, number -> lookup(select, number * STEP % rows + 1))
                          .each());
                }
              }));
      contenders.add(
          new Contender(
              name(CHANGE, mebibytes),
              () -> {
                try (Connection connection = place.open(database);
                    PreparedStatement update =
                        connection.prepareStatement(
                            "UPDATE t SET pad = zeroblob(440) WHERE id = ?")) {
                  return new Sample(
                      Timed.during(millis, number -> change(update, number * STEP % rows + 1))
                          .each());
                }
              }));
    }
    return contenders;
  }

  private static void open(Place place, String database) throws SQLException {
    try (Connection connection = place.openToRead(database);
        PreparedStatement select =
            connection.prepareStatement("SELECT length(pad) FROM t WHERE id = ?")) {
      lookup(select, 1);
    }
  }

  private static void lookup(PreparedStatement select, long id) throws SQLException {
    select.setLong(1, id);
    try (ResultSet row = select.executeQuery()) {
      if (!row.next() || row.getInt(1) != 440) {
        throw new SQLException("no row " + id);
      }
    }
  }

  private static void change(PreparedStatement update, long id) throws SQLException {
    update.setLong(1, id);
    if (update.executeUpdate() != 1) {
      throw new SQLException("no row " + id);
    }
  }

  private static String name(String operation, int mebibytes) {
    return operation + ", " + mebibytes + " MiB";
  }

  @Override
  public List<Figure> judge(Measured measured) {
    int small = sizesMiB.get(0);
    int large = sizesMiB.get(sizesMiB.size() - 1);
    double growth = Math.log(Sources.tableRows(large)) / Math.log(Sources.tableRows(small));
    return List.of(OPEN, LOOKUP, CHANGE).stream()
        .map(
            operation ->
                measured.ratio(
                    operation + ", time at " + large + " MiB to that at " + small + " MiB",
                    name(operation, large),
                    name(operation, small),
                    Bar.atMost(growth)))
        .toList();
  }
}
