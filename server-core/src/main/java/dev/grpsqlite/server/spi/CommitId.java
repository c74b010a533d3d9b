package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.util.HexFormat;

/** What makes a commit applied once however often it is sent (P5). Made by the client. */
public record CommitId(long high, long low) {
  public static final int BYTES = 16;

  /** Reads {@link #BYTES} bytes, big-endian, from the buffer's position. */
  public static CommitId read(ByteBuffer from) {
    return new CommitId(from.getLong(), from.getLong());
  }

  /** Writes {@link #BYTES} bytes, big-endian, at the buffer's position. */
  public void write(ByteBuffer to) {
    to.putLong(high).putLong(low);
  }

  /** What the version that this commit makes is told by from others of its number. */
  public long mark() {
    return high;
  }

  @Override
  public String toString() {
    HexFormat hex = HexFormat.of();
    return hex.toHexDigits(high) + hex.toHexDigits(low);
  }
}
