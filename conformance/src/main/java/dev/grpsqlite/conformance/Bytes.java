package dev.grpsqlite.conformance;

import com.dynatrace.hash4j.hashing.Hashing;
import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.SplittableRandom;

/** Contents, and the checksum that the protocols have. */
final class Bytes {
  private Bytes() {}

  /** Bytes that follow from a number. */
  static byte[] random(int length, long seed) {
    byte[] bytes = new byte[length];
    new SplittableRandom(seed).nextBytes(bytes);
    return bytes;
  }

  /** A page that begins as SQLite's databases do, so that a server may look there for its size. */
  static byte[] header(int pageSize, long seed) {
    byte[] page = random(pageSize, seed);
    byte[] magic = text("SQLite format 3\0");
    System.arraycopy(magic, 0, page, 0, magic.length);
    int coded = pageSize == 65_536 ? 1 : pageSize;
    page[16] = (byte) (coded >> 8);
    page[17] = (byte) coded;
    return page;
  }

  static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** XXH3-64 with seed 0. */
  static long checksum(byte[] bytes) {
    return Hashing.xxh3_64().hashBytesToLong(bytes);
  }

  static ByteString of(byte[] bytes) {
    return ByteString.copyFrom(bytes);
  }
}
