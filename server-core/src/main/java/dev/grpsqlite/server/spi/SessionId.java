package dev.grpsqlite.server.spi;

import java.nio.ByteBuffer;
import java.util.HexFormat;

/** A client's presence at a server, made and known by that client alone: a secret. */
public record SessionId(long high, long low) {
  public static final int BYTES = 16;

  /** Reads {@link #BYTES} bytes, big-endian, from the buffer's position. */
  public static SessionId read(ByteBuffer from) {
    return new SessionId(from.getLong(), from.getLong());
  }

  /** Writes {@link #BYTES} bytes, big-endian, at the buffer's position. */
  public void write(ByteBuffer to) {
    to.putLong(high).putLong(low);
  }

  /** The first 4 bytes alone, in hex: enough for a log, too little to act as the session. */
  @Override
  public String toString() {
    return HexFormat.of().toHexDigits((int) (high >>> 32));
  }
}
