package dev.grpsqlite.server.spi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.TreeSet;
import java.util.function.LongSupplier;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class PageSetTest {
  private static final long LAST_PAGE = 4_294_967_294L;

  private final long seed = Long.getLong("seed", System.nanoTime());
  private final Random random = new Random(seed);

  private long below(long end) {
    return (long) (random.nextDouble() * end);
  }

  /** Adds so many, and compares with a set of the library. */
  private void check(int count, LongSupplier next) {
    PageSet pages = new PageSet();
    TreeSet<Long> model = new TreeSet<>();
    for (int i = 0; i < count; i++) {
      long page = next.getAsLong();
      String what = "page %d, seed %d".formatted(page, seed);
      assertEquals(model.contains(page), pages.has(page), what);
      pages.add(page);
      assertTrue(pages.has(page), what);
      model.add(page);
    }
    long[] all = model.stream().mapToLong(page -> page).toArray();
    assertArrayEquals(all, pages.above(0, count + 1), () -> "seed " + seed);
    assertEquals(all.length, pages.countTo(LAST_PAGE), () -> "seed " + seed);
    for (int i = 0; i < 200; i++) {
      long page = all[random.nextInt(all.length)] + random.nextInt(3) - 1;
      if (page < 0) {
        continue;
      }
      String what = "page %d, seed %d".formatted(page, seed);
      assertEquals(model.contains(page), pages.has(page), what);
      assertEquals(model.headSet(page, true).size(), pages.countTo(page), what);
      int most = random.nextInt(5000);
      long[] above =
          model.tailSet(page, false).stream().mapToLong(each -> each).limit(most).toArray();
      assertArrayEquals(above, pages.above(page, most), what);
    }
  }

  @Test
  void hasWhatWasAddedFarApart() {
    check(5000, () -> 1 + below(LAST_PAGE));
  }

  @Test
  void hasWhatWasAddedInOrder() {
    long[] page = {0};
    check(200_000, () -> ++page[0]);
  }

  @Test
  void hasWhatWasAddedInTheOppositeOrder() {
    long[] page = {150_001};
    check(150_000, () -> --page[0]);
  }

  @Test
  void hasWhatWasAddedAtRandomInAFewBlocks() {
    check(100_000, () -> 1 + below(200_000));
  }

  @Test
  void hasWhatWasAddedInRunsHereAndThere() {
    long[] page = {1};
    check(
        100_000,
        () -> {
          page[0] = random.nextInt(100) == 0 || page[0] == LAST_PAGE ? below(LAST_PAGE) : page[0];
          return ++page[0];
        });
  }

  @Test
  void hasTheLargestNumbers() {
    check(20_000, () -> LAST_PAGE - below(70_000));
    check(100, () -> LAST_PAGE - below(3));
    PageSet pages = new PageSet();
    pages.add(LAST_PAGE);
    assertArrayEquals(new long[] {LAST_PAGE}, pages.above(LAST_PAGE - 1, 2));
    assertEquals(0, pages.above(LAST_PAGE, 2).length);
    assertEquals(0, pages.above(LAST_PAGE + 1, 2).length);
    assertEquals(0, pages.countTo(LAST_PAGE - 1));
  }

  @Test
  void isEmptyAtFirst() {
    PageSet pages = new PageSet();
    assertEquals(0, pages.above(0, 10).length);
    assertEquals(0, pages.countTo(LAST_PAGE));
    assertTrue(!pages.has(0) && !pages.has(1) && !pages.has(LAST_PAGE));
  }

  private static PageSet spread(long count, long step) {
    PageSet pages = new PageSet();
    LongStream.range(0, count).map(i -> 1 + i * step).forEach(pages::add);
    return pages;
  }

  /** As a client may choose them that wants the server to run out of memory. */
  @Test
  void p9_isSmallWhereverThePagesAre() {
    long sparse = spread(400_000, 4096).bytes();
    assertTrue(sparse < 4_000_000, () -> sparse + " bytes with one page in each 4096");
    for (int step = 1; step <= 1 << 22; step *= 2) {
      long count = Math.min(400_000, LAST_PAGE / step);
      long bytes = spread(count, step).bytes();
      String what = "%d bytes with one page in each %d".formatted(bytes, step);
      assertTrue(bytes <= 48 + 48 + count * 64, what);
    }
  }

  /** The bitmaps of 64 GiB, and what is about them. */
  @Test
  void isAnEighthOfAByteForPagesThatAreNeighbours() {
    long count = 1 << 24;
    long bytes = spread(count, 1).bytes();
    assertTrue(bytes > count / 8 && bytes < count / 8 * 102 / 100, () -> bytes + " bytes");
  }

  @Test
  void takesNoMoreThanWasSaidBefore() {
    for (int round = 0; round < 300; round++) {
      PageSet pages = new PageSet();
      long range = 1L << random.nextInt(9, 33);
      long said = 200;
      for (int i = 0; i < 20; i++) {
        long[] more = LongStream.generate(() -> below(range)).limit(250).sorted().toArray();
        said += PageSet.mostBytes(more);
        pages.addAll(more);
      }
      long most = said;
      assertTrue(
          pages.bytes() <= most,
          () -> "%d bytes, not %d; seed %d".formatted(pages.bytes(), most, seed));
    }
  }
}
