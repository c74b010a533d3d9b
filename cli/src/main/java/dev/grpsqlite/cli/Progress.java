package dev.grpsqlite.cli;

import java.io.PrintStream;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A line that shows how far long work is, at what rate, and how long it will still take; on a
 * terminal alone. {@link #add} may be called by any thread, the rest by the one that made it.
 */
final class Progress implements AutoCloseable {
  private static final int BAR = 24;
  private static final long EVERY_MS = 200;
  private static final double NANOS = 1e9;
  private static final String CLEAR = "\r\u001b[K";

  private final String what;
  private final long total;
  private final PrintStream out;
  private final boolean shown;
  private final long begun = System.nanoTime();
  private final AtomicLong done = new AtomicLong();
  private boolean ended;
  private final ScheduledExecutorService painter =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "progress");
            thread.setDaemon(true);
            return thread;
          });

  /**
   * Begins.
   *
   * @param total bytes
   * @param shown whether there is a terminal
   */
  Progress(String what, long total, PrintStream out, boolean shown) {
    this.what = what;
    this.total = total;
    this.out = out;
    this.shown = shown;
    if (shown) {
      ScheduledFuture<?> unused =
          painter.scheduleWithFixedDelay(this::paint, EVERY_MS, EVERY_MS, TimeUnit.MILLISECONDS);
    }
  }

  void add(long bytes) {
    done.addAndGet(bytes);
  }

  private double seconds() {
    return (System.nanoTime() - begun) / NANOS;
  }

  private void paint() {
    out.print(CLEAR + line(what, done.get(), total, seconds()));
    out.flush();
  }

  static String line(String what, long done, long total, double seconds) {
    double part = total == 0 ? 1 : (double) done / total;
    int full = (int) (part * BAR);
    double rate = done / Math.max(seconds, 1 / NANOS);
    String left = done == 0 ? "" : ", " + Quantity.seconds((total - done) / rate) + " left";
    return what
        + " ["
        + "#".repeat(full)
        + ".".repeat(BAR - full)
        + "] "
        + (int) (part * 100)
        + "% of "
        + Quantity.bytes(total)
        + ", "
        + Quantity.bytes(rate)
        + "/s"
        + left;
  }

  /** Ends the line, and returns how long it took. */
  double end() {
    double seconds = seconds();
    close();
    return seconds;
  }

  /** Clears the line, so that what is printed next stands where it was. */
  @Override
  public void close() {
    painter.shutdownNow();
    try {
      painter.awaitTermination(1, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (shown && !ended) {
      ended = true;
      out.print(CLEAR);
      out.flush();
    }
  }
}
