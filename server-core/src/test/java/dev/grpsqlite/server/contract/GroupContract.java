package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageStoreContract.assertContent;
import static dev.grpsqlite.server.contract.PageStoreContract.get;
import static dev.grpsqlite.server.contract.PageStoreContract.refused;
import static dev.grpsqlite.server.contract.TestPages.page;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What every {@link PageStore} must do that commits several databases together. */
@Timeout(120)
public abstract class GroupContract {
  private static final int PAGE_SIZE = 512;

  protected final SettablePins pins = new SettablePins();
  private final Random ids = new Random(11);
  private final SessionId session = new SessionId(1, 1);

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

  private PageStore store() {
    PageStore store = opened;
    if (store == null) {
      throw new AssertionError("not open");
    }
    return store;
  }

  @Test
  void theStoreSaysThatItCan() {
    assertTrue(store().capabilities().commitGroup());
  }

  @Test
  void p1_aGroupIsAppliedWholeStagedPagesAndInlineOnes() {
    List<Member> members = members("a", "b", "c");
    StageId stage = stage();
    members.get(1).stage(stage, page(1, PAGE_SIZE, 20), page(2, PAGE_SIZE, 21));
    members.get(2).stage(stage, page(1, PAGE_SIZE, 30));
    List<Commit> group =
        List.of(
            members.get(0).commit(1, null, page(1, PAGE_SIZE, 10)),
            members.get(1).commit(2, stage),
            members.get(2).commit(2, stage, page(2, PAGE_SIZE, 31)));
    assertEquals(List.of(1L, 1L, 1L), get(store().commitGroup(group)));
    assertEquals(new Snapshot(1, PAGE_SIZE, 1, group.get(0).id().high()), members.get(0).head());
    assertEquals(new Snapshot(1, PAGE_SIZE, 2, group.get(1).id().high()), members.get(1).head());
    assertEquals(new Snapshot(1, PAGE_SIZE, 2, group.get(2).id().high()), members.get(2).head());
    members.get(0).has(1, 10);
    members.get(1).has(1, 20, 21);
    members.get(2).has(1, 30, 31);
    for (Member member : members) {
      Commit again = member.at(1).commit(2, stage, page(2, PAGE_SIZE, 99));
      refused(Code.NO_SUCH_STAGE, store().commit(again));
      assertEquals(2, get(store().commit(member.at(1).commit(1, null, page(1, PAGE_SIZE, 40)))));
    }
  }

  @Test
  void aGroupOfOneIsACommit() {
    Member member = new Member("a");
    Commit commit = member.commit(1, null, page(1, PAGE_SIZE, 1));
    assertEquals(List.of(1L), get(store().commitGroup(List.of(commit))));
    assertEquals(1, get(store().commit(commit)), "the same commit, by itself");
    assertEquals(1, member.head().version());
  }

  @Test
  void p1_aGroupIsRefusedWholeWhicheverOfItsCommitsIsRefusedAndWhy() {
    List<Member> members = members("a", "b", "c");
    StageId stage = stage();
    StageId otherSize = stage();
    List<Commit> first = new ArrayList<>();
    for (Member member : members) {
      first.add(member.commit(2, null, page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2)));
    }
    assertEquals(List.of(1L, 1L, 1L), get(store().commitGroup(first)));
    for (Member member : members) {
      member.stage(stage, page(1, PAGE_SIZE, 50));
      get(
          store()
              .stage(
                  member.database,
                  session,
                  member.epoch,
                  otherSize,
                  StageCalls.UNCOUNTED,
                  1024,
                  List.of(page(1, 1024, 3))));
    }
    PageImage nine = page(1, PAGE_SIZE, 9);
    Map<Code, List<Function<Member, Commit>>> refusals =
        Map.of(
            Code.LEASE_LOST,
            List.of(
                member -> member.withEpoch(member.epoch + 1).commit(2, null, nine),
                member -> member.of(new SessionId(2, 2)).commit(2, null, nine)),
            Code.HEAD_MOVED,
            List.of(
                member -> member.at(0).commit(2, null, nine),
                member -> member.at(2).commit(2, null, nine)),
            Code.NO_SUCH_STAGE,
            List.of(member -> member.commit(2, stage(), nine)),
            Code.NO_SUCH_DATABASE,
            List.of(member -> member.in(new DatabaseId(5, 5)).commit(2, null, nine)),
            Code.INVALID_REQUEST,
            List.of(
                member -> member.commit(4, null, nine, page(4, PAGE_SIZE, 9)), // 3 is missing
                member -> member.commit(2, otherSize, nine),
                member -> member.commit(1, null, page(2, PAGE_SIZE, 9))));
    refusals.forEach(
        (code, commits) ->
            commits.forEach(
                refused -> {
                  for (int which = 0; which < members.size(); which++) {
                    List<Commit> group = new ArrayList<>();
                    for (int i = 0; i < members.size(); i++) {
                      Member member = members.get(i).at(1);
                      group.add(i == which ? refused.apply(member) : member.commit(2, stage, nine));
                    }
                    refused(code, store().commitGroup(group));
                    for (int i = 0; i < members.size(); i++) {
                      Member member = members.get(i);
                      long mark = first.get(i).id().high();
                      assertEquals(new Snapshot(1, PAGE_SIZE, 2, mark), member.head());
                      member.has(1, 1, 2);
                    }
                  }
                }));
    // The stages are as they were.
    List<Commit> group = new ArrayList<>();
    members.forEach(member -> group.add(member.at(1).commit(2, stage)));
    assertEquals(List.of(2L, 2L, 2L), get(store().commitGroup(group)));
    members.forEach(member -> member.has(2, 50, 2));
  }

  @Test
  void p1_aGroupWithADroppedDatabaseIsRefused() {
    List<Member> members = members("a", "b");
    get(store().drop(members.get(1).database));
    List<Commit> group = new ArrayList<>();
    members.forEach(member -> group.add(member.commit(1, null, page(1, PAGE_SIZE, 1))));
    refused(Code.NO_SUCH_DATABASE, store().commitGroup(group));
    assertEquals(Snapshot.EMPTY, members.get(0).head());
    Collections.reverse(group);
    refused(Code.NO_SUCH_DATABASE, store().commitGroup(group));
    assertEquals(Snapshot.EMPTY, members.get(0).head());
  }

  @Test
  void p3_aGroupOfWhoLostOneLeaseIsRefusedAndOthersGoOn() {
    List<Member> members = members("a", "b");
    Member other = members.get(1).displacedBy(new SessionId(2, 2));
    List<Commit> group = new ArrayList<>();
    members.forEach(member -> group.add(member.commit(1, null, page(1, PAGE_SIZE, 1))));
    refused(Code.LEASE_LOST, store().commitGroup(group));
    assertEquals(1, get(store().commit(other.commit(1, null, page(1, PAGE_SIZE, 2)))));
    refused(Code.LEASE_LOST, store().commitGroup(group));
    assertEquals(Snapshot.EMPTY, members.get(0).head());
    other.has(1, 2);
  }

  @Test
  void aDatabaseTwiceOrNoneAtAllIsNoGroup() {
    Member member = new Member("a");
    Commit one = member.commit(1, null, page(1, PAGE_SIZE, 1));
    Commit two = member.commit(1, null, page(1, PAGE_SIZE, 2));
    refused(Code.INVALID_REQUEST, store().commitGroup(List.of(one, two)));
    refused(Code.INVALID_REQUEST, store().commitGroup(List.of(one, one)));
    refused(Code.INVALID_REQUEST, store().commitGroup(List.of()));
    assertEquals(Snapshot.EMPTY, member.head());
  }

  @Test
  void p5_aGroupSentAgainIsAnsweredAsTheFirstTime() {
    List<Member> members = members("a", "b", "c");
    StageId stage = stage();
    members.get(0).stage(stage, page(1, PAGE_SIZE, 1));
    List<Commit> group = new ArrayList<>();
    group.add(members.get(0).commit(1, stage));
    group.add(members.get(1).commit(1, null, page(1, PAGE_SIZE, 1)));
    group.add(members.get(2).commit(1, null, page(1, PAGE_SIZE, 1)));
    List<Long> answer = List.of(1L, 1L, 1L);
    assertEquals(answer, get(store().commitGroup(group)));
    assertEquals(answer, get(store().commitGroup(group)), "at once");

    // One database goes on, another is somebody else's, the third is gone.
    Member later = members.get(0).at(1);
    assertEquals(2, get(store().commit(later.commit(1, null, page(1, PAGE_SIZE, 2)))));
    assertEquals(3, get(store().commit(later.at(2).commit(1, null, page(1, PAGE_SIZE, 3)))));
    assertEquals(answer, get(store().commitGroup(group)), "after commits to one database");
    members.get(1).displacedBy(new SessionId(2, 2));
    assertEquals(answer, get(store().commitGroup(group)), "after a lease was lost");
    get(store().drop(members.get(2).database));
    assertEquals(answer, get(store().commitGroup(group)), "after a database was dropped");
    assertEquals(3, members.get(0).head().version());
    assertEquals(1, members.get(1).head().version());
    later.has(3, 3);
  }

  @Test
  void p1_whatWasStagedBeforeOtherCommitsIsCommittedBehindThem() {
    List<Member> members = members("a", "b");
    StageId stage = stage();
    List<Commit> group = new ArrayList<>();
    for (Member member : members) {
      member.stage(stage, page(1, PAGE_SIZE, 7), page(3, PAGE_SIZE, 8));
      PageImage[] two = {page(1, PAGE_SIZE, 1), page(2, PAGE_SIZE, 2)};
      assertEquals(1, get(store().commit(member.commit(2, null, two))));
      group.add(member.at(1).commit(3, stage));
    }
    assertEquals(List.of(2L, 2L), get(store().commitGroup(group)));
    members.forEach(member -> member.has(2, 7, 2, 8));
  }

  @Test
  void p5_aGroupSentManyTimesAtOnceIsAppliedOnce() throws Exception {
    List<Member> members = members("a", "b", "c");
    ExecutorService threads = Executors.newFixedThreadPool(4);
    try {
      for (int base = 0; base < 20; base++) {
        StageId stage = stage();
        List<Commit> group = new ArrayList<>();
        for (Member member : members) {
          member.stage(stage, page(1, PAGE_SIZE, base + 1));
          group.add(member.at(base).commit(1, stage));
        }
        List<Commit> reversed = new ArrayList<>(group);
        Collections.reverse(reversed);
        List<Long> versions = Collections.nCopies(3, base + 1L);
        List<Callable<List<Long>>> sendings =
            List.of(
                () -> get(store().commitGroup(group)),
                () -> get(store().commitGroup(reversed)),
                () -> get(store().commitGroup(group)),
                () -> get(store().commitGroup(reversed)));
        for (Future<List<Long>> sending : threads.invokeAll(sendings)) {
          assertEquals(versions, sending.get(60, TimeUnit.SECONDS));
        }
        for (Member member : members) {
          assertEquals(base + 1, member.head().version());
          member.has(base + 1, base + 1);
        }
      }
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void p5_aRefusedGroupIsNotRemembered() {
    List<Member> members = members("a", "b");
    Member b = members.get(1);
    Commit ofA = members.get(0).commit(1, null, page(1, PAGE_SIZE, 1));
    Commit ofB = b.commit(1, null, page(1, PAGE_SIZE, 1));
    Commit refused = b.withEpoch(b.epoch + 1).with(ofB.id(), 1, null, page(1, PAGE_SIZE, 1));
    refused(Code.LEASE_LOST, store().commitGroup(List.of(ofA, refused)));
    refused(Code.LEASE_LOST, store().commitGroup(List.of(ofA, refused)));
    assertEquals(List.of(1L, 1L), get(store().commitGroup(List.of(ofA, ofB))));
  }

  @Test
  void p5_whatWasAppliedAloneIsNoPartOfAGroup() {
    List<Member> members = members("a", "b");
    Commit ofA = members.get(0).commit(1, null, page(1, PAGE_SIZE, 1));
    Commit ofB = members.get(1).commit(1, null, page(1, PAGE_SIZE, 1));
    assertEquals(1, get(store().commit(ofA)));
    refused(Code.INVALID_REQUEST, store().commitGroup(List.of(ofA, ofB)));
    refused(Code.INVALID_REQUEST, store().commitGroup(List.of(ofB, ofA)));
    assertEquals(Snapshot.EMPTY, members.get(1).head());
  }

  @Test
  void theLargestGroupIsCommitted() {
    List<Commit> group = new ArrayList<>();
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < CommitGroups.MAX_COMMITS; i++) {
      Member member = new Member("db-" + i);
      members.add(member);
      group.add(member.commit(1, null, page(1, PAGE_SIZE, 100 + i)));
    }
    assertEquals(Collections.nCopies(group.size(), 1L), get(store().commitGroup(group)));
    for (int i = 0; i < members.size(); i++) {
      members.get(i).has(1, 100 + i);
    }
  }

  /** Threads commit groups over the same few databases, in whatever order they name them. */
  @Test
  void p4_groupsAtOnceAreOneAfterTheOther() throws Exception {
    int groups = 60;
    List<Member> members = members("a", "b", "c", "d");
    members.forEach(member -> pins.pin(member.database, 0));
    Map<DatabaseId, Map<Long, Long>> made = new ConcurrentHashMap<>();
    members.forEach(
        member -> made.put(member.database, Collections.synchronizedMap(new TreeMap<>())));
    List<Callable<Integer>> writers = new ArrayList<>();
    for (int w = 0; w < 4; w++) {
      long seedBase = 1000L * (w + 1);
      Random random = new Random(w);
      writers.add(
          () -> {
            int refused = 0;
            for (int i = 0; i < groups; ) {
              List<Member> chosen = new ArrayList<>(members);
              Collections.shuffle(chosen, random);
              List<Commit> group = new ArrayList<>();
              for (Member member : chosen.subList(0, 2 + random.nextInt(2))) {
                group.add(
                    member
                        .at(member.head().version())
                        .commit(1, null, page(1, PAGE_SIZE, seedBase + i)));
              }
              try {
                List<Long> versions = get(store().commitGroup(group));
                for (int m = 0; m < group.size(); m++) {
                  Map<Long, Long> ofDatabase = made.get(group.get(m).database());
                  Long before =
                      ofDatabase == null ? null : ofDatabase.put(versions.get(m), seedBase + i);
                  assertEquals(null, before, "two groups made one version");
                }
                i++;
              } catch (StoreException e) {
                assertEquals(Code.HEAD_MOVED, e.code());
                refused++;
              }
            }
            return refused;
          });
    }
    ExecutorService threads = Executors.newFixedThreadPool(writers.size());
    try {
      for (Future<Integer> writer : threads.invokeAll(writers)) {
        writer.get(60, TimeUnit.SECONDS);
      }
    } finally {
      threads.shutdownNow();
    }
    for (Member member : members) {
      Map<Long, Long> versions = made.getOrDefault(member.database, Map.of());
      assertEquals(member.head().version(), versions.size());
      versions.forEach((version, seed) -> member.has(version, seed));
    }
  }

  private List<Member> members(String... names) {
    List<Member> members = new ArrayList<>();
    for (String name : names) {
      members.add(new Member(name));
    }
    return members;
  }

  private StageId stage() {
    synchronized (ids) {
      return new StageId(ids.nextLong(), ids.nextLong());
    }
  }

  private CommitId commitId() {
    synchronized (ids) {
      return new CommitId(ids.nextLong(), ids.nextLong());
    }
  }

  /** A database, and who has its lease. */
  private final class Member {
    final DatabaseId database;
    final SessionId holder;
    final long epoch;
    final long base;

    Member(String name) {
      database = get(store().findOrCreate(name)).id();
      holder = session;
      epoch = get(store().acquireLease(database, session, Optional.empty())).epoch();
      base = 0;
    }

    private Member(DatabaseId database, SessionId holder, long epoch, long base) {
      this.database = database;
      this.holder = holder;
      this.epoch = epoch;
      this.base = base;
    }

    Member at(long version) {
      return new Member(database, holder, epoch, version);
    }

    Member withEpoch(long other) {
      return new Member(database, holder, other, base);
    }

    Member of(SessionId other) {
      return new Member(database, other, epoch, base);
    }

    Member in(DatabaseId other) {
      return new Member(other, holder, epoch, base);
    }

    Member displacedBy(SessionId other) {
      LeaseState current = get(store().lease(database));
      LeaseState state = get(store().acquireLease(database, other, Optional.of(current)));
      return new Member(database, other, state.epoch(), base);
    }

    void stage(StageId stage, PageImage... pages) {
      get(
          store()
              .stage(
                  database, holder, epoch, stage, StageCalls.UNCOUNTED, PAGE_SIZE, List.of(pages)));
    }

    Commit commit(long pageCount, @Nullable StageId stage, PageImage... pages) {
      return with(commitId(), pageCount, stage, pages);
    }

    Commit with(CommitId id, long pageCount, @Nullable StageId stage, PageImage... pages) {
      return new Commit(
          database, holder, epoch, id, base, PAGE_SIZE, pageCount, stage, List.of(pages));
    }

    Snapshot head() {
      return get(store().head(database));
    }

    void has(long version, long... seeds) {
      for (int i = 0; i < seeds.length; i++) {
        List<PageImage> read = get(store().read(database, version, new long[] {i + 1}));
        assertContent(seeds[i], PAGE_SIZE, read.get(0));
      }
    }
  }
}
