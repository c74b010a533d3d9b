package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.util.HexFormat;

/** Names the pages that a client uploads ahead of a commit. Made by the client. */
public record StageId(long high, long low) {
  public static final int BYTES = 16;

  /** Reads {@link #BYTES} bytes, big-endian, from the buffer's position. */
  public static StageId read(ByteBuffer from) {
    return new StageId(from.getLong(), from.getLong());
  }

  /** Writes {@link #BYTES} bytes, big-endian, at the buffer's position. */
  public void write(ByteBuffer to) {
    to.putLong(high).putLong(low);
  }

  @Override
  public String toString() {
    HexFormat hex = HexFormat.of();
    return hex.toHexDigits(high) + hex.toHexDigits(low);
  }
}
