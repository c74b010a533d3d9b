package dev.grpsqlite.bench.baseline;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;

/** What it costs to append bytes to a file and have them on the disk: no log can do with less. */
public final class LogSync implements AutoCloseable {
  private static final double NANOS = 1e9;

  private final FileChannel file;

  /**
   * Makes the file.
   *
   * @param folder on the disk that is measured
   */
  public LogSync(Path folder) throws IOException {
    file =
        FileChannel.open(
            folder.resolve("log-sync"), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  /** Seconds of an append of this many bytes and its sync, of as many as fit into the time. */
  public double append(int bytes, long millis) throws IOException {
    ByteBuffer block = ByteBuffer.allocateDirect(bytes);
    long begun = System.nanoTime();
    long elapsed;
    int appends = 0;
    do {
      block.rewind();
      while (block.hasRemaining()) {
        file.write(block);
      }
      file.force(false);
      appends++;
      elapsed = System.nanoTime() - begun;
    } while (elapsed < TimeUnit.MILLISECONDS.toNanos(millis));
    return elapsed / NANOS / appends;
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
