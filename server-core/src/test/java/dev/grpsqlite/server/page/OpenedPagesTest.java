package dev.grpsqlite.server.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class OpenedPagesTest {
  private static final int PAGE_SIZE = 512;
  private static final long MOST_BYTES = 10 * (PAGE_SIZE + OpenedPages.BYTES_PER_PAGE);
  private static final DatabaseId DATABASE = new DatabaseId(1, 2);
  private static final DatabaseId OTHER = new DatabaseId(1, 3);

  private final List<String> calls = new ArrayList<>();
  private CompletableFuture<Changes> changes = new CompletableFuture<>();
  private long mark;
  private final PageStore store =
      (PageStore)
          Proxy.newProxyInstance(
              PageStore.class.getClassLoader(),
              new Class<?>[] {PageStore.class},
              (proxy, method, of) -> {
                if (method.getName().equals("changes")) {
                  calls.add("changes " + of[1] + " " + of[2]);
                  return changes;
                }
                if (method.getName().equals("mark")) {
                  return CompletableFuture.completedFuture(mark);
                }
                assertEquals("read", method.getName());
                long[] pages = (long[]) of[2];
                calls.add("read " + of[1] + " " + Arrays.toString(pages));
                return CompletableFuture.completedFuture(
                    Arrays.stream(pages).mapToObj(page -> image(page, (long) of[1])).toList());
              });
  private final OpenedPages opened = new OpenedPages(store, MOST_BYTES);

  private static PageImage image(long page, long version) {
    return new PageImage(page, version, 0, ByteBuffer.allocate(PAGE_SIZE));
  }

  /** The versions of the images that an open reads. */
  private List<Long> open(DatabaseId database, long version, long... pages) {
    OpenedPages.Reading reading =
        opened.of(database, new Snapshot(version, PAGE_SIZE, 100, mark)).join();
    List<PageImage> images = new ArrayList<>(reading.read(pages).join());
    reading.keep(null);
    images.sort((a, b) -> Long.compare(a.number(), b.number()));
    assertEquals(
        Arrays.stream(pages).boxed().toList(), images.stream().map(PageImage::number).toList());
    return images.stream().map(PageImage::version).toList();
  }

  private List<String> calls() {
    List<String> made = List.copyOf(calls);
    calls.clear();
    return made;
  }

  @Test
  void theNextOpenOfAVersionReadsNothing() {
    assertEquals(List.of(7L, 7L, 7L), open(DATABASE, 7, 1, 2, 3));
    assertEquals(List.of("read 7 [1, 2, 3]"), calls());
    assertEquals(List.of(7L, 7L), open(DATABASE, 7, 2, 3));
    assertEquals(List.of(), calls());
    assertEquals(List.of(7L, 7L), open(DATABASE, 7, 3, 4));
    assertEquals(List.of("read 7 [4]"), calls());
    // Nobody else's are taken for it.
    assertEquals(List.of(7L), open(OTHER, 7, 3));
    assertEquals(List.of("read 7 [3]"), calls());
  }

  @Test
  void anOpenOfANewerVersionReadsWhatChanged() {
    assertEquals(List.of(7L, 7L, 7L), open(DATABASE, 7, 1, 2, 3));
    changes = CompletableFuture.completedFuture(new Changes(false, new long[] {1, 3, 50}));
    calls();
    assertEquals(List.of(9L, 7L, 9L), open(DATABASE, 9, 1, 2, 3));
    assertEquals(List.of("changes 7 9", "read 9 [1, 3]"), calls());
    assertEquals(List.of(9L, 7L, 9L), open(DATABASE, 9, 1, 2, 3));
    assertEquals(List.of(), calls());
  }

  @Test
  void anOpenOfAnOlderVersionReadsAllAndSpoilsNothing() {
    assertEquals(List.of(7L), open(DATABASE, 7, 1));
    assertEquals(List.of(5L), open(DATABASE, 5, 1));
    assertEquals(List.of(7L), open(DATABASE, 7, 1));
    assertEquals(List.of("read 7 [1]", "read 5 [1]"), calls());
  }

  @Test
  void p6_noneAreTakenOfAHistoryThatIsLost() {
    mark = 1;
    assertEquals(List.of(7L), open(DATABASE, 7, 1));
    assertEquals(List.of(7L), open(OTHER, 7, 1));
    changes = CompletableFuture.completedFuture(Changes.NONE);
    calls();
    mark = 2;
    assertEquals(List.of(7L), open(DATABASE, 7, 1));
    assertEquals(List.of("changes 7 7", "read 7 [1]"), calls());
    assertEquals(List.of(9L), open(OTHER, 9, 1));
    assertEquals(List.of("changes 7 9", "read 9 [1]"), calls());
    assertEquals(List.of(9L), open(OTHER, 9, 1));
    assertEquals(List.of(), calls());
  }

  @Test
  void whereItIsNotKnownWhatChangedAllIsRead() {
    List<CompletableFuture<Changes>> unknown =
        List.of(
            CompletableFuture.completedFuture(Changes.ALL),
            CompletableFuture.failedFuture(new IllegalStateException("no")));
    for (int i = 0; i < unknown.size(); i++) {
      assertEquals(List.of(10L * i), open(OTHER, 10L * i, 1));
      changes = unknown.get(i);
      assertEquals(List.of(10L * i + 1), open(OTHER, 10L * i + 1, 1));
      changes = CompletableFuture.completedFuture(Changes.ALL);
    }
  }

  @Test
  void theyAreBoundedAndThoseOpenedLastStay() {
    for (int i = 0; i < 5; i++) {
      assertEquals(3, open(new DatabaseId(9, i), 1, 1, 2, 3).size());
      assertEquals(1, open(new DatabaseId(9, 0), 1, 1).size());
      assertTrue(opened.bytes() <= MOST_BYTES, opened.bytes() + " bytes");
    }
    calls();
    assertEquals(3, open(new DatabaseId(9, 0), 1, 1, 2, 3).size());
    assertEquals(3, open(new DatabaseId(9, 4), 1, 1, 2, 3).size());
    assertEquals(List.of(), calls());
    assertEquals(3, open(new DatabaseId(9, 1), 1, 1, 2, 3).size());
    assertEquals(List.of("read 1 [1, 2, 3]"), calls());
    // What is too much by itself is not kept.
    long[] many = new long[11];
    Arrays.setAll(many, i -> i + 1L);
    assertEquals(11, open(OTHER, 1, many).size());
    assertTrue(opened.bytes() <= MOST_BYTES, opened.bytes() + " bytes");
  }

  @Test
  void p9_pagesOfZerosCountToo() {
    PageStore zeros =
        (PageStore)
            Proxy.newProxyInstance(
                PageStore.class.getClassLoader(),
                new Class<?>[] {PageStore.class},
                (proxy, method, of) ->
                    CompletableFuture.completedFuture(
                        Arrays.stream((long[]) of[2])
                            .mapToObj(page -> new PageImage(page, 7, 0, ByteBuffer.allocate(0)))
                            .toList()));
    OpenedPages kept = new OpenedPages(zeros, 10 * OpenedPages.BYTES_PER_PAGE);
    OpenedPages.Reading reading = kept.of(DATABASE, new Snapshot(7, PAGE_SIZE, 100, 0)).join();
    reading.read(new long[] {1, 2, 3}).join();
    reading.keep(null);
    assertEquals(3 * OpenedPages.BYTES_PER_PAGE, kept.bytes());
  }
}
