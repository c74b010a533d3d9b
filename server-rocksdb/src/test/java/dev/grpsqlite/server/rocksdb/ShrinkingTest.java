package dev.grpsqlite.server.rocksdb;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ShrinkingTest {
  private final Random random = new Random(1);

  /** Pages of which so many bytes, at their end, are random. */
  private List<PageImage> pages(int count, int pageSize, int randomBytes) {
    return IntStream.rangeClosed(1, count)
        .mapToObj(
            number -> {
              byte[] page = new byte[pageSize];
              byte[] noise = new byte[randomBytes];
              random.nextBytes(noise);
              Arrays.fill(page, (byte) number);
              System.arraycopy(noise, 0, page, pageSize - randomBytes, randomBytes);
              return new PageImage(number, 0, 1, ByteBuffer.wrap(page).asReadOnlyBuffer());
            })
        .toList();
  }

  @Test
  void noiseIsNot() {
    for (int pageSize : new int[] {512, 4096, 65_536}) {
      int count = (1 << 20) / pageSize;
      assertFalse(Shrinking.isWorthIt(pages(count, pageSize, pageSize)), pageSize + " bytes");
      assertFalse(
          Shrinking.isWorthIt(pages(count, pageSize, pageSize * 15 / 16)), pageSize + " bytes");
    }
  }

  @Test
  void whatIsHalfTextIs() {
    for (int pageSize : new int[] {512, 4096, 65_536}) {
      int count = (1 << 20) / pageSize;
      assertTrue(Shrinking.isWorthIt(pages(count, pageSize, pageSize / 2)), pageSize + " bytes");
      assertTrue(Shrinking.isWorthIt(pages(1, pageSize, 0)), pageSize + " bytes");
    }
  }

  @Test
  void theWholeOfItIsSampled() {
    List<PageImage> pages = new java.util.ArrayList<>(pages(32, 4096, 4096));
    pages.addAll(pages(224, 4096, 0));
    assertTrue(Shrinking.isWorthIt(pages));
  }

  @Test
  void thereMayBeNothingButZeros() {
    PageImage zeros = new PageImage(1, 0, 0, ByteBuffer.allocate(0));
    assertTrue(Shrinking.isWorthIt(List.of(zeros, zeros)));
  }
}
