package dev.grpsqlite.server.contract;

import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.wire.Pages;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;

/** Pages whose content follows from a number. */
public final class TestPages {
  private TestPages() {}

  /** What a page with this seed consists of; seed 0 is the page of zeros, as no bytes. */
  public static byte[] content(int pageSize, long seed) {
    if (seed == 0) {
      return new byte[0];
    }
    byte[] bytes = new byte[pageSize];
    new SplittableRandom(seed).nextBytes(bytes);
    return bytes;
  }

  public static PageImage page(long number, int pageSize, long seed) {
    byte[] bytes = content(pageSize, seed);
    return new PageImage(number, 0, Pages.checksum(bytes, 0, bytes.length), ByteBuffer.wrap(bytes));
  }
}
