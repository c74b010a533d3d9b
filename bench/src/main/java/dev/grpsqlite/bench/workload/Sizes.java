package dev.grpsqlite.bench.workload;

import java.util.List;

/**
 * How much is measured: all sizes are here.
 *
 * @param name of the form
 * @param warmUpMs how long each place of each workload is repeated before the rounds that count
 * @param rounds that count, of each place of each workload
 * @param leastRounds of a workload that takes long
 * @param longMs after which no round is begun any more, if there were as many as that
 * @param sliceMs how long an operation is repeated for one value
 * @param delaysMs of round trips; the first is 0, without a proxy
 * @param tableMiB the table of scans and points
 * @param warmRows of half a KiB each, for warm reads: more than SQLite's own cache, less than ours
 * @param points that are looked up cold, for one value
 * @param rangeRows of the fragmented table, of which a range takes a thousand
 * @param posts of the joins, and of users a tenth
 * @param mixScale of the mix, whose full size SQLite once published
 * @param bulkRows in one transaction
 * @param branches of TPC-B, with 1,000 accounts each
 * @param databases of which one is opened
 * @param manyDatabases at one server; 0: not measured
 * @param scaleMiB of the tables whose times are compared, from small to large
 */
public record Sizes(
    String name,
    long warmUpMs,
    int rounds,
    int leastRounds,
    long longMs,
    int sliceMs,
    List<Double> delaysMs,
    int tableMiB,
    int warmRows,
    int points,
    int rangeRows,
    int posts,
    double mixScale,
    int bulkRows,
    int branches,
    int databases,
    int manyDatabases,
    List<Integer> scaleMiB) {
  private static final List<Double> DELAYS_MS = List.of(0.0, 0.5, 2.0, 20.0);

  /** Under ten minutes, with everything in it. */
  public static final Sizes SHORT =
      new Sizes(
          "short",
          200,
          5,
          5,
          Long.MAX_VALUE,
          200,
          DELAYS_MS,
          32,
          20_000,
          30,
          30_000,
          20_000,
          0.03,
          50_000,
          2,
          100,
          0,
          List.of(2, 32));

  /** What the bars are about. */
  public static final Sizes FULL =
      new Sizes(
          "full",
          3000,
          7,
          3,
          60_000,
          1000,
          DELAYS_MS,
          1024,
          40_000,
          200,
          300_000,
          1_000_000,
          1,
          1_000_000,
          10,
          10_000,
          100_000,
          List.of(10, 100, 1024, 10 * 1024));

  @Override
  public String toString() {
    return String.format(
        "%s form: %d to %d rounds; a table of %d MiB, %d posts, %d rows in bulk, %d databases",
        name, leastRounds, rounds, tableMiB, posts, bulkRows, databases);
  }
}
