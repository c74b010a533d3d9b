package dev.grpsqlite.server.wire;

import com.google.protobuf.Timestamp;
import java.time.DateTimeException;
import java.time.Instant;

/** Numbers and times on the wire. What is out of range is INVALID_REQUEST. */
public final class Fields {
  private Fields() {}

  public static long version(long unsigned) {
    if (unsigned < 0) {
      throw RequestException.invalid(
          "version " + Long.toUnsignedString(unsigned) + " is out of range");
    }
    return unsigned;
  }

  /** The number of a call. */
  public static long call(long unsigned) {
    if (unsigned < 0) {
      throw RequestException.invalid(
          "call " + Long.toUnsignedString(unsigned) + " is out of range");
    }
    return unsigned;
  }

  public static Instant time(String field, Timestamp time) {
    try {
      return Instant.ofEpochSecond(time.getSeconds(), time.getNanos());
    } catch (DateTimeException | ArithmeticException e) {
      throw RequestException.invalid(field + " is not a time");
    }
  }
}
