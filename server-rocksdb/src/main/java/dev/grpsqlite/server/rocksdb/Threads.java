package dev.grpsqlite.server.rocksdb;

import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;

final class Threads {
  private Threads() {}

  /** Waits until an executor that was shut down has ended, interrupted or not. */
  static void await(ExecutorService threads) {
    boolean interrupted = false;
    while (true) {
      try {
        if (threads.awaitTermination(1, TimeUnit.MINUTES)) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
