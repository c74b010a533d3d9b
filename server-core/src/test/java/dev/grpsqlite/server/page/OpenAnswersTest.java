package dev.grpsqlite.server.page;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.server.predict.Predictor;
import dev.grpsqlite.server.predict.RealDatabase;
import dev.grpsqlite.server.predict.Relations;
import dev.grpsqlite.server.predict.Round;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.wire.Traffic;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OpenAnswersTest {
  private static final DatabaseId ID = new DatabaseId(1, 2);
  private static final int CREDIT = 1 << 20;

  @TempDir static Path folder;
  private static RealDatabase database;

  private final List<Integer> reads = new ArrayList<>();
  private final Predictor predictor = new Predictor(new Relations());
  private long version = 1;
  private long broken;
  private long[] changed = {};
  private long ahead;
  private long read;
  private OpenAnswers answers = answers();

  @BeforeAll
  static void make() throws Exception {
    database =
        RealDatabase.make(
            folder,
            "a.db",
            """
            CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
            CREATE INDEX t_a ON t (a);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
              INSERT INTO t SELECT i, 'row ' || i || hex(zeroblob(40)) FROM n;
            """);
  }

  @AfterAll
  static void close() throws Exception {
    database.close();
  }

  @BeforeEach
  void begin() {
    reads.clear();
  }

  private Snapshot snapshot(long at) {
    return new Snapshot(at, database.shape.pageSize(), database.shape.pageCount(), 0);
  }

  private OpenAnswers answers() {
    PageStore store =
        (PageStore)
            Proxy.newProxyInstance(
                PageStore.class.getClassLoader(),
                new Class<?>[] {PageStore.class},
                (proxy, method, of) ->
                    switch (method.getName()) {
                      case "snapshot" -> CompletableFuture.completedFuture(snapshot((long) of[1]));
                      case "changes" ->
                          CompletableFuture.completedFuture(new Changes(false, changed));
                      case "read" -> read((long) of[1], (long[]) of[2]);
                      default -> throw new AssertionError(method);
                    });
    return new OpenAnswers(
        store,
        new Traffic() {
          @Override
          public void pagesRead(long pages, long bytes) {
            assertEquals(pages * database.shape.pageSize(), bytes);
            read += pages;
          }

          @Override
          public void pagesAhead(long pages) {
            ahead += pages;
          }

          @Override
          public void pagesWritten(long pages, long bytes) {}

          @Override
          public void committed() {}
        });
  }

  private CompletableFuture<List<PageImage>> read(long at, long[] pages) {
    reads.add(pages.length);
    if (Arrays.stream(pages).anyMatch(page -> page == broken)) {
      return CompletableFuture.failedFuture(new IllegalStateException("the disk is broken"));
    }
    List<PageImage> images = new ArrayList<>();
    for (long page : pages) {
      boolean isNew = Arrays.stream(changed).anyMatch(each -> each == page);
      images.add(new PageImage(page, isNew ? at : 1, 0, database.page(page).data()));
    }
    return CompletableFuture.completedFuture(images);
  }

  private List<Page> open(int credit, boolean lz4) {
    OpenDatabaseResponse answer =
        answers
            .of(
                id -> predictor,
                new DatabaseInfo(ID, "a.db", snapshot(version), 1, Instant.EPOCH, Instant.EPOCH),
                OpenDatabaseRequest.newBuilder()
                    .setPrefetchCreditBytes(credit)
                    .setAcceptLz4(lz4)
                    .build(),
                0)
            .join();
    assertEquals(version, answer.getSnapshot().getVersion());
    return answer.getPagesList();
  }

  private static List<Integer> numbers(List<Page> pages) {
    return pages.stream().map(Page::getNumber).toList();
  }

  @Test
  void theSecondOpenOfAVersionIsAnsweredAsTheFirst() {
    List<Page> first = open(CREDIT, false);
    assertTrue(first.size() > 3, "only " + numbers(first));
    assertFalse(reads.isEmpty());
    assertEquals(first.size(), read);
    assertEquals(first.size() - 1, ahead);
    reads.clear();
    assertEquals(first, open(CREDIT, false));
    assertEquals(List.of(), reads, "pages read");
    assertEquals(2L * first.size(), read);
    assertEquals(2L * (first.size() - 1), ahead);
  }

  @Test
  void whoWantsItOtherwiseGetsItSo() {
    List<Page> first = open(CREDIT, false);
    assertEquals(List.of(1), numbers(open(0, false)));
    assertEquals(3, open(2 * database.shape.pageSize(), false).size());
    List<Page> compressed = open(CREDIT, true);
    assertEquals(numbers(first), numbers(compressed));
    assertTrue(compressed.stream().anyMatch(page -> !page.getLz4().isEmpty()));
    assertEquals(compressed, open(CREDIT, true));
    assertEquals(first, open(CREDIT, false));
  }

  @Test
  void aNewVersionIsAnsweredWithItsOwnPages() {
    List<Page> first = open(CREDIT, false);
    version = 2;
    changed = new long[] {1, first.get(first.size() - 1).getNumber()};
    List<Page> second = open(CREDIT, false);
    assertEquals(numbers(first), numbers(second));
    for (Page page : second) {
      boolean isNew = Arrays.stream(changed).anyMatch(each -> each == page.getNumber());
      assertEquals(isNew ? 2 : 1, page.getVersion(), "page " + page.getNumber());
    }
    assertEquals(second, open(CREDIT, false));
    version = 1;
    changed = new long[] {};
    assertEquals(first, open(CREDIT, false));
  }

  @Test
  void whatBrokeOffIsNotWhatOthersGet() {
    int last = open(CREDIT, false).get(3).getNumber();
    answers = answers();
    broken = last;
    assertTrue(open(CREDIT, false).size() < 4);
    broken = 0;
    assertTrue(open(CREDIT, false).size() > 3);
  }

  @Test
  void whileAnotherOpenIsUnderWayNothingIsSentAhead() {
    List<Page> all = open(CREDIT, false);
    Round round =
        Objects.requireNonNull(predictor.opened(database.shape, database.page(1), CREDIT));
    assertEquals(List.of(1), numbers(open(CREDIT, false)));
    round.close();
    assertEquals(all, open(CREDIT, false));
  }
}
