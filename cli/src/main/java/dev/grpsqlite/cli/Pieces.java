package dev.grpsqlite.cli;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Goes through the pages of a database in pieces, several at once, each thread with one buffer:
 * what is under way is bounded by that. The first that fails stops all.
 */
final class Pieces {
  /** One is read or written while another is on the way. */
  private static final int THREADS = 3;

  /** Does one piece. */
  interface Work {
    void piece(long firstPage, int pages, byte[] buffer) throws IOException;
  }

  private Pieces() {}

  static void each(long pageCount, int pageSize, int pagesPerPiece, Progress progress, Work work)
      throws IOException, InterruptedException {
    AtomicLong next = new AtomicLong(1);
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
                    for (long first = next.getAndAdd(pagesPerPiece);
                        first <= pageCount;
                        first = next.getAndAdd(pagesPerPiece)) {
                      int pages = (int) Math.min(pagesPerPiece, pageCount - first + 1);
                      work.piece(first, pages, buffer);
                      progress.add((long) pages * pageSize);
                    }
                  } catch (Throwable e) {
                    next.set(pageCount + 1);
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
