package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.HexFormat;

/** The identity of a database for its whole life; never used again after it was dropped. */
public record DatabaseId(long high, long low) {
  public static final int BYTES = 16;

  public static DatabaseId random(SecureRandom random) {
    return new DatabaseId(random.nextLong(), random.nextLong());
  }

  /** Reads {@link #BYTES} bytes, big-endian, from the buffer's position. */
  public static DatabaseId read(ByteBuffer from) {
    return new DatabaseId(from.getLong(), from.getLong());
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
