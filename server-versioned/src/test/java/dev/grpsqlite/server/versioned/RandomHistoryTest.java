package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static dev.grpsqlite.server.versioned.Fixture.bytes;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * Thousands of random commits, restores and forks against copies taken as they were made. Prints
 * its seed; {@code -Dseed=} repeats a run.
 */
final class RandomHistoryTest {
  private static final int COMMITS = 2000;
  private static final int[] PAGE_SIZES = {512, 1024, 2048};

  private final long seed = Long.getLong("seed", System.nanoTime());
  private final Random random = new Random(seed);

  /** What a database should hold: at each version, its page size and the bytes of its pages. */
  private static final class Model {
    final DatabaseId id;
    final List<Integer> pageSizes = new ArrayList<>();
    final List<byte[][]> versions = new ArrayList<>();
    final List<Long> marks = new ArrayList<>();

    Model(DatabaseId id, int pageSize, byte[][] pages) {
      this.id = id;
      add(0, pageSize, pages);
    }

    void add(long mark, int pageSize, byte[][] pages) {
      marks.add(mark);
      pageSizes.add(pageSize);
      versions.add(pages);
    }

    int head() {
      return versions.size() - 1;
    }

    int pageSize(int version) {
      return pageSizes.get(version);
    }

    byte[][] pages(int version) {
      return versions.get(version);
    }
  }

  @Test
  void p6_everyRetainedVersionIsWhatItWasWhenItWasCommitted() {
    System.out.println("seed " + seed);
    Fixture fixture = new Fixture(Retention.FOREVER);
    Model model = new Model(fixture.create("main"), 0, new byte[0][]);
    for (int i = 0; i < COMMITS; i++) {
      step(fixture, model);
    }
    for (int version = 0; version <= model.head(); version++) {
      assertVersion(fixture, model, version);
    }
    assertPagesTellTheVersionThatWroteThem(fixture, model);
    assertChanges(fixture, model, 0);
  }

  @Test
  void changesAreStillKnownAfterVersionsWereCollected() {
    System.out.println("seed " + seed);
    Fixture fixture = new Fixture(Retention.FOREVER);
    Model model = new Model(fixture.create("main"), 0, new byte[0][]);
    for (int i = 0; i < 200; i++) {
      step(fixture, model);
    }
    answer(fixture.store.setRetention(model.id, Optional.of(Retention.parse("50versions"))));
    fixture.store.collect();
    assertEquals(model.head() - 50, answer(fixture.store.info(model.id)).oldestVersion());
    assertChanges(fixture, model, 0);
  }

  @Test
  void forksOfForksAndTheirParentsNeverSeeEachOther() {
    System.out.println("seed " + seed);
    Fixture fixture = new Fixture(Retention.parse("20versions"));
    List<Model> models = new ArrayList<>();
    models.add(new Model(fixture.create("0"), 0, new byte[0][]));
    for (int i = 0; i < 3000; i++) {
      Model model = models.get(random.nextInt(models.size()));
      int what = random.nextInt(40);
      if (what == 0 && models.size() < 30) {
        int oldest = (int) answer(fixture.store.info(model.id)).oldestVersion();
        int version = oldest + random.nextInt(model.head() - oldest + 1);
        DatabaseId fork =
            answer(fixture.store.fork(model.id, version, "fork" + i, fixture.nextCommitId())).id();
        fixture.lease(fork);
        models.add(new Model(fork, model.pageSize(version), model.pages(version)));
      } else if (what == 1 && models.size() > 3) {
        answer(fixture.store.drop(model.id));
        models.remove(model);
      } else if (what == 2) {
        fixture.store.collect();
      } else {
        step(fixture, model);
      }
    }
    fixture.store.collect();
    assertTrue(models.size() > 1);
    for (Model model : models) {
      int oldest = (int) answer(fixture.store.info(model.id)).oldestVersion();
      assertTrue(model.head() - oldest <= 20);
      for (int version = oldest; version <= model.head(); version++) {
        assertVersion(fixture, model, version);
      }
      if (oldest > 0) {
        Fixture.assertFails(
            Code.SNAPSHOT_TOO_OLD, fixture.store.snapshot(model.id, random.nextInt(oldest)));
      }
      assertPagesTellTheVersionThatWroteThem(fixture, model);
    }
  }

  /** One random commit, staged or not, or restore. */
  private void step(Fixture fixture, Model model) {
    int head = model.head();
    byte[][] before = model.pages(head);
    int oldest = (int) answer(fixture.store.info(model.id)).oldestVersion();
    if (head > 0 && random.nextInt(15) == 0) {
      int version = oldest + random.nextInt(head - oldest + 1);
      int pageSize = model.pageSize(version) == 0 ? model.pageSize(head) : model.pageSize(version);
      assertEquals(head + 1, fixture.restore(model.id, version));
      model.add(fixture.lastMark(), pageSize, model.pages(version));
      return;
    }
    int pageSize = model.pageSize(head);
    if (pageSize == 0 || random.nextInt(30) == 0) {
      pageSize = PAGE_SIZES[random.nextInt(PAGE_SIZES.length)];
    }
    int count =
        switch (random.nextInt(10)) {
          case 0 -> random.nextInt(random.nextInt(4) == 0 ? 1200 : 70); // crosses tree levels
          case 1, 2 -> Math.max(0, before.length - random.nextInt(8));
          case 3, 4, 5 -> before.length + random.nextInt(8);
          default -> before.length;
        };
    int kept = pageSize == model.pageSize(head) ? Math.min(before.length, count) : 0;
    TreeMap<Long, byte[]> written = new TreeMap<>();
    for (long number = kept + 1L; number <= count; number++) {
      written.put(number, randomPage(pageSize));
    }
    for (int i = random.nextInt(5); i > 0 && kept > 0; i--) {
      written.put(1L + random.nextInt(kept), randomPage(pageSize));
    }
    byte[][] after = Arrays.copyOf(before, count);
    written.forEach((number, bytes) -> after[(int) (number - 1)] = bytes);

    StageId stage = random.nextInt(3) == 0 ? new StageId(3, random.nextLong()) : null;
    List<PageImage> inline = new ArrayList<>();
    List<PageImage> staged = new ArrayList<>();
    for (Map.Entry<Long, byte[]> entry : written.entrySet()) {
      PageImage page = Fixture.page(entry.getKey(), entry.getValue());
      if (stage == null || random.nextBoolean()) {
        inline.add(page);
        if (stage != null && random.nextBoolean()) {
          staged.add(Fixture.page(entry.getKey(), randomPage(pageSize))); // the inline one wins
        }
      } else {
        staged.add(page);
      }
    }
    if (stage != null) {
      staged.add(Fixture.page(count + 1L, randomPage(pageSize))); // ignored
      long epoch = answer(fixture.store.lease(model.id)).epoch();
      answer(
          fixture.store.stage(
              model.id, fixture.session, epoch, stage, StageCalls.UNCOUNTED, pageSize, staged));
    }
    Commit commit = fixture.commitOf(model.id, pageSize, count, stage, inline);
    assertEquals(head + 1, answer(fixture.store.commit(commit)));
    model.add(fixture.lastMark(), pageSize, after);
  }

  private byte[] randomPage(int pageSize) {
    byte[] bytes = new byte[random.nextInt(10) == 0 ? 0 : pageSize];
    random.nextBytes(bytes);
    return bytes;
  }

  private void assertVersion(Fixture fixture, Model model, int version) {
    byte[][] expected = model.pages(version);
    assertEquals(
        new Snapshot(version, model.pageSize(version), expected.length, model.marks.get(version)),
        answer(fixture.store.snapshot(model.id, version)));
    List<PageImage> pages = fixture.readAll(model.id, version);
    assertEquals(expected.length, pages.size());
    for (int i = 0; i < expected.length; i++) {
      PageImage page = pages.get(i);
      assertEquals(i + 1, page.number());
      if (!Arrays.equals(expected[i], bytes(page))) {
        assertArrayEquals(expected[i], bytes(page), "page " + (i + 1) + " of " + version);
      }
    }
    Fixture.assertFails(
        Code.INVALID_REQUEST,
        fixture.store.read(model.id, version, new long[] {expected.length + 1L}));
  }

  /** A page's version is at most the one asked for, and from it on the content is the same. */
  private static void assertPagesTellTheVersionThatWroteThem(Fixture fixture, Model model) {
    int oldest = (int) answer(fixture.store.info(model.id)).oldestVersion();
    for (int version = oldest; version <= model.head(); version++) {
      byte[][] pages = model.pages(version);
      for (PageImage page : fixture.readAll(model.id, version)) {
        assertTrue(page.version() <= version && page.version() >= 0);
        int at = (int) (page.number() - 1);
        for (int v = (int) page.version(); v < version; v++) {
          byte[][] earlier = model.pages(v);
          assertEquals(model.pageSize(v), model.pageSize(version));
          assertTrue(at < earlier.length, "the page did not exist at " + v);
          if (earlier[at] != pages[at]) {
            assertArrayEquals(earlier[at], pages[at], "page " + page.number() + " at " + v);
          }
        }
      }
    }
  }

  private void assertChanges(Fixture fixture, Model model, int oldestKnown) {
    int told = 0;
    for (int i = 0; i < 5000; i++) {
      int after = oldestKnown + random.nextInt(model.head() - oldestKnown + 1);
      int upTo = after + random.nextInt(Math.min(30, model.head() - after + 1));
      assertEquals(model.marks.get(after), answer(fixture.store.mark(model.id, after)));
      Changes changes = answer(fixture.store.changes(model.id, after, upTo, 1 << 20));
      if (changes.all()) {
        boolean pageSizeChanged = false;
        for (int v = after + 1; v <= upTo; v++) {
          pageSizeChanged |= model.pageSize(v) != model.pageSize(v - 1);
        }
        assertTrue(pageSizeChanged, "all of " + after + " to " + upTo);
        assertEquals(0, changes.pages().length);
        continue;
      }
      told++;
      assertTrue(
          model.pageSize(after) == model.pageSize(upTo) || model.pageSize(after) == 0,
          "changes over another page size");
      byte[][] before = model.pages(after);
      byte[][] now = model.pages(upTo);
      long[] pages = changes.pages();
      for (int k = 1; k < pages.length; k++) {
        assertTrue(pages[k - 1] < pages[k], "ascending, each once");
      }
      for (int at = 0; at < Math.min(before.length, now.length); at++) {
        if (before[at] != now[at] && !Arrays.equals(before[at], now[at])) {
          assertTrue(Arrays.binarySearch(pages, at + 1) >= 0, "page " + (at + 1) + " changed");
        }
      }
      // No more than was written on the way.
      for (long page : pages) {
        boolean written = false;
        for (int v = after + 1; v <= upTo && !written; v++) {
          byte[][] older = model.pages(v - 1);
          byte[][] newer = model.pages(v);
          written =
              page <= newer.length
                  && (page > older.length || older[(int) page - 1] != newer[(int) page - 1]);
        }
        assertTrue(written, "page " + page + " did not change from " + after + " to " + upTo);
      }
      if (pages.length > 0) {
        assertSame(
            Changes.ALL, answer(fixture.store.changes(model.id, after, upTo, pages.length - 1)));
        assertFalse(answer(fixture.store.changes(model.id, after, upTo, pages.length)).all());
      }
    }
    assertTrue(told > 1000, "most lists can be told: " + told);
  }
}
