package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageStoreContract.get;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.wire.Pages;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Commits, restores, forks of forks, drops, collection and restarts at random, beside a model that
 * keeps a copy of every version. Whatever can be read is as in the copies; and after a collection
 * there is one image for each that a retained version or a fork point needs, and not one more.
 * Prints its seed; {@code -Dforks.seed=} repeats a run.
 *
 * @param <S> the store
 */
public abstract class RandomForksContract<S extends PageStore> {
  private static final int STEPS = 1500;
  private static final int ROUNDS = 6;
  private static final int[] PAGE_SIZES = {512, 1024};
  private static final SessionId SESSION = new SessionId(7, 7);

  private final long seed = Long.getLong("forks.seed", System.nanoTime());
  private final Random random = new Random(seed);
  private final List<Model> models = new ArrayList<>();

  /** Dropped, and needed by forks. */
  private final List<Model> ghosts = new ArrayList<>();

  private long ids;

  /**
   * What a database should hold: at each version, its page size and the bytes of its pages. An
   * array stands for one image, so those that versions share are the same objects.
   */
  private static final class Model {
    final DatabaseId id;
    final @Nullable Model parent;
    final byte[][] origin;
    final List<Integer> pageSizes = new ArrayList<>();
    final List<byte[][]> versions = new ArrayList<>();
    final List<Long> marks = new ArrayList<>();
    int forks;
    int keeps = 3;
    long oldest;

    Model(DatabaseId id, @Nullable Model parent, int pageSize, byte[][] pages) {
      this.id = id;
      this.parent = parent;
      this.origin = pages;
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
  }

  /**
   * Opens what the one before has left, with {@code 3versions} as the retention. Nothing is to be
   * collected but by {@link #settle}.
   */
  protected abstract S open() throws Exception;

  /** Collects until there is nothing to collect. */
  protected abstract void settle(S store) throws Exception;

  /** How many images of pages there are. */
  protected abstract int images(S store, List<DatabaseId> databases) throws Exception;

  /** All databases were dropped: there is nothing at all. */
  protected abstract void assertEmpty(S store) throws Exception;

  @Test
  void p6_whatVersionsAndForksNeedIsThereAndNothingElse() throws Exception {
    System.out.println("random forks with -Dforks.seed=" + seed);
    int most = 0;
    try (S store = open()) {
      add(store, new Model(get(store.findOrCreate("0")).id(), null, 0, new byte[0][]));
    }
    for (int round = 0; round < ROUNDS; round++) {
      try (S store = open()) {
        for (int i = 0; i < STEPS / ROUNDS; i++) {
          step(store);
          most = Math.max(most, models.size() + ghosts.size());
        }
        collect(store);
        for (Model model : models) {
          assertModel(store, model);
        }
        assertImages(store);
      }
    }
    assertTrue(most > 10, "never more than " + most + " databases");
    try (S store = open()) {
      for (Model model : List.copyOf(models)) {
        drop(store, model);
        if (random.nextInt(4) == 0) {
          collect(store);
          assertImages(store);
        }
      }
      collect(store);
      assertEmpty(store);
    }
  }

  private void step(S store) throws Exception {
    Model model = models.get(random.nextInt(models.size()));
    switch (random.nextInt(20)) {
      case 0, 1 -> {
        if (models.size() < 25) {
          fork(store, model);
        }
      }
      case 2 -> {
        if (models.size() > 3) {
          drop(store, model);
        }
      }
      case 3 -> collect(store);
      case 4 -> assertModel(store, model);
      case 5 -> {
        model.keeps = random.nextInt(6);
        get(
            store.setRetention(
                model.id, Optional.of(new Retention(false, Duration.ZERO, model.keeps))));
      }
      case 6, 7 -> restore(store, model);
      default -> commit(store, model);
    }
  }

  private void add(S store, Model model) {
    models.add(model);
    LeaseState free = get(store.lease(model.id));
    assertEquals(SESSION, get(store.acquireLease(model.id, SESSION, Optional.of(free))).holder());
  }

  private long readable(Model model) {
    return model.oldest + random.nextInt((int) (model.head() - model.oldest) + 1);
  }

  private void fork(S store, Model model) {
    int version = (int) readable(model);
    DatabaseInfo info = get(store.fork(model.id, version, "fork" + ids, commitId()));
    int pageSize = model.pageSizes.get(version);
    byte[][] pages = model.versions.get(version);
    assertEquals(new Snapshot(0, pageSize, pages.length, 0), info.head());
    // A fork that has nothing of its own yet is passed over.
    Model parent = version == 0 && model.parent != null ? model.parent : model;
    parent.forks++;
    add(store, new Model(info.id(), parent, pageSize, pages));
  }

  private void drop(S store, Model model) {
    get(store.drop(model.id));
    models.remove(model);
    Model gone = model;
    ghosts.add(gone);
    while (gone != null && gone.forks == 0 && ghosts.remove(gone)) {
      gone = gone.parent;
      if (gone != null) {
        gone.forks--;
      }
    }
  }

  /** What the background does of itself, now. */
  private void collect(S store) throws Exception {
    settle(store);
    for (Model model : models) {
      model.oldest = Math.max(model.oldest, model.head() - model.keeps);
      assertEquals(model.oldest, get(store.info(model.id)).oldestVersion());
    }
  }

  private void commit(S store, Model model) {
    byte[][] before = model.versions.get(model.head());
    int pageSize = model.pageSizes.get(model.head());
    boolean resized = pageSize == 0 || random.nextInt(25) == 0;
    if (resized) {
      pageSize = PAGE_SIZES[random.nextInt(PAGE_SIZES.length)];
    }
    resized = pageSize != model.pageSizes.get(model.head());
    int count =
        switch (random.nextInt(8)) {
          case 0 -> random.nextInt(40);
          case 1, 2 -> Math.max(0, before.length - random.nextInt(8));
          case 3, 4 -> before.length + random.nextInt(8);
          default -> before.length;
        };
    byte[][] after = new byte[count][];
    List<PageImage> inline = new ArrayList<>();
    List<PageImage> staged = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (!resized && i < before.length && random.nextInt(6) > 0) {
        after[i] = before[i];
        continue;
      }
      after[i] = new byte[random.nextInt(10) == 0 ? 0 : pageSize];
      random.nextBytes(after[i]);
      PageImage page =
          new PageImage(
              i + 1, 0, Pages.checksum(after[i], 0, after[i].length), ByteBuffer.wrap(after[i]));
      (random.nextInt(3) == 0 ? staged : inline).add(page);
    }
    long epoch = get(store.lease(model.id)).epoch();
    StageId stage = staged.isEmpty() ? null : new StageId(1, ids++);
    if (stage != null) {
      get(store.stage(model.id, SESSION, epoch, stage, StageCalls.UNCOUNTED, pageSize, staged));
    }
    CommitId id = commitId();
    Commit commit =
        new Commit(model.id, SESSION, epoch, id, model.head(), pageSize, count, stage, inline);
    assertEquals(model.head() + 1, get(store.commit(commit)));
    model.add(id.high(), pageSize, after);
  }

  private void restore(S store, Model model) {
    int version = (int) readable(model);
    byte[][] wanted = model.versions.get(version);
    byte[][] head = model.versions.get(model.head());
    int pageSize = model.pageSizes.get(version);
    if (pageSize == 0) {
      pageSize = model.pageSizes.get(model.head());
    }
    boolean resized = pageSize != model.pageSizes.get(model.head());
    byte[][] after = new byte[wanted.length][];
    long changed = 0;
    for (int i = 0; i < after.length; i++) {
      boolean same = !resized && i < head.length && Arrays.equals(head[i], wanted[i]);
      after[i] = same ? head[i] : wanted[i].clone();
      changed += same ? 0 : 1;
    }
    long epoch = get(store.lease(model.id)).epoch();
    CommitId id = commitId();
    for (int i = 0; i < 2; i++) {
      assertEquals(model.head() + 1, get(store.restore(model.id, SESSION, epoch, id, version)));
    }
    model.add(id.high(), pageSize, after);
    assertEquals(changed, get(store.history(model.id, Long.MAX_VALUE, 1)).get(0).pagesChanged());
  }

  private CommitId commitId() {
    return new CommitId(++ids, 2);
  }

  private void assertModel(S store, Model model) {
    for (long version = model.oldest; version <= model.head(); version++) {
      byte[][] expected = model.versions.get((int) version);
      assertEquals(
          new Snapshot(
              version,
              model.pageSizes.get((int) version),
              expected.length,
              model.marks.get((int) version)),
          get(store.snapshot(model.id, version)));
      assertEquals(model.marks.get((int) version), get(store.mark(model.id, version)));
      List<PageImage> pages =
          get(store.read(model.id, version, LongStream.rangeClosed(1, expected.length).toArray()));
      for (int i = 0; i < expected.length; i++) {
        PageImage page = pages.get(i);
        byte[] bytes = new byte[page.data().remaining()];
        page.data().duplicate().get(bytes);
        assertArrayEquals(expected[i], bytes, "page " + (i + 1) + " at " + version);
        assertTrue(page.version() >= 0 && page.version() <= version);
        if (i < model.versions.get((int) page.version()).length) {
          assertArrayEquals(bytes, model.versions.get((int) page.version())[i]);
        }
      }
    }
    if (model.oldest > 0) {
      assertEquals(
          StoreException.Code.SNAPSHOT_TOO_OLD,
          assertThrows(
                  StoreException.class,
                  () -> get(store.read(model.id, model.oldest - 1, new long[] {1})))
              .code());
    }
    assertChanges(store, model);
  }

  private void assertChanges(S store, Model model) {
    int after = random.nextInt(model.head() + 1);
    Changes changes = get(store.changes(model.id, after, model.head(), 1000));
    byte[][] before = model.versions.get(after);
    byte[][] now = model.versions.get(model.head());
    if (changes.all()) {
      Set<Integer> sizes = Set.copyOf(model.pageSizes.subList(after, model.head() + 1));
      assertTrue(sizes.size() > 1, "all of " + after + " to " + model.head());
      return;
    }
    for (int i = 0; i < Math.min(before.length, now.length); i++) {
      assertTrue(
          before[i] == now[i] || Arrays.binarySearch(changes.pages(), i + 1) >= 0,
          "page " + (i + 1) + " changed");
    }
  }

  /** Only right behind a collection. */
  private void assertImages(S store) throws Exception {
    Set<byte[]> needed = Collections.newSetFromMap(new IdentityHashMap<>());
    for (Model model : models) {
      needed.addAll(Arrays.asList(model.origin));
      for (long version = model.oldest; version <= model.head(); version++) {
        needed.addAll(Arrays.asList(model.versions.get((int) version)));
      }
    }
    for (Model ghost : ghosts) {
      needed.addAll(Arrays.asList(ghost.origin));
    }
    List<DatabaseId> databases =
        Stream.concat(models.stream(), ghosts.stream()).map(model -> model.id).toList();
    assertEquals(needed.size(), images(store, databases));
  }
}
