package dev.grpsqlite.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Goes through the pages of a database in pieces, several at once, each thread with one buffer:
 * what is under way is bounded by that. A thread takes many pieces that follow each other, which is
 * how a server writes and reads them best. The first that fails stops all.
 */
final class Pieces {
  /** One is read or written while another is on the way. */
  private static final int THREADS = 3;

  /** Of pieces that follow each other. */
  private static final long RUN_BYTES = 64 << 20;

  /** Does one piece. */
  interface Work {
    void piece(long firstPage, int pages, byte[] buffer) throws IOException;
  }

  private Pieces() {}

  static void each(long pageCount, int pageSize, int pagesPerPiece, Progress progress, Work work)
      throws IOException, InterruptedException {
    long pieces = (pageCount + pagesPerPiece - 1) / pagesPerPiece;
    long runs = (pieces * pagesPerPiece * pageSize + RUN_BYTES - 1) / RUN_BYTES;
    // As many for each thread, so that none is left alone with the last.
    long evenly = (runs + THREADS - 1) / THREADS * THREADS;
    long pagesPerRun = Math.max(1, (pieces + evenly - 1) / Math.max(1, evenly)) * pagesPerPiece;
    AtomicLong next = new AtomicLong(1);
    AtomicBoolean failed = new AtomicBoolean();
    ExecutorService threads =
        Executors.newFixedThreadPool(
            THREADS,
            task -> {
              Thread thread = new Thread(task, "pages");
              thread.setDaemon(true);
              return thread;
            });
    try {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        running.add(
            threads.submit(
                () -> {
                  try {
                    byte[] buffer = new byte[pagesPerPiece * pageSize];
                    for (long run = next.getAndAdd(pagesPerRun);
                        run <= pageCount;
                        run = next.getAndAdd(pagesPerRun)) {
                      long end = Math.min(pageCount + 1, run + pagesPerRun);
                      for (long first = run; first < end; first += pagesPerPiece) {
                        if (failed.get()) {
                          return null;
                        }
                        int pages = (int) Math.min(pagesPerPiece, end - first);
                        work.piece(first, pages, buffer);
                        progress.add((long) pages * pageSize);
                      }
                    }
                  } catch (Throwable e) {
                    failed.set(true);
                    throw e;
                  }
                  return null;
                }));
      }
      for (Future<?> each : running) {
        each.get();
      }
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException io) {
        throw io;
      }
      if (e.getCause() instanceof RuntimeException runtime) {
        throw runtime;
      }
      throw new IllegalStateException(e.getCause());
    } finally {
      threads.shutdownNow();
    }
  }
}
