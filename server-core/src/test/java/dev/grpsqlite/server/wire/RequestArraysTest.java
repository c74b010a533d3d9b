package dev.grpsqlite.server.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;

import dev.grpsqlite.server.spi.PageImage;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** Arrays that requests are read into, again. */
class RequestArraysTest {
  private static final int LARGE = 1 << 20;

  private final RequestArrays arrays = new RequestArrays();

  private static List<PageImage> pagesIn(byte[] array) {
    PageImage zero = new PageImage(1, 0, 0, ByteBuffer.wrap(new byte[0]));
    return List.of(zero, new PageImage(2, 0, 7, ByteBuffer.wrap(array, 100, 512).slice()));
  }

  @Test
  void aRequestIsReadIntoTheArrayOfOneBefore() {
    byte[] first = arrays.take(LARGE);
    byte[] second = arrays.take(LARGE);
    assertNotSame(first, second);
    arrays.giveBack(pagesIn(first));
    assertSame(first, arrays.take(LARGE - 1));
    assertNotSame(first, arrays.take(LARGE), "given to two");
  }

  @Test
  void aLargerOneHasAnArrayOfItsOwn() {
    arrays.giveBack(pagesIn(new byte[LARGE]));
    assertEquals(LARGE + 1, arrays.take(LARGE + 1).length);
  }

  @Test
  void aSmallOneHasAnArrayOfItsOwn() {
    byte[] large = new byte[LARGE];
    arrays.giveBack(pagesIn(large));
    assertEquals(1000, arrays.take(1000).length);
    assertSame(large, arrays.take(LARGE));
  }

  @Test
  void pagesThatAreInNoRequestsArrayGiveNone() {
    arrays.giveBack(List.of());
    arrays.giveBack(pagesIn(new byte[Pages.MAX_PAGE_SIZE]));
    arrays.giveBack(pagesIn(new byte[RequestArrays.MOST_BYTES + 1]));
    arrays.giveBack(List.of(new PageImage(1, 0, 7, ByteBuffer.allocateDirect(512))));
    arrays.giveBack(
        List.of(
            new PageImage(1, 0, 7, ByteBuffer.wrap(new byte[LARGE], 0, 512).asReadOnlyBuffer())));
    assertEquals(RequestArrays.LEAST_BYTES, arrays.take(RequestArrays.LEAST_BYTES).length);
  }

  @Test
  void noneOutlivesTheNextCollection() throws Exception {
    WeakReference<byte[]> given = giveOne();
    for (int i = 0; i < 100 && given.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertNull(given.get());
  }

  private WeakReference<byte[]> giveOne() {
    byte[] array = new byte[LARGE];
    arrays.giveBack(pagesIn(array));
    return new WeakReference<>(array);
  }

  @Test
  void fewAreKept() {
    Set<byte[]> given = Collections.newSetFromMap(new IdentityHashMap<>());
    for (int i = 0; i < 3 * RequestArrays.MOST_ARRAYS; i++) {
      byte[] array = new byte[LARGE];
      given.add(array);
      arrays.giveBack(pagesIn(array));
    }
    int kept = 0;
    while (given.contains(arrays.take(LARGE))) {
      kept++;
    }
    assertEquals(RequestArrays.MOST_ARRAYS, kept);
  }
}
