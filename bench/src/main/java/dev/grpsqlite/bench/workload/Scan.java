package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.baseline.Echo;
import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.nio.file.Path;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** A whole table, over an empty cache. */
final class Scan implements Workload {
  private static final String DATABASE = "table.db";
  private static final int MESSAGE_BYTES = 1 << 20;
  private static final ColdQuery QUERY =
      new ColdQuery(DATABASE, "SELECT sum(length(pad)) FROM t NOT INDEXED", 1);

  @Override
  public String name() {
    return "scan";
  }

  @Override
  public String about() {
    return "An operation is an open and `SELECT sum(length(pad)) FROM t NOT INDEXED` of the large"
        + " table. The echo brings as many bytes as that in one stream, in messages of 1 MiB, through the same"
        + " flow control windows: what those cost at a distance, both pay.";
  }

  @Override
  public String tried() {
    return "Kept: SQLite works on what has come while the rest is on its way; windows of 16 MiB; up to "
        + "16 MiB for an answer where they come fast; RocksDB steps from page to page where they lie "
        + "in a row, and reads the next ones while some are being sent; streams go to gRPC without a "
        + "buffer around them. Of RocksDB's 10 us for a page, half is its own (a step of the "
        + "iterator, the block, its copies out of the file and into Java), the rest is what memory "
        + "takes too. At 0 ms what is left is CPU: a client takes 1 ms a MiB, a quarter of "
        + "it in the kernel (the socket, and a fault for each page of the cache's memory), the rest "
        + "for the checksum, two copies and SQLite. Kept: pages that a scan has passed are the first to go, "
        + "so that it stays in memory that the processor has at hand; checksums by AVX2; no look at "
        + "the clock for what is cached: together a fifth of the client's time. Large pages for the "
        + "cache's memory took a third less where the system had some, and twice as much where it had "
        + "to make room for them: not kept; nor was writing pages past protobuf's buffer of 4 KiB, which "
        + "spares a copy, but one out of the processor's own cache, and was not measurable; nor was having "
        + "RocksDB read half a MiB at once. Answers are given to the system by 256 KiB instead of 64, which "
        + "wakes the client less often: a tenth less time over memory, and a quarter less for the echo, which has "
        + "the same. Pages of a scan are read from RocksDB by two threads: 1.99 to 1.73 s at 0 ms, nothing at a "
        + "distance; unpacking LZ4 is a seventh of what its threads do, the rest is spread over hundreds of functions. "
        + "Three seconds do not warm a server up for this: the first four scans of 1 GiB take up to "
        + "twice as long as later ones.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    Path source = Sources.table(rig, rig.sizes().tableMiB());
    List<Contender> contenders = new ArrayList<>();
    Place local = rig.local("OFF");
    local.load(source, DATABASE);
    contenders.add(QUERY.in(rig, local, ""));
    for (String server : List.of(Rig.MEMORY, Rig.ROCKSDB)) {
      rig.loadOnce(server, source, DATABASE);
      for (Place place : rig.remotes(server, rig.sizes().delaysMs())) {
        contenders.add(QUERY.in(rig, place, ""));
      }
    }
    Place near = rig.remote(Rig.ROCKSDB, 0);
    long bytes;
    try (Connection connection = near.openToRead(DATABASE)) {
      Statistics before = Statistics.of(connection);
      QUERY.run(connection);
      bytes = Statistics.of(connection).since(before, "bytes_received");
    }
    for (double delayMs : rig.sizes().delaysMs()) {
      Echo echo = rig.echo(delayMs);
      contenders.add(
          new Contender(
              Rig.echoName(delayMs), () -> new Sample(echo.stream(bytes, MESSAGE_BYTES))));
    }
    return contenders;
  }

  @Override
  public List<Figure> judge(Measured measured) {
    List<Figure> figures = new ArrayList<>();
    Map.of(0.0, 0.6, 2.0, 0.5).entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(
            bar -> {
              for (String server : List.of(Rig.MEMORY, Rig.ROCKSDB)) {
                String place = RemotePlace.name(server, bar.getKey());
                figures.add(
                    Figure.ratio(
                        "cold full scan, bandwidth to the bare transport's, " + place,
                        measured.seconds(Rig.echoName(bar.getKey())).to(measured.seconds(place)),
                        Bar.atLeast(bar.getValue())));
              }
            });
    String place = RemotePlace.name(Rig.ROCKSDB, 2);
    figures.add(
        Figure.ratio(
            "cold full scan, pages sent to pages needed, " + place,
            measured
                .count(place, Statistics.PAGES_SENT)
                .to(measured.count(place, Statistics.PAGES_NEEDED)),
            Bar.NONE));
    return figures;
  }
}
