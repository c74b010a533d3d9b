package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.TestPages.content;
import static dev.grpsqlite.server.contract.TestPages.page;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SideFiles;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * What every {@link PageStore} must do. A test's name begins with the number of the promise that it
 * is about. P2 is the backend's own to test, as what it survives differs.
 *
 * <p>Random tests print their seed; {@code -Dcontract.seed=N} repeats one.
 */
@Timeout(120)
public abstract class PageStoreContract {
  protected static final int PAGE_SIZE = 512;
  private static final String NAME = "tenant-7/main.db";

  protected final SettablePins pins = new SettablePins();
  private final Random ids = new Random(7);

  @TempDir protected @Nullable Path folder;

  private @Nullable PageStore opened;

  /**
   * Opens an empty store.
   *
   * @param folder empty, the test's own
   */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @BeforeEach
  void openStore() throws Exception {
    Path path = folder;
    if (path == null) {
      throw new AssertionError("no folder");
    }
    opened = open(pins, Clock.systemUTC(), path);
  }

  @AfterEach
  void closeStore() {
    if (opened != null) {
      opened.close();
    }
  }

  protected final PageStore store() {
    PageStore store = opened;
    if (store == null) {
      throw new AssertionError("not open");
    }
    return store;
  }

  // ---- Databases

  @Test
  void aDatabaseIsMadeOnceAndFoundAgain() {
    assertEquals(Optional.empty(), get(store().find(NAME)));
    DatabaseInfo made = get(store().findOrCreate(NAME));
    assertEquals(NAME, made.name());
    assertEquals(Snapshot.EMPTY, made.head());
    assertEquals(made.id(), get(store().findOrCreate(NAME)).id());
    assertEquals(made.id(), get(store().find(NAME)).orElseThrow().id());
    assertEquals(made.id(), get(store().info(made.id())).id());
    assertEquals(Snapshot.EMPTY, get(store().head(made.id())));
    assertEquals(Snapshot.EMPTY, get(store().snapshot(made.id(), 0)));
    assertEquals(List.of(), get(store().read(made.id(), 0, new long[0])));
  }

  @Test
  void databasesAreIndependent() {
    Writer a = new Writer(NAME);
    Writer b = new Writer("b");
    a.commit(1, page(1, PAGE_SIZE, 1));
    assertEquals(0, get(store().head(b.database)).version());
    b.commit(2, page(1, PAGE_SIZE, 2), page(2, PAGE_SIZE, 3));
    assertEquals(new Snapshot(1, PAGE_SIZE, 1, a.mark), get(store().head(a.database)));
    assertContent(1, PAGE_SIZE, readAt(a.database, 1, 1));
    assertContent(2, PAGE_SIZE, readAt(b.database, 1, 1));
  }

  @Test
  void aDroppedDatabaseIsGoneAndItsNameFree() {
    Writer writer = new Writer(NAME);
    writer.commit(1, page(1, PAGE_SIZE, 1));
    get(store().drop(writer.database));
    assertEquals(Optional.empty(), get(store().find(NAME)));
    refused(Code.NO_SUCH_DATABASE, store().head(writer.database));
    refused(Code.NO_SUCH_DATABASE, store().info(writer.database));
    refused(Code.NO_SUCH_DATABASE, store().snapshot(writer.database, 1));
    refused(Code.NO_SUCH_DATABASE, store().read(writer.database, 1, new long[] {1}));
    refused(Code.NO_SUCH_DATABASE, store().mark(writer.database, 1));
    refused(Code.NO_SUCH_DATABASE, store().changes(writer.database, 0, 1, 10));
    refused(Code.NO_SUCH_DATABASE, store().lease(writer.database));
    refused(Code.NO_SUCH_DATABASE, store().drop(writer.database));
    refused(Code.NO_SUCH_DATABASE, store().commit(writer.next(1, page(1, PAGE_SIZE, 2))));
    refused(
        Code.NO_SUCH_DATABASE,
        store().acquireLease(writer.database, writer.session, Optional.empty()));
    refused(Code.NO_SUCH_DATABASE, store().sideFiles().size(writer.database, "main.db-wal"));

    DatabaseInfo again = get(store().findOrCreate(NAME));
    assertNotEquals(writer.database, again.id());
    assertEquals(Snapshot.EMPTY, again.head());
  }

  @Test
  void databasesAreListedInTheOrderOfTheirNamesBytes() {
    // In UTF-16, as Java compares, the last two are the other way round.
    List<String> names = List.of("a", "a/1", "a/2", "b", "\uffee", "\ud83d\ude00");
    List<String> shuffled = new ArrayList<>(names);
    Collections.shuffle(shuffled, ids);
    shuffled.forEach(name -> get(store().findOrCreate(name)));
    assertEquals(names, listed("", "", 100));
    assertEquals(List.of("a/1", "a/2"), listed("a/", "", 100));
    assertEquals(List.of("a", "a/1", "a/2"), listed("a", "", 100));
    assertEquals(List.of("a/2"), listed("a/", "a/1", 100));
    assertEquals(List.of("a", "a/1"), listed("", "", 2));
    assertEquals(names.subList(2, 4), listed("", "a/1", 2));
    assertEquals(List.of(), listed("a/", "b", 100));
    assertEquals(List.of(), listed("c", "", 100));
  }

  private List<String> listed(String prefix, String after, int limit) {
    return get(store().list(prefix, after, limit)).stream().map(DatabaseInfo::name).toList();
  }

  // ---- Leases

  @Test
  void p3_aLeaseHasOneHolderAndEachChangeOfHolderHasANewEpoch() {
    DatabaseId database = get(store().findOrCreate(NAME)).id();
    SessionId a = session();
    SessionId b = session();
    assertNull(get(store().lease(database)).holder());

    LeaseState ofA = get(store().acquireLease(database, a, Optional.empty()));
    assertEquals(a, ofA.holder());
    assertEquals(ofA, get(store().lease(database)));
    assertEquals(ofA, get(store().acquireLease(database, a, Optional.empty())), "asked again");
    assertEquals(ofA, get(store().acquireLease(database, b, Optional.empty())), "held by a");

    get(store().releaseLease(database, b, ofA.epoch()));
    get(store().releaseLease(database, a, ofA.epoch() + 1));
    assertEquals(ofA, get(store().lease(database)), "released by others only");

    LeaseState ofB = get(store().acquireLease(database, b, Optional.of(ofA)));
    assertEquals(b, ofB.holder());
    assertTrue(ofB.epoch() > ofA.epoch());
    assertEquals(
        ofB, get(store().acquireLease(database, a, Optional.of(ofA))), "displaces another state");

    LeaseState anew = get(store().acquireLease(database, b, Optional.of(ofB)));
    assertEquals(b, anew.holder());
    assertTrue(anew.epoch() > ofB.epoch(), "displaces itself");
    assertEquals(
        anew, get(store().acquireLease(database, b, Optional.of(ofB))), "an old state of its own");
    get(store().releaseLease(database, b, ofB.epoch()));
    assertEquals(anew, get(store().lease(database)), "released under an old epoch");

    get(store().releaseLease(database, b, anew.epoch()));
    assertNull(get(store().lease(database)).holder());
    LeaseState again = get(store().acquireLease(database, b, Optional.empty()));
    assertEquals(b, again.holder());
    assertTrue(again.epoch() > anew.epoch());
  }

  @Test
  void p3_onlyOneOfManyGetsAFreeLease() throws Exception {
    DatabaseId database = get(store().findOrCreate(NAME)).id();
    List<SessionId> sessions = List.of(session(), session(), session(), session());
    List<Callable<LeaseState>> attempts =
        sessions.stream()
            .<Callable<LeaseState>>map(
                session -> () -> get(store().acquireLease(database, session, Optional.empty())))
            .toList();
    Set<LeaseState> answers = new HashSet<>(atOnce(attempts));
    assertEquals(Set.of(get(store().lease(database))), answers);
  }

  @Test
  void p3_aCommitWithAnOldEpochIsRefused() {
    Writer a = new Writer(NAME);
    a.commit(1, page(1, PAGE_SIZE, 1));
    Writer b = a.displacedBy(session());
    refused(Code.LEASE_LOST, store().commit(a.next(1, page(1, PAGE_SIZE, 2))));
    b.commit(1, page(1, PAGE_SIZE, 3));
    assertContent(3, PAGE_SIZE, readAt(b.database, 2, 1));

    Writer c = b.displacedBy(a.session);
    refused(Code.LEASE_LOST, store().commit(c.withEpoch(a.epoch).next(1, page(1, PAGE_SIZE, 4))));
    c.commit(1, page(1, PAGE_SIZE, 5));
    assertContent(5, PAGE_SIZE, readAt(b.database, 3, 1));
  }

  @Test
  void p3_aCommitBySomebodyElseIsRefused() {
    Writer a = new Writer(NAME);
    Writer thief = a.as(session());
    refused(Code.LEASE_LOST, store().commit(thief.next(1, page(1, PAGE_SIZE, 2))));
    assertEquals(0, get(store().head(a.database)).version());
  }

  @Test
  void p3_aCommitWithoutALeaseIsRefused() {
    Writer writer = new Writer(NAME);
    get(store().releaseLease(writer.database, writer.session, writer.epoch));
    refused(Code.LEASE_LOST, store().commit(writer.next(1, page(1, PAGE_SIZE, 2))));
    assertEquals(0, get(store().head(writer.database)).version());
  }

  @Test
  void p3_stagingWithoutTheLeaseIsRefused() {
    Writer a = new Writer(NAME);
    StageId stage = stage();
    a.displacedBy(session());
    refused(Code.LEASE_LOST, a.stageLater(stage, page(1, PAGE_SIZE, 1)));
  }

  @Test
  void p3_sideFilesAreWrittenUnderTheCurrentEpochAlone() {
    Writer a = new Writer(NAME);
    SideFiles files = store().sideFiles();
    get(files.write(a.database, a.epoch, "j", 0, bytes("before")));
    Writer b = a.displacedBy(session());
    refused(Code.LEASE_LOST, files.write(a.database, a.epoch, "j", 0, bytes("after")));
    refused(Code.LEASE_LOST, files.truncate(a.database, a.epoch, "j", 0));
    refused(Code.LEASE_LOST, files.delete(a.database, a.epoch, "j"));
    assertEquals(bytes("before"), get(files.read(a.database, "j", 0, 100)));
    get(store().releaseLease(b.database, b.session, b.epoch));
    refused(Code.LEASE_LOST, files.write(b.database, b.epoch, "j", 0, bytes("after")));
  }

  /** Two sessions take the lease from each other; what is applied is in the order of epochs. */
  @Test
  void p3_whoeverLosesTheLeaseWritesNoMore() throws Exception {
    Writer first = new Writer(NAME);
    DatabaseId database = first.database;
    pins.pin(database, 0);
    Callable<List<long[]>> contender =
        () -> {
          SessionId session = session();
          List<long[]> applied = new ArrayList<>();
          for (int i = 0; i < 60; i++) {
            LeaseState current = get(store().lease(database));
            LeaseState mine = get(store().acquireLease(database, session, Optional.of(current)));
            if (!session.equals(mine.holder())) {
              continue;
            }
            Writer writer = first.as(session).withEpoch(mine.epoch());
            try {
              applied.add(
                  new long[] {
                    get(store().commit(writer.next(1, page(1, PAGE_SIZE, i + 1)))), mine.epoch()
                  });
            } catch (StoreException e) {
              assertTrue(e.code() == Code.LEASE_LOST || e.code() == Code.HEAD_MOVED, e::toString);
            }
          }
          return applied;
        };
    NavigableMap<Long, Long> epochs = new TreeMap<>();
    for (List<long[]> applied : atOnce(List.of(contender, contender, contender))) {
      for (long[] commit : applied) {
        assertNull(epochs.put(commit[0], commit[1]), "two commits made one version");
      }
    }
    long head = get(store().head(database)).version();
    assertEquals(LongStream.rangeClosed(1, head).boxed().toList(), List.copyOf(epochs.keySet()));
    List<Long> inOrder = List.copyOf(epochs.values());
    assertEquals(inOrder.stream().sorted().toList(), inOrder);
  }

  // ---- Commits

  @Test
  void p1_aCommitIsThereAsAWhole() {
    Writer writer = new Writer(NAME);
    PageImage[] first = new PageImage[40];
    for (int i = 0; i < first.length; i++) {
      first[i] = page(i + 1, PAGE_SIZE, 100 + i);
    }
    assertEquals(1, writer.commit(40, first));
    PageImage[] second = new PageImage[40];
    for (int i = 0; i < second.length; i++) {
      second[i] = page(i + 1, PAGE_SIZE, 200 + i);
    }
    assertEquals(2, writer.commit(40, second));
    assertEquals(new Snapshot(2, PAGE_SIZE, 40, writer.mark), get(store().head(writer.database)));
    List<PageImage> read =
        get(store().read(writer.database, 2, LongStream.rangeClosed(1, 40).toArray()));
    for (int i = 0; i < 40; i++) {
      assertContent(200 + i, PAGE_SIZE, read.get(i));
      assertEquals(2, read.get(i).version());
    }
  }

  @Test
  void p1_stagedPagesAreInvisibleUntilTheyAreCommittedAndThenAllThere() {
    Writer writer = new Writer(NAME);
    pins.pin(writer.database, 0);
    writer.commit(2, page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2));
    StageId stage = stage();
    int count = 500;
    for (int from = 1; from <= count; from += 50) {
      PageImage[] part = new PageImage[50];
      for (int i = 0; i < 50; i++) {
        part[i] = page(from + i, PAGE_SIZE, 1000L + from + i);
      }
      writer.stageNow(stage, part);
    }
    // Staged again, and one above the page count, which does not count.
    writer.stageNow(stage, page(7, PAGE_SIZE, 7777), page(count + 5, PAGE_SIZE, 5));
    assertEquals(new Snapshot(1, PAGE_SIZE, 2, writer.mark), get(store().head(writer.database)));
    assertContent(1, PAGE_SIZE, readAt(writer.database, 1, 1));

    // Inline pages come before staged ones.
    Commit commit = writer.next(count, stage, page(9, PAGE_SIZE, 9999));
    assertEquals(2, get(store().commit(commit)));
    assertEquals(
        new Snapshot(2, PAGE_SIZE, count, commit.id().high()), get(store().head(writer.database)));
    List<PageImage> read =
        get(store().read(writer.database, 2, LongStream.rangeClosed(1, count).toArray()));
    for (int i = 0; i < count; i++) {
      long number = i + 1L;
      long seed = number == 7 ? 7777 : number == 9 ? 9999 : 1000 + number;
      assertContent(seed, PAGE_SIZE, read.get(i));
      assertEquals(2, read.get(i).version());
    }
    assertContent(1, PAGE_SIZE, readAt(writer.database, 1, 1));
    writer = writer.at(2);
    refused(Code.NO_SUCH_STAGE, store().commit(writer.next(count, stage)));
  }

  @Test
  void p1_aRefusedCommitChangesNothing() {
    Writer writer = new Writer(NAME);
    writer.commit(2, page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2));
    StageId otherSize = stage();
    get(
        store()
            .stage(
                writer.database,
                writer.session,
                writer.epoch,
                otherSize,
                StageCalls.UNCOUNTED,
                1024,
                List.of(page(1, 1024, 3))));
    Map<Code, List<Commit>> refusals =
        Map.of(
            Code.LEASE_LOST,
            List.of(writer.withEpoch(writer.epoch + 1).next(2, page(1, PAGE_SIZE, 9))),
            Code.HEAD_MOVED,
            List.of(
                writer.at(0).next(2, page(1, PAGE_SIZE, 9)),
                writer.at(2).next(2, page(1, PAGE_SIZE, 9))),
            Code.NO_SUCH_STAGE,
            List.of(writer.next(2, stage(), page(1, PAGE_SIZE, 9))),
            Code.INVALID_REQUEST,
            List.of(
                // Page 3 is missing.
                writer.next(4, page(1, PAGE_SIZE, 9), page(4, PAGE_SIZE, 9)),
                writer.next(3),
                // With another page size, every page is needed.
                writer.withPageSize(1024).next(2, page(1, 1024, 9)),
                writer.next(2, otherSize, page(1, PAGE_SIZE, 9)),
                writer.next(1, page(2, PAGE_SIZE, 9))));
    refusals.forEach(
        (code, commits) ->
            commits.forEach(
                commit -> {
                  refused(code, store().commit(commit));
                  assertEquals(
                      new Snapshot(1, PAGE_SIZE, 2, writer.mark),
                      get(store().head(writer.database)));
                  assertContent(1, PAGE_SIZE, readAt(writer.database, 1, 1));
                  assertContent(2, PAGE_SIZE, readAt(writer.database, 1, 2));
                }));
    writer.commit(2, page(1, PAGE_SIZE, 4));
    assertContent(4, PAGE_SIZE, readAt(writer.database, 2, 1));
    assertContent(2, PAGE_SIZE, readAt(writer.database, 2, 2));
  }

  /** Each commit writes one number into all pages; no reader ever sees two. */
  @Test
  void p1_aReaderBesideAWriterSeesWholeCommits() throws Exception {
    Writer writer = new Writer(NAME);
    int count = 20;
    long[] numbers = LongStream.rangeClosed(1, count).toArray();
    pins.pin(writer.database, 0);
    writer.commit(count, allPages(count, 1));
    AtomicBoolean done = new AtomicBoolean();
    Callable<Integer> reader =
        () -> {
          int rounds = 0;
          while (!done.get() || rounds == 0) {
            long version = get(store().head(writer.database)).version();
            for (PageImage image : get(store().read(writer.database, version, numbers))) {
              assertContent(version, PAGE_SIZE, image);
            }
            rounds++;
          }
          return rounds;
        };
    Callable<Integer> writing =
        () -> {
          try {
            for (int version = 2; version <= 150; version++) {
              writer.commit(count, allPages(count, version));
            }
            return 1;
          } finally {
            done.set(true);
          }
        };
    for (int rounds : atOnce(List.of(writing, reader, reader))) {
      assertTrue(rounds > 0);
    }
  }

  private static PageImage[] allPages(int count, long seed) {
    PageImage[] pages = new PageImage[count];
    for (int i = 0; i < count; i++) {
      pages[i] = page(i + 1, PAGE_SIZE, seed);
    }
    return pages;
  }

  /** As many as a store may make a table of, one more, and one again. */
  @Test
  void p1_whatIsStagedInBulkMayBeOverwrittenAfterwards() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    int count = 600;
    List<PageImage> pages = new ArrayList<>();
    for (int number = 1; number <= count; number++) {
      pages.add(page(number, PAGE_SIZE, number));
    }
    stageInBulkAndOverwrite(writer, stage, pages);
    stageInBulkAndOverwrite(writer, stage, List.of(page(count + 1L, PAGE_SIZE, count + 1L)));
    stageInBulkAndOverwrite(writer, stage, List.of(page(1, PAGE_SIZE, 7777)));
    assertEquals(1, get(store().commit(writer.next(count + 1, stage))));
    List<PageImage> read =
        get(store().read(writer.database, 1, LongStream.rangeClosed(1, count + 1L).toArray()));
    for (int i = 0; i < read.size(); i++) {
      assertContent(i == 0 ? 7777 : i + 1L, PAGE_SIZE, read.get(i));
    }
  }

  private void stageInBulkAndOverwrite(Writer writer, StageId stage, List<PageImage> pages) {
    get(
        store()
            .stageInBulk(
                writer.database,
                writer.session,
                writer.epoch,
                stage,
                StageCalls.UNCOUNTED,
                PAGE_SIZE,
                pages));
    pages.forEach(page -> Arrays.fill(page.data().array(), (byte) 0x55));
  }

  @Test
  void p1_aCallThatComesLateDoesNotUndoWhatCameAfterIt() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    get(writer.stageLater(stage, 1, page(1, PAGE_SIZE, 11), page(2, PAGE_SIZE, 12)));
    get(writer.stageLater(stage, 1, page(1, PAGE_SIZE, 11), page(2, PAGE_SIZE, 12)));
    get(writer.stageLater(stage, 2, page(1, PAGE_SIZE, 21), page(3, PAGE_SIZE, 23)));
    get(writer.stageLater(stage, 1, page(1, PAGE_SIZE, 99), page(4, PAGE_SIZE, 99)));
    get(writer.stageLater(stage, 3));
    get(writer.stageLater(stage, 2, page(1, PAGE_SIZE, 99)));
    assertEquals(1, get(store().commit(writer.next(3, stage))));
    assertContent(21, PAGE_SIZE, readAt(writer.database, 1, 1));
    assertContent(12, PAGE_SIZE, readAt(writer.database, 1, 2));
    assertContent(23, PAGE_SIZE, readAt(writer.database, 1, 3));
  }

  @Test
  void p1_aStageThatLacksACallIsNotGoneOnWith() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    refused(Code.NO_SUCH_STAGE, writer.stageLater(stage, 2, page(1, PAGE_SIZE, 1)));
    get(writer.stageLater(stage, 1, page(1, PAGE_SIZE, 1)));
    refused(Code.NO_SUCH_STAGE, writer.stageLater(stage, 3, page(2, PAGE_SIZE, 1)));
    get(writer.stageLater(stage, 2, page(2, PAGE_SIZE, 1)));
    get(store().dropStage(writer.database, writer.session, stage));
    refused(Code.NO_SUCH_STAGE, writer.stageLater(stage, 3, page(3, PAGE_SIZE, 1)));
    refused(Code.NO_SUCH_STAGE, store().commit(writer.next(1, stage)));
    // Each stage counts its own.
    StageId other = stage();
    get(writer.stageLater(other, 1, page(1, PAGE_SIZE, 5)));
    assertEquals(1, get(store().commit(writer.next(1, other))));
  }

  @Test
  void p1_aDroppedStageIsGone() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    writer.stageNow(stage, page(1, PAGE_SIZE, 1));
    get(store().dropStage(writer.database, writer.session, stage));
    refused(Code.NO_SUCH_STAGE, store().commit(writer.next(1, stage)));

    writer.stageNow(stage, page(1, PAGE_SIZE, 1));
    get(store().dropStages(writer.session));
    refused(Code.NO_SUCH_STAGE, store().commit(writer.next(1, stage)));

    writer.stageNow(stage, page(1, PAGE_SIZE, 1));
    get(store().releaseLease(writer.database, writer.session, writer.epoch));
    Writer again =
        writer.withEpoch(
            get(store().acquireLease(writer.database, writer.session, Optional.empty())).epoch());
    refused(Code.NO_SUCH_STAGE, store().commit(again.next(1, stage)));
    get(store().dropStage(writer.database, writer.session, stage));
  }

  @Test
  void p1_aStageBelongsToItsSession() {
    Writer a = new Writer(NAME);
    StageId stage = stage();
    a.stageNow(stage, page(1, PAGE_SIZE, 1));
    Writer b = a.displacedBy(session());
    refused(Code.NO_SUCH_STAGE, store().commit(b.next(1, stage)));
    refused(
        Code.NO_SUCH_STAGE, store().readStaged(b.database, b.session, stage, 0, new long[] {1}));
  }

  @Test
  void p1_aStageHasOnePageSize() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    writer.stageNow(stage, page(1, PAGE_SIZE, 1));
    refused(Code.INVALID_REQUEST, writer.withPageSize(1024).stageLater(stage, page(2, 1024, 1)));
  }

  @Test
  void aRunningTransactionReadsWhatItStaged() {
    Writer writer = new Writer(NAME);
    writer.commit(3, page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2), page(3, PAGE_SIZE, 3));
    StageId stage = stage();
    writer.stageNow(stage, page(2, PAGE_SIZE, 22), page(5, PAGE_SIZE, 55));
    List<PageImage> read =
        get(
            store()
                .readStaged(
                    writer.database, writer.session, stage, 1, new long[] {5, 2, 1, 4, 900}));
    assertContent(55, PAGE_SIZE, read.get(0));
    assertContent(22, PAGE_SIZE, read.get(1));
    assertContent(1, PAGE_SIZE, read.get(2));
    assertContent(0, PAGE_SIZE, read.get(3));
    assertContent(0, PAGE_SIZE, read.get(4));
    assertEquals(List.of(5L, 2L, 1L, 4L, 900L), read.stream().map(PageImage::number).toList());
    assertEquals(0, read.get(0).version());
    assertEquals(1, read.get(2).version());
  }

  @Test
  void p4_aCommitOnAnOldBaseIsRefused() {
    Writer writer = new Writer(NAME);
    writer.commit(1, page(1, PAGE_SIZE, 1));
    writer.commit(1, page(1, PAGE_SIZE, 2));
    refused(Code.HEAD_MOVED, store().commit(writer.at(0).next(1, page(1, PAGE_SIZE, 3))));
    refused(Code.HEAD_MOVED, store().commit(writer.at(1).next(1, page(1, PAGE_SIZE, 3))));
    refused(Code.HEAD_MOVED, store().commit(writer.at(3).next(1, page(1, PAGE_SIZE, 3))));
    assertEquals(2, get(store().head(writer.database)).version());
    assertContent(2, PAGE_SIZE, readAt(writer.database, 2, 1));
  }

  @Test
  void p4_ofManyCommitsOnOneBaseOneIsApplied() throws Exception {
    Writer writer = new Writer(NAME);
    for (int base = 0; base < 20; base++) {
      List<Callable<Boolean>> attempts = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        Commit commit = writer.at(base).next(1, page(1, PAGE_SIZE, base * 10L + i + 1));
        attempts.add(
            () -> {
              try {
                return get(store().commit(commit)) == commit.baseVersion() + 1;
              } catch (StoreException e) {
                assertEquals(Code.HEAD_MOVED, e.code());
                return false;
              }
            });
      }
      assertEquals(1, Collections.frequency(atOnce(attempts), true));
      assertEquals(base + 1, get(store().head(writer.database)).version());
    }
  }

  @Test
  void p5_aCommitSentAgainIsAnsweredAsTheFirstTime() {
    Writer writer = new Writer(NAME);
    StageId stage = stage();
    writer.stageNow(stage, page(2, PAGE_SIZE, 2));
    Commit commit = writer.next(2, stage, page(1, PAGE_SIZE, 1));
    assertEquals(1, get(store().commit(commit)));
    // Its stage is gone, and its base is not the head: the id is looked up first.
    assertEquals(1, get(store().commit(commit)));
    assertEquals(
        new Snapshot(1, PAGE_SIZE, 2, commit.id().high()), get(store().head(writer.database)));

    Writer later = writer.at(1);
    later.commit(2, page(1, PAGE_SIZE, 3));
    assertEquals(1, get(store().commit(commit)), "after another commit");
    Writer other = later.displacedBy(session());
    assertEquals(1, get(store().commit(commit)), "after the lease was lost");
    other.commit(2, page(1, PAGE_SIZE, 4));
    get(store().releaseLease(other.database, other.session, other.epoch));
    assertEquals(1, get(store().commit(commit)), "after the lease was released");
    assertEquals(3, get(store().head(writer.database)).version());
    assertContent(4, PAGE_SIZE, readAt(writer.database, 3, 1));
  }

  @Test
  void p5_aCommitIsRememberedForAHundredVersions() {
    Writer writer = new Writer(NAME);
    Commit first = writer.next(1, page(1, PAGE_SIZE, 1));
    assertEquals(1, get(store().commit(first)));
    Writer later = writer.at(1);
    for (int i = 0; i < 100; i++) {
      later.commit(1, page(1, PAGE_SIZE, 2 + i));
    }
    assertEquals(1, get(store().commit(first)));
  }

  @Test
  void p5_twoCommitsAreNotTakenForOne() {
    Writer writer = new Writer(NAME);
    Commit commit = writer.next(1, page(1, PAGE_SIZE, 1));
    get(store().commit(commit));
    refused(Code.HEAD_MOVED, store().commit(writer.next(1, page(1, PAGE_SIZE, 1))));
    CommitId almost = new CommitId(commit.id().high(), commit.id().low() ^ 1);
    refused(Code.HEAD_MOVED, store().commit(writer.next(almost, 1, page(1, PAGE_SIZE, 1))));
  }

  @Test
  void p5_aCommitSentManyTimesAtOnceIsAppliedOnce() throws Exception {
    Writer writer = new Writer(NAME);
    for (int base = 0; base < 20; base++) {
      Commit commit = writer.at(base).next(1, page(1, PAGE_SIZE, base + 1));
      Callable<Long> send = () -> get(store().commit(commit));
      long next = base + 1L;
      assertEquals(List.of(next, next, next, next), atOnce(List.of(send, send, send, send)));
      assertEquals(next, get(store().head(writer.database)).version());
    }
  }

  @Test
  void p5_aRefusedCommitIsNotRemembered() {
    Writer writer = new Writer(NAME);
    Commit commit = writer.withEpoch(writer.epoch + 1).next(1, page(1, PAGE_SIZE, 1));
    refused(Code.LEASE_LOST, store().commit(commit));
    refused(Code.LEASE_LOST, store().commit(commit));
    assertEquals(
        1, get(store().commit(writer.next(commit.id(), 1, page(1, PAGE_SIZE, 1)))), "now with it");
  }

  // ---- Versions

  @Test
  void p6_aPinnedVersionStaysAsItWas() {
    Writer writer = new Writer(NAME);
    pins.pin(writer.database, 1);
    long[] marks = new long[4];
    writer.commit(3, page(1, PAGE_SIZE, 11), page(2, PAGE_SIZE, 12), page(3, PAGE_SIZE, 13));
    marks[0] = writer.mark;
    writer.commit(3, page(2, PAGE_SIZE, 22));
    marks[1] = writer.mark;
    writer.commit(1, page(1, PAGE_SIZE, 31)); // Pages 2 and 3 go.
    marks[2] = writer.mark;
    writer.commit(3, page(2, PAGE_SIZE, 42), page(3, PAGE_SIZE, 0)); // And come again.
    marks[3] = writer.mark;
    long[][] seeds = {{11, 12, 13}, {11, 22, 13}, {31}, {31, 42, 0}};
    long[][] versions = {{1, 1, 1}, {1, 2, 1}, {3}, {3, 4, 4}};
    for (int i = 0; i < seeds.length; i++) {
      int count = seeds[i].length;
      assertEquals(
          new Snapshot(i + 1, PAGE_SIZE, count, marks[i]),
          get(store().snapshot(writer.database, i + 1)));
      List<PageImage> read =
          get(store().read(writer.database, i + 1, LongStream.rangeClosed(1, count).toArray()));
      for (int page = 0; page < count; page++) {
        assertContent(seeds[i][page], PAGE_SIZE, read.get(page));
        assertEquals(versions[i][page], read.get(page).version());
        assertEquals(page + 1, read.get(page).number());
      }
      refused(
          Code.INVALID_REQUEST, store().read(writer.database, i + 1, new long[] {1, count + 1}));
    }
  }

  @Test
  void p6_pagesComeInTheOrderAskedFor() {
    Writer writer = new Writer(NAME);
    writer.commit(50, allPages(50, 1));
    writer.commit(50, page(20, PAGE_SIZE, 2));
    long[] order = {50, 20, 1, 49, 2};
    List<PageImage> read = get(store().read(writer.database, 2, order));
    assertArrayEquals(order, read.stream().mapToLong(PageImage::number).toArray());
    assertContent(2, PAGE_SIZE, read.get(1));
  }

  @Test
  void p6_aVersionOutsideOfWhatIsKeptIsRefused() {
    Writer writer = new Writer(NAME);
    for (int i = 1; i <= 5; i++) {
      writer.commit(1, page(1, PAGE_SIZE, i));
    }
    refused(Code.NO_SUCH_VERSION, store().read(writer.database, 6, new long[] {1}));
    refused(Code.NO_SUCH_VERSION, store().snapshot(writer.database, 6));
    for (int version = 1; version <= 5; version++) {
      try {
        assertContent(version, PAGE_SIZE, readAt(writer.database, version, 1));
      } catch (StoreException e) {
        assertEquals(Code.SNAPSHOT_TOO_OLD, e.code());
        assertTrue(version < 5, "the head is always there");
      }
    }
    assertTrue(get(store().info(writer.database)).oldestVersion() <= 5);
  }

  @Test
  void p6_theChangesBetweenTwoVersionsAreAllThere() {
    Writer writer = new Writer(NAME);
    pins.pin(writer.database, 0);
    writer.commit(3, page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2), page(3, PAGE_SIZE, 3));
    writer.commit(3, page(3, PAGE_SIZE, 4));
    writer.commit(4, page(1, PAGE_SIZE, 5), page(4, PAGE_SIZE, 6));
    writer.commit(4, page(3, PAGE_SIZE, 7));
    assertChanges(new long[] {}, writer.database, 4, 4, 10);
    assertChanges(new long[] {3}, writer.database, 3, 4, 10);
    assertChanges(new long[] {1, 3, 4}, writer.database, 1, 4, 10);
    assertChanges(new long[] {1, 3, 4}, writer.database, 1, 3, 10);
    assertChanges(new long[] {1, 3, 4}, writer.database, 1, 4, 3);
    assertTrue(get(store().changes(writer.database, 1, 4, 2)).all(), "over the limit");
    Writer bigger = writer.withPageSize(1024);
    bigger.commit(1, page(1, 1024, 8));
    assertTrue(get(store().changes(writer.database, 4, 5, 10)).all(), "another page size");
    assertTrue(get(store().changes(writer.database, 1, 5, 10)).all(), "another page size");
  }

  private void assertChanges(long[] expected, DatabaseId database, long after, long upTo, int max) {
    Changes changes = get(store().changes(database, after, upTo, max));
    assertFalse(changes.all());
    assertArrayEquals(expected, changes.pages());
  }

  /**
   * A random history, against a model of all its versions: commits that rewrite, grow, shrink,
   * change the page size, staged in part or not at all, some refused, with readers that come and
   * go.
   */
  @Test
  void p6_everyPinnedVersionOfARandomHistoryReadsAsItWasCommitted() {
    long seed = Long.getLong("contract.seed", new Random().nextLong());
    System.out.println("random history with -Dcontract.seed=" + seed);
    Random random = new Random(seed);
    Writer writer = new Writer(NAME);
    DatabaseId database = writer.database;
    Map<Long, ModelState> model = new HashMap<>();
    model.put(0L, new ModelState(0, 0, new long[0], new long[0]));
    List<Long> readers = new ArrayList<>();
    long nextSeed = 1;
    for (int step = 0; step < 300; step++) {
      long head = get(store().head(database)).version();
      if (random.nextInt(3) == 0) {
        // Readers come at the head alone, as sessions do.
        readers.add(head);
      }
      while (readers.size() > 4) {
        readers.remove(random.nextInt(readers.size()));
      }
      if (readers.isEmpty()) {
        pins.unpin(database);
      } else {
        pins.pin(database, Collections.min(readers));
      }
      ModelState base = model.get(head);
      if (base == null) {
        throw new AssertionError("version " + head + " came from nowhere");
      }
      int pageSize =
          base.pageSize == 0 || random.nextInt(15) == 0
              ? PAGE_SIZE << random.nextInt(3)
              : base.pageSize;
      int count =
          switch (random.nextInt(6)) {
            case 0 -> random.nextInt(base.seeds.length + 1);
            case 1, 2 -> base.seeds.length + random.nextInt(20);
            default -> Math.max(1, base.seeds.length);
          };
      int kept = pageSize == base.pageSize ? Math.min(count, base.seeds.length) : 0;
      long[] seeds = Arrays.copyOf(base.seeds, count);
      long[] versions = Arrays.copyOf(base.versions, count);
      List<PageImage> pages = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        if (i >= kept || random.nextInt(4) == 0) {
          seeds[i] = random.nextInt(8) == 0 ? 0 : nextSeed++;
          versions[i] = head + 1;
          pages.add(page(i + 1, pageSize, seeds[i]));
        }
      }
      Writer at = writer.at(head).withPageSize(pageSize);
      StageId stage = null;
      List<PageImage> inline = pages;
      if (random.nextInt(3) == 0) {
        stage = stage();
        int inlineFrom = random.nextInt(pages.size() + 1);
        inline = pages.subList(inlineFrom, pages.size());
        List<PageImage> staged = new ArrayList<>(pages.subList(0, inlineFrom));
        // What is staged for nothing: an older image of an inline page, one behind the end.
        inline.stream()
            .limit(2)
            .forEach(page -> staged.add(page(page.number(), pageSize, -page.number())));
        staged.add(page(count + 1 + random.nextInt(5), pageSize, -1));
        Collections.shuffle(staged, random);
        for (int i = 0; i < staged.size(); i += 7) {
          at.stageNow(
              stage, staged.subList(i, Math.min(i + 7, staged.size())).toArray(new PageImage[0]));
        }
      }
      List<PageImage> shuffled = new ArrayList<>(inline);
      Collections.shuffle(shuffled, random);
      Commit commit = at.next(count, stage, shuffled.toArray(new PageImage[0]));
      if (random.nextInt(10) == 0) {
        refused(
            Code.LEASE_LOST,
            store().commit(at.withEpoch(at.epoch - 1).next(count, stage, page(1, pageSize, 99))));
      }
      assertEquals(head + 1, get(store().commit(commit)));
      if (random.nextInt(10) == 0) {
        assertEquals(head + 1, get(store().commit(commit)));
      }
      model.put(head + 1, new ModelState(pageSize, commit.id().high(), seeds, versions));
      readers.add(head + 1);
      for (long version : new HashSet<>(readers)) {
        check(database, version, model, random);
      }
      readers.remove(readers.size() - 1);
    }
    pins.unpin(database);
  }

  @Test
  void aVersionsMarkIsKnownAsLongAsWhatChangedSince() {
    Writer writer = new Writer(NAME);
    List<Long> marks = new ArrayList<>(List.of(0L));
    for (int i = 1; i <= 50; i++) {
      writer.commit(1, page(1, PAGE_SIZE, i));
      marks.add(writer.mark);
      // Nobody reads what is older: it may be collected.
      pins.pin(writer.database, i);
    }
    assertEquals(0, get(store().mark(writer.database, 0)));
    assertEquals(0, get(store().mark(writer.database, 51)), "there is none");
    int told = 0;
    for (int version = 1; version <= 50; version++) {
      long mark = get(store().mark(writer.database, version));
      if (get(store().changes(writer.database, version, 50, 10)).all()) {
        continue;
      }
      assertEquals(marks.get(version), mark, "of version " + version);
      told++;
    }
    assertTrue(told > 1, "of " + told + " versions is known what changed since");
  }

  @Test
  void theMarksOfCommitsOfTheSameNumberDiffer() {
    Writer one = new Writer(NAME);
    Writer two = new Writer("b");
    one.commit(1, page(1, PAGE_SIZE, 1));
    two.commit(1, page(1, PAGE_SIZE, 1));
    assertNotEquals(get(store().head(one.database)).mark(), get(store().head(two.database)).mark());
    assertEquals(one.mark, get(store().info(one.database)).head().mark());
    assertEquals(one.mark, get(store().find(NAME)).orElseThrow().head().mark());
  }

  /** A version and the changes from it to the head. */
  private void check(
      DatabaseId database, long version, Map<Long, ModelState> model, Random random) {
    ModelState state = state(model, version);
    int count = state.seeds.length;
    assertEquals(
        new Snapshot(version, state.pageSize, count, state.mark),
        get(store().snapshot(database, version)));
    long[] numbers =
        LongStream.rangeClosed(1, count).filter(number -> random.nextInt(3) > 0).toArray();
    List<PageImage> read = get(store().read(database, version, numbers));
    assertEquals(numbers.length, read.size());
    for (int i = 0; i < numbers.length; i++) {
      int page = (int) numbers[i] - 1;
      assertEquals(numbers[i], read.get(i).number());
      assertContent(state.seeds[page], state.pageSize, read.get(i));
      assertEquals(state.versions[page], read.get(i).version(), "page " + (page + 1));
    }
    long head = get(store().head(database)).version();
    Changes changes = get(store().changes(database, version, head, 1_000_000));
    if (changes.all()) {
      assertTrue(
          LongStream.rangeClosed(version + 1, head)
              .anyMatch(v -> state(model, v).pageSize != state(model, v - 1).pageSize),
          "all is said to have changed, but the page size stayed");
      return;
    }
    Set<Long> changed = new HashSet<>();
    for (long number : changes.pages()) {
      assertTrue(changed.add(number));
    }
    ModelState now = state(model, head);
    for (int i = 0; i < now.seeds.length; i++) {
      assertEquals(now.versions[i] > version, changed.contains(i + 1L), "page " + (i + 1));
    }
  }

  private static ModelState state(Map<Long, ModelState> model, long version) {
    ModelState state = model.get(version);
    if (state == null) {
      throw new AssertionError("no version " + version);
    }
    return state;
  }

  /** By page: its content's seed, and the version that last wrote it. */
  private static final class ModelState {
    final int pageSize;
    final long mark;
    final long[] seeds;
    final long[] versions;

    ModelState(int pageSize, long mark, long[] seeds, long[] versions) {
      this.pageSize = pageSize;
      this.mark = mark;
      this.seeds = seeds;
      this.versions = versions;
    }
  }

  // ---- Side files

  @Test
  void aSideFileIsBytes() {
    Writer writer = new Writer(NAME);
    DatabaseId database = writer.database;
    SideFiles files = store().sideFiles();
    assertEquals(0, get(files.size(database, "j")));
    assertEquals(0, get(files.read(database, "j", 0, 10)).remaining());
    get(files.delete(database, writer.epoch, "j"));

    get(files.write(database, writer.epoch, "j", 0, bytes("hello")));
    get(files.write(database, writer.epoch, "j", 7, bytes("world")));
    assertEquals(12, get(files.size(database, "j")));
    assertEquals(bytes("hello\0\0world"), get(files.read(database, "j", 0, 100)));
    assertEquals(bytes("lo\0"), get(files.read(database, "j", 3, 3)));
    assertEquals(bytes("rld"), get(files.read(database, "j", 9, 100)));
    assertEquals(0, get(files.read(database, "j", 12, 5)).remaining());
    assertEquals(0, get(files.read(database, "j", 1L << 40, 5)).remaining());
    assertEquals(0, get(files.size(database, "other")));

    get(files.truncate(database, writer.epoch, "j", 3));
    assertEquals(bytes("hel"), get(files.read(database, "j", 0, 100)));
    get(files.truncate(database, writer.epoch, "j", 6));
    assertEquals(bytes("hel\0\0\0"), get(files.read(database, "j", 0, 100)));
    get(files.delete(database, writer.epoch, "j"));
    assertEquals(0, get(files.size(database, "j")));
    get(files.write(database, writer.epoch, "j", 2, bytes("x")));
    assertEquals(bytes("\0\0x"), get(files.read(database, "j", 0, 100)));
  }

  @Test
  void aSideFileOfRandomWritesReadsAsAnArrayWould() {
    Writer writer = new Writer(NAME);
    SideFiles files = store().sideFiles();
    Random random = new Random(11);
    byte[] model = new byte[400_000];
    int size = 0;
    for (int i = 0; i < 200; i++) {
      if (random.nextInt(5) == 0) {
        int newSize = random.nextInt(model.length);
        if (newSize < size) {
          Arrays.fill(model, newSize, size, (byte) 0);
        }
        size = newSize;
        get(files.truncate(writer.database, writer.epoch, "wal", size));
      } else {
        byte[] data = new byte[1 + random.nextInt(100_000)];
        random.nextBytes(data);
        int offset = random.nextInt(model.length - data.length);
        System.arraycopy(data, 0, model, offset, data.length);
        size = Math.max(size, offset + data.length);
        get(files.write(writer.database, writer.epoch, "wal", offset, ByteBuffer.wrap(data)));
      }
      assertEquals(size, get(files.size(writer.database, "wal")));
      int offset = random.nextInt(model.length);
      int length = random.nextInt(150_000);
      assertEquals(
          ByteBuffer.wrap(model, offset, Math.max(0, Math.min(length, size - offset))),
          get(files.read(writer.database, "wal", offset, length)));
    }
  }

  // ---- The end

  @Test
  void aClosedStoreSaysSo() {
    Writer writer = new Writer(NAME);
    PageStore store = store();
    store.close();
    store.close();
    refused(Code.STORE_FAILED, store.head(writer.database));
    refused(Code.STORE_FAILED, store.find(NAME));
    refused(Code.STORE_FAILED, store.commit(writer.next(1, page(1, PAGE_SIZE, 1))));
  }

  // ---- Means

  /** Somebody who has the lease of a database and knows its head. */
  protected final class Writer {
    final DatabaseId database;
    final SessionId session;
    final long epoch;
    final int pageSize;
    private long base;

    /** Of the version that it committed last. */
    private long mark;

    /** Makes the database and takes its lease. */
    Writer(String name) {
      database = get(store().findOrCreate(name)).id();
      session = session();
      LeaseState state = get(store().acquireLease(database, session, Optional.empty()));
      assertEquals(session, state.holder());
      epoch = state.epoch();
      pageSize = PAGE_SIZE;
    }

    private Writer(Writer from, SessionId session, long epoch, int pageSize, long base) {
      this.database = from.database;
      this.session = session;
      this.epoch = epoch;
      this.pageSize = pageSize;
      this.base = base;
    }

    Writer as(SessionId other) {
      return new Writer(this, other, epoch, pageSize, base());
    }

    Writer withEpoch(long other) {
      return new Writer(this, session, other, pageSize, base());
    }

    Writer withPageSize(int other) {
      return new Writer(this, session, epoch, other, base());
    }

    Writer at(long version) {
      return new Writer(this, session, epoch, pageSize, version);
    }

    Writer displacedBy(SessionId other) {
      LeaseState current = get(store().lease(database));
      LeaseState state = get(store().acquireLease(database, other, Optional.of(current)));
      assertEquals(other, state.holder());
      return new Writer(this, other, state.epoch(), pageSize, base());
    }

    private long base() {
      return base;
    }

    long commit(long pageCount, PageImage... pages) {
      Commit commit = next(pageCount, pages);
      long version = get(store().commit(commit));
      assertEquals(base + 1, version);
      base = version;
      mark = commit.id().high();
      return version;
    }

    Commit next(long pageCount, PageImage... pages) {
      return next(pageCount, null, pages);
    }

    Commit next(CommitId id, long pageCount, PageImage... pages) {
      return new Commit(
          database, session, epoch, id, base, pageSize, pageCount, null, List.of(pages));
    }

    Commit next(long pageCount, @Nullable StageId stage, PageImage... pages) {
      return new Commit(
          database, session, epoch, commitId(), base, pageSize, pageCount, stage, List.of(pages));
    }

    CompletableFuture<Void> stageLater(StageId stage, PageImage... pages) {
      return stageLater(stage, StageCalls.UNCOUNTED, pages);
    }

    CompletableFuture<Void> stageLater(StageId stage, long call, PageImage... pages) {
      return store().stage(database, session, epoch, stage, call, pageSize, List.of(pages));
    }

    void stageNow(StageId stage, PageImage... pages) {
      get(stageLater(stage, pages));
    }
  }

  protected final PageImage readAt(DatabaseId database, long version, long number) {
    List<PageImage> read = get(store().read(database, version, new long[] {number}));
    assertEquals(1, read.size());
    return read.get(0);
  }

  protected static void assertContent(long seed, int pageSize, PageImage image) {
    byte[] bytes = new byte[image.data().remaining()];
    image.data().duplicate().get(bytes);
    assertArrayEquals(content(pageSize, seed), bytes, "page " + image.number());
    assertEquals(page(image.number(), pageSize, seed).checksum(), image.checksum());
  }

  protected final SessionId session() {
    synchronized (ids) {
      return new SessionId(ids.nextLong(), ids.nextLong());
    }
  }

  protected final StageId stage() {
    synchronized (ids) {
      return new StageId(ids.nextLong(), ids.nextLong());
    }
  }

  protected final CommitId commitId() {
    synchronized (ids) {
      return new CommitId(ids.nextLong(), ids.nextLong());
    }
  }

  private static ByteBuffer bytes(String text) {
    return ByteBuffer.wrap(text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }

  /** The answer, or the store's exception. */
  protected static <T> T get(CompletableFuture<T> future) {
    try {
      return future.get(60, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StoreException failure) {
        throw new StoreException(failure.code(), String.valueOf(failure.getMessage()), failure);
      }
      throw new AssertionError("a store fails with nothing but StoreException", e.getCause());
    } catch (TimeoutException e) {
      throw new AssertionError("no answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  protected static void refused(Code code, CompletableFuture<?> future) {
    try {
      Object answer = future.get(60, TimeUnit.SECONDS);
      fail("answered with " + answer + " instead of " + code);
    } catch (ExecutionException e) {
      StoreException failure = assertInstanceOf(StoreException.class, e.getCause());
      assertEquals(code, failure.code(), failure::getMessage);
    } catch (TimeoutException e) {
      throw new AssertionError("no answer", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new AssertionError(e);
    }
  }

  private static <T> List<T> atOnce(List<Callable<T>> work) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(work.size());
    try {
      CyclicBarrier start = new CyclicBarrier(work.size());
      List<Future<T>> running = new ArrayList<>();
      for (Callable<T> each : work) {
        running.add(
            threads.submit(
                () -> {
                  start.await(60, TimeUnit.SECONDS);
                  return each.call();
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : running) {
        results.add(future.get(60, TimeUnit.SECONDS));
      }
      return results;
    } finally {
      threads.shutdownNow();
    }
  }
}
