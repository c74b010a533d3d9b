package dev.grpsqlite.server.wire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import net.jpountz.lz4.LZ4Factory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OutgoingPagesTest {
  private final SplittableRandom random = new SplittableRandom(7);

  /** All pages of a long answer are right once the last is made: none lies where another lay. */
  @ParameterizedTest
  @ValueSource(ints = {512, 4096, 65_536})
  void compressedPagesHoldTheirContent(int pageSize) {
    List<byte[]> contents = new ArrayList<>();
    List<Page> pages = new ArrayList<>();
    OutgoingPages outgoing = new OutgoingPages(true);
    for (int i = 1; i <= 500; i++) {
      byte[] content = text(i, pageSize);
      contents.add(content);
      ByteBuffer data = ByteBuffer.wrap(content);
      pages.add(outgoing.of(image(i, i % 2 == 0 ? data : data.asReadOnlyBuffer())));
    }
    for (int i = 1; i <= 500; i++) {
      Page page = pages.get(i - 1);
      assertEquals(i, page.getNumber());
      assertEquals(9, page.getVersion());
      assertTrue(page.getData().isEmpty());
      assertTrue(page.getLz4().size() < pageSize / 2, page.getLz4().size() + " bytes");
      byte[] plain = new byte[pageSize];
      byte[] lz4 = page.getLz4().toByteArray();
      assertEquals(
          pageSize,
          LZ4Factory.safeInstance().safeDecompressor().decompress(lz4, 0, lz4.length, plain, 0));
      assertArrayEquals(contents.get(i - 1), plain);
      assertEquals(Pages.checksum(plain, 0, plain.length), page.getChecksum());
    }
  }

  @Test
  void whatDoesNotBecomeClearlySmallerIsSentAsItIs() {
    OutgoingPages outgoing = new OutgoingPages(true);
    for (int zeros : new int[] {0, 4096 / 16}) {
      byte[] content = new byte[4096];
      random.nextBytes(content);
      Arrays.fill(content, 0, zeros, (byte) 0);
      Page page = outgoing.of(image(1, ByteBuffer.wrap(content)));
      assertTrue(page.getLz4().isEmpty());
      assertArrayEquals(content, page.getData().toByteArray());
    }
    Page zeros = outgoing.of(new PageImage(2, 9, 0, ByteBuffer.allocate(0)));
    assertTrue(zeros.getLz4().isEmpty() && zeros.getData().isEmpty());
    assertEquals(0, zeros.getChecksum());
  }

  @Test
  void whoDoesNotAcceptItGetsThePlainPage() {
    byte[] content = text(1, 4096);
    Page page = new OutgoingPages(false).of(image(1, ByteBuffer.wrap(content)));
    assertTrue(page.getLz4().isEmpty());
    assertArrayEquals(content, page.getData().toByteArray());
  }

  /** A page within a larger array, as a store that reads many at once has it. */
  @Test
  void aPageMayBePartOfAnArray() {
    byte[] content = text(3, 4096);
    byte[] larger = new byte[3 * 4096];
    System.arraycopy(content, 0, larger, 1000, 4096);
    ByteBuffer part = ByteBuffer.wrap(larger, 1000, 4096).slice();
    Page page = new OutgoingPages(true).of(image(3, part));
    byte[] plain = new byte[4096];
    byte[] lz4 = page.getLz4().toByteArray();
    assertEquals(
        4096,
        LZ4Factory.safeInstance().safeDecompressor().decompress(lz4, 0, lz4.length, plain, 0));
    assertArrayEquals(content, plain);
  }

  private static PageImage image(int number, ByteBuffer data) {
    return new PageImage(number, 9, Pages.checksum(data), data);
  }

  private static byte[] text(int seed, int pageSize) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; text.length() < pageSize; i++) {
      text.append("row ").append(seed * i).append(" of table orders; ");
    }
    return text.substring(0, pageSize).getBytes(StandardCharsets.UTF_8);
  }
}
