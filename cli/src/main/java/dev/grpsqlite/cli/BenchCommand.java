package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Download;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.pageclient.Session;
import dev.grpsqlite.pageclient.Session.At;
import dev.grpsqlite.pageclient.Session.Lease;
import dev.grpsqlite.pageclient.Session.Opened;
import dev.grpsqlite.pageclient.Upload;
import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "bench",
    description = {
      "Measure a server, in some seconds, with a database that is removed afterwards:",
      "a round trip (a call that does nothing); a commit (of one page, by one writer: a round trip"
          + " and what the server does to keep it); the read of one"
          + " page, at random; and how fast pages are uploaded as one commit and read again."
    })
final class BenchCommand implements Callable<Integer> {
  private static final int PAGE_SIZE = 4096;
  private static final long NANOS = 1_000_000_000;

  @ParentCommand private @Nullable Main main;

  @Option(
      names = "--seconds",
      paramLabel = "N",
      defaultValue = "1",
      description = "For each of the latencies. Default: 1.")
  private int seconds;

  @Option(
      names = "--mib",
      paramLabel = "N",
      defaultValue = "64",
      description = "How much to upload and read. Default: 64.")
  private int mib;

  private @Nullable Lease held;

  private interface Step {
    void run() throws IOException;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    if (seconds < 1 || mib < 1 || mib > 1 << 16) {
      throw new Refusal(Kind.USAGE, "--seconds is at least 1, --mib from 1 to 65536");
    }
    Main top = Commands.of(main);
    String name = "grpsqlite-bench-" + Long.toHexString(System.nanoTime());
    try (ServerConnection connection = top.server().connectDirectly();
        Session session = Session.open(connection, ServerOptions.clientName())) {
      Map<String, Object> shape = new LinkedHashMap<>();
      shape.put("server", session.serverName());
      try {
        measure(top, session, name, shape);
      } finally {
        remove(top, session, name, held);
      }
      StringBuilder text = new StringBuilder();
      shape.forEach((what, value) -> text.append(String.format("%-18s %s%n", what, value)));
      top.answer(shape, text.toString().stripTrailing());
    }
    return 0;
  }

  private void measure(Main top, Session session, String name, Map<String, Object> shape)
      throws IOException, InterruptedException {
    latency(shape, "round_trip_ms", session::roundTrip);
    Opened empty = session.openToWrite(name);
    Random random = new Random(1);
    byte[] piece = new byte[1 << 20];
    random.nextBytes(piece);
    long pages = ((long) mib << 20) / PAGE_SIZE;
    Lease lease =
        session
            .acquire(empty, Duration.ofSeconds(1))
            .orElseThrow(() -> new Refusal(Kind.IN_THE_WAY, "another has the lease"));
    held = lease;
    long begun = System.nanoTime();
    Upload upload = new Upload(session, lease, PAGE_SIZE);
    try (Progress progress = top.progress("uploading", pages * PAGE_SIZE)) {
      Pieces.each(
          pages,
          PAGE_SIZE,
          Math.min(upload.pagesPerMessage(), piece.length / PAGE_SIZE),
          progress,
          (first, count, buffer) -> upload.stage(first, count, piece));
    }
    long[] version = {upload.commit(pages)};
    shape.put("upload_mib_per_s", rate(begun));
    Opened full = session.openToRead(name, At.HEAD);
    Download download = new Download(session, full);
    begun = System.nanoTime();
    try (Progress progress = top.progress("reading", pages * PAGE_SIZE)) {
      Pieces.each(pages, PAGE_SIZE, 1024, progress, download::read);
    }
    shape.put("download_mib_per_s", rate(begun));
    byte[] page = new byte[PAGE_SIZE];
    latency(
        shape,
        "page_read_ms",
        () -> download.read(1 + (long) (random.nextDouble() * pages), 1, page));
    latency(
        shape,
        "commit_ms",
        () -> {
          random.nextBytes(page);
          version[0] = new Upload(session, lease.at(version[0]), PAGE_SIZE).commit(1, page, pages);
        });
  }

  private double rate(long begun) {
    return rounded((double) mib * NANOS / (System.nanoTime() - begun));
  }

  /** The median and the 99th percentile. */
  private void latency(Map<String, Object> shape, String what, Step step) throws IOException {
    long end = System.nanoTime() + seconds * NANOS;
    long[] nanos = new long[1024];
    int count = 0;
    for (long begun = System.nanoTime(); begun < end; begun = System.nanoTime()) {
      step.run();
      if (count == nanos.length) {
        nanos = Arrays.copyOf(nanos, 2 * count);
      }
      nanos[count++] = System.nanoTime() - begun;
    }
    Arrays.sort(nanos, 0, count);
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("p50", rounded(nanos[count / 2] / 1e6));
    values.put("p99", rounded(nanos[count * 99 / 100] / 1e6));
    shape.put(what, values);
  }

  private static double rounded(double value) {
    return Math.round(value * 1000) / 1000.0;
  }

  private static void remove(Main top, Session session, String name, @Nullable Lease held) {
    if (held == null) {
      return;
    }
    try {
      session.release(held);
      session.connection().admin().drop(name);
    } catch (RemoteException e) {
      top.err().println("grpsqlite: " + name + " was not removed: " + e.getMessage());
    }
  }
}
