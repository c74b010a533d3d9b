package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.function.LongFunction;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Whatever pages hold, nothing is thrown, all rounds end, and no more is sent than may be. */
class GarbageTest {
  private static final String DATABASE =
      """
      PRAGMA page_size = %d;
      CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, c BLOB);
      CREATE INDEX t_a ON t (a, b);
      CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO t SELECT i, (i * 7919) %% 1009, 'text ' || (i * i),
          zeroblob(CASE WHEN i %% 100 THEN 20 ELSE 5000 END) FROM n ORDER BY (i * 31) %% 3001;
      INSERT INTO w SELECT b, a FROM t;
      """;

  @TempDir static Path folder;

  private final long seed = Long.getLong("grpsqlite.seed", System.nanoTime());
  private final Random random = new Random(seed);

  @Test
  void pagesOfADatabaseWithWrongBytes() throws Exception {
    for (int pageSize : new int[] {512, 4096, 65_536}) {
      try (RealDatabase database =
          RealDatabase.make(folder, "garbage" + pageSize + ".db", DATABASE.formatted(pageSize))) {
        for (int round = 0; round < 6; round++) {
          int wrong = random.nextInt(20);
          long salt = random.nextLong();
          run(database.shape, 80, page -> damaged(database.page(page), wrong, salt));
        }
      }
    }
  }

  @Test
  void pagesOfRandomBytes() {
    Shape shape = new Shape(1, 1024, 50);
    for (int round = 0; round < 50; round++) {
      long salt = random.nextLong();
      run(shape, 50, page -> anything(page, shape.pageSize(), salt));
    }
  }

  @Test
  void treesThatAreTheirOwnChildren() {
    Shape shape = new Shape(1, 512, 40);
    for (int type : new int[] {2, 5, 10, 13}) {
      for (int child = 0; child <= 41; child++) {
        int all = child;
        run(shape, 40, page -> circular(page, type, all));
      }
    }
  }

  @Test
  void pagesWithoutBytes() {
    Shape shape = new Shape(1, 4096, 9);
    run(shape, 20, page -> new PageImage(page, 1, 0, ByteBuffer.allocate(0)));
  }

  private void run(Shape first, int demands, LongFunction<PageImage> store) {
    Predictor predictor = new Predictor(new Relations());
    Shape shape = first;
    long credit = (long) random.nextInt(100) * shape.pageSize();
    check(predictor.opened(shape, store.apply(1), credit), shape, credit, store);
    long page = 1;
    for (int i = 0; i < demands; i++) {
      if (random.nextInt(20) == 0) {
        shape = new Shape(shape.version() + 1, shape.pageSize(), shape.pageCount());
      }
      page =
          random.nextInt(3) == 0
              ? 1 + (long) (random.nextDouble() * shape.pageCount())
              : Math.min(page + 1, shape.pageCount());
      credit = (long) random.nextInt(100) * shape.pageSize();
      check(predictor.demanded(shape, List.of(store.apply(page)), credit), shape, credit, store);
    }
  }

  private void check(
      @Nullable Round round, Shape shape, long credit, LongFunction<PageImage> store) {
    if (round == null) {
      return;
    }
    String run = "-Dgrpsqlite.seed=" + seed;
    try (round) {
      long sent = 0;
      long looked = 0;
      Set<Long> numbers = new HashSet<>();
      List<PageImage> read = new ArrayList<>();
      do {
        for (PageImage page : round.take(read)) {
          sent += shape.pageSize();
          assertTrue(numbers.add(page.number()), run + " sends one page twice");
        }
        read.clear();
        for (long page : round.wanted()) {
          assertTrue(page >= 1 && page <= shape.pageCount(), run + " wants page " + page);
          looked++;
          read.add(store.apply(page));
        }
      } while (!read.isEmpty());
      assertTrue(sent <= credit, run + " sends " + sent + " for " + credit);
      assertTrue(looked <= 700 + 4 * (credit / shape.pageSize()), run + " looks " + looked);
    }
  }

  private static PageImage damaged(PageImage page, int wrong, long salt) {
    Random bytes = new Random(salt + page.number());
    ByteBuffer copy = ByteBuffer.allocate(page.data().remaining()).put(page.data().duplicate());
    for (int i = 0; i < wrong; i++) {
      // Most of what matters is at the beginning.
      int at = bytes.nextInt(bytes.nextBoolean() ? 120 : copy.capacity());
      copy.put(at, (byte) bytes.nextInt());
    }
    return new PageImage(page.number(), 1, 0, copy.flip());
  }

  private static PageImage anything(long number, int pageSize, long salt) {
    Random bytes = new Random(salt + number);
    byte[] page = new byte[pageSize];
    bytes.nextBytes(page);
    int header = number == 1 ? 100 : 0;
    page[header] = new byte[] {2, 5, 10, 13}[bytes.nextInt(4)];
    if (bytes.nextBoolean()) {
      ByteBuffer fields = ByteBuffer.wrap(page);
      fields.putShort(header + 1, (short) 0);
      fields.putShort(header + 3, (short) bytes.nextInt(60));
      fields.putShort(header + 5, (short) (pageSize / 2));
    }
    if (number == 1) {
      page[20] = 0;
    }
    return new PageImage(number, 1, 0, ByteBuffer.wrap(page));
  }

  /** Each cell points to the same page. */
  private static PageImage circular(long number, int type, int child) {
    ByteBuffer page = ByteBuffer.allocate(512);
    int header = number == 1 ? 100 : 0;
    page.put(header, (byte) type)
        .putShort(header + 3, (short) 20)
        .putShort(header + 5, (short) 400);
    page.putInt(header + 8, child);
    for (int i = 0; i < 20; i++) {
      page.putShort(header + (type < 8 ? 12 : 8) + 2 * i, (short) (400 + 5 * i));
    }
    for (int at = 400; at < 500; at += 5) {
      page.putInt(at, child);
    }
    return new PageImage(number, 1, 0, page);
  }
}
