package dev.grpsqlite.cli;

import java.io.Closeable;
import java.io.IOException;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * What takes a while to open, opened by a thread of its own while something else is done. One
 * thread at a time.
 */
final class Ahead<T extends Closeable> implements Closeable {
  private final FutureTask<T> opening;

  /** Begins at once. */
  Ahead(String what, Callable<T> open) {
    opening = new FutureTask<>(open);
    new Thread(opening, what).start();
  }

  /** Waits for it. Fails as opening it has. */
  T get() throws IOException, InterruptedException {
    try {
      return opening.get();
    } catch (ExecutionException e) {
      Throwable failure = e.getCause();
      if (failure instanceof IOException io) {
        throw io;
      }
      if (failure instanceof RuntimeException unchecked) {
        throw unchecked;
      }
      throw new IllegalStateException(failure);
    }
  }

  /** Closes it, if it could be opened. */
  @Override
  public void close() throws IOException {
    T opened;
    try {
      opened = get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return; // It ends with the process.
    } catch (IOException | RuntimeException e) {
      return; // Who asked for it knows.
    }
    opened.close();
  }
}
