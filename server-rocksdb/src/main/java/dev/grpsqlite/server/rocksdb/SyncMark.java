package dev.grpsqlite.server.rocksdb;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The number of the newest write that is known to be synced, in a file of 12 bytes.
 *
 * <p>RocksDB replays its log up to the first damage. After a loss of power that is right: the end
 * of the log that was never synced may have holes. But a log that was damaged before that end would
 * lose commits that were acknowledged, in silence. So after each sync the number of the last write
 * that it covered is noted here, and a database that comes back with fewer is refused. The file
 * need not be synced itself: an older number only makes the check weaker. Belongs to the commit
 * thread once the store is open.
 */
final class SyncMark implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(SyncMark.class);

  static final String FILE = "synced";

  private static final int BYTES = 12;

  private final FileChannel channel;
  private final ByteBuffer buffer = ByteBuffer.allocateDirect(BYTES);
  private boolean failed;

  SyncMark(Path folder) throws IOException {
    channel =
        FileChannel.open(
            folder.resolve(FILE),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
  }

  /** The number, or 0 if none can be read. */
  long read() throws IOException {
    buffer.clear();
    while (buffer.hasRemaining() && channel.read(buffer, buffer.position()) > 0) {
      // until it is full or the file ends
    }
    if (buffer.flip().remaining() < BYTES) {
      return 0;
    }
    long number = buffer.getLong();
    return buffer.getInt() == checksum(number) ? number : 0;
  }

  void synced(long number) {
    buffer.clear();
    buffer.putLong(number).putInt(checksum(number)).flip();
    try {
      while (buffer.hasRemaining()) {
        channel.write(buffer, buffer.position());
      }
      failed = false;
    } catch (IOException e) {
      if (!failed) {
        log.warn("cannot note what is synced; damage to the log could go unnoticed", e);
      }
      failed = true;
    }
  }

  private static int checksum(long number) {
    CRC32C crc = new CRC32C();
    crc.update(ByteBuffer.allocate(8).putLong(0, number));
    return (int) crc.getValue();
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
