package dev.grpsqlite.server.rocksdb;

import java.io.IOException;
import java.nio.file.FileStore;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Says whether a disk is nearly full. What is left then is for what is in memory alone, or after a
 * restart in the log alone, for compaction, and for deletions, which make room only after they were
 * written themselves. Thread-safe.
 */
final class DiskRoom {
  /** More than the buffers hold, for they are written out even to start again. */
  private static final long RESERVE_BYTES = 192 << 20;

  /** Of a small disk, at most this part. */
  private static final int MOST_PART = 4;

  private static final long LOOK_EVERY_NANOS = 50_000_000;

  private final FileStore disk;
  private final long reserve;
  private volatile Seen seen;

  private record Seen(boolean low, long atNanos) {}

  DiskRoom(Path folder) throws IOException {
    disk = Files.getFileStore(folder);
    reserve = Math.min(RESERVE_BYTES, disk.getTotalSpace() / MOST_PART);
    seen = look();
  }

  boolean isLow() {
    Seen last = seen;
    if (System.nanoTime() - last.atNanos > LOOK_EVERY_NANOS) {
      last = look();
      seen = last;
    }
    return last.low;
  }

  private Seen look() {
    boolean low;
    try {
      low = disk.getUsableSpace() < reserve;
    } catch (IOException e) {
      low = false; // if nothing can be written either, the next write tells
    }
    return new Seen(low, System.nanoTime());
  }

  /** Bytes that are kept free. */
  long reserve() {
    return reserve;
  }
}
