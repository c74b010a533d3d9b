package dev.grpsqlite.server.fdb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ChunksTest {
  private final Random random = new Random(3);

  @Test
  void noChunkIsTooLargeAndAllPagesAreThereInTheirOrder() {
    for (int pageSize : new int[] {512, 4096, 65536}) {
      List<PageImage> pages = pages(pageSize, 1 + random.nextInt(5_000_000 / pageSize));
      List<PageImage> together = new ArrayList<>();
      for (List<PageImage> chunk : Chunks.of(pages)) {
        assertTrue(chunk.size() <= Chunks.CHUNK_PAGES);
        assertTrue(Chunks.bytes(chunk) <= Chunks.CHUNK_BYTES);
        assertTrue(Values.pages(chunk).length <= 10_000);
        together.addAll(chunk);
      }
      assertEquals(pages, together);
    }
    assertEquals(List.of(), Chunks.of(List.of()));
  }

  @Test
  void whatIsLeftOfCommitsFitsOneTransaction() {
    List<Commit> small = List.of(commit(1, 512, 10), commit(2, 4096, 900));
    assertEquals(List.of(), Chunks.tooLarge(small));
    List<Commit> mixed = List.of(commit(1, 512, 10), commit(2, 65536, 80), commit(3, 4096, 900));
    assertEquals(List.of(mixed.get(1)), Chunks.tooLarge(mixed));
    List<Commit> many = new ArrayList<>();
    for (int i = 0; i < 128; i++) {
      many.add(commit(i, 4096, 30));
    }
    List<Commit> chosen = Chunks.tooLarge(many);
    many.removeAll(chosen);
    long left = many.stream().mapToLong(each -> Chunks.bytes(each.pages())).sum();
    assertTrue(left <= Chunks.MOST_INLINE_BYTES);
  }

  private static List<PageImage> pages(int pageSize, int count) {
    List<PageImage> pages = new ArrayList<>();
    for (int i = 1; i <= count; i++) {
      pages.add(TestPages.page(i, pageSize, 1));
    }
    return pages;
  }

  private static Commit commit(long id, int pageSize, int count) {
    return new Commit(
        new DatabaseId(id, id),
        new SessionId(1, 1),
        1,
        new CommitId(id, 1),
        0,
        pageSize,
        count,
        null,
        pages(pageSize, count));
  }
}
