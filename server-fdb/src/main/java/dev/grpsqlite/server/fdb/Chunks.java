package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.PageImage;
import java.util.ArrayList;
import java.util.List;

/** What goes into which transaction, so that none is too large. */
final class Chunks {
  /** A sixth of what a transaction may have, so that it is done in a fraction of its time. */
  static final long CHUNK_BYTES = 1_500_000;

  /** Their list is a value of 8 KiB. */
  static final int CHUNK_PAGES = 2048;

  /** What a transaction that commits may have in pages; there is also what it says of them. */
  static final long MOST_INLINE_BYTES = 5_000_000;

  /** More than the key, the value's head and what FoundationDB adds; as measured, some 150. */
  static final long BYTES_BESIDE_DATA = 256;

  private Chunks() {}

  /** What a page comes to in a transaction. */
  static long bytes(PageImage page) {
    return page.data().remaining() + BYTES_BESIDE_DATA;
  }

  static long bytes(List<PageImage> pages) {
    long bytes = 0;
    for (PageImage page : pages) {
      bytes += bytes(page);
    }
    return bytes;
  }

  /** Pages in their order, in parts that are staged by a transaction each. */
  static List<List<PageImage>> of(List<PageImage> pages) {
    List<List<PageImage>> chunks = new ArrayList<>();
    int from = 0;
    long bytes = 0;
    for (int i = 0; i < pages.size(); i++) {
      long more = bytes(pages.get(i));
      if (i > from && (bytes + more > CHUNK_BYTES || i - from >= CHUNK_PAGES)) {
        chunks.add(pages.subList(from, i));
        from = i;
        bytes = 0;
      }
      bytes += more;
    }
    if (from < pages.size()) {
      chunks.add(pages.subList(from, pages.size()));
    }
    return chunks;
  }

  /**
   * Which commits' own pages have to be staged first, so that the rest of all fits one transaction:
   * the largest ones.
   */
  static List<Commit> tooLarge(List<Commit> commits) {
    List<Commit> bySize = new ArrayList<>(commits);
    bySize.sort((a, b) -> Long.compare(bytes(b.pages()), bytes(a.pages())));
    long left = commits.stream().mapToLong(commit -> bytes(commit.pages())).sum();
    List<Commit> chosen = new ArrayList<>();
    for (Commit commit : bySize) {
      if (left <= MOST_INLINE_BYTES) {
        break;
      }
      chosen.add(commit);
      left -= bytes(commit.pages());
    }
    return chosen;
  }
}
