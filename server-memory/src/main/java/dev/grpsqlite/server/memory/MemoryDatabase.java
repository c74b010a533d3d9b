package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitGroups.Earlier;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One database in the heap.
 *
 * <h2>Versions</h2>
 *
 * Each page has a chain of images, the newest first; its content at a version is the first one that
 * is not above it. That needs no list of truncations, for a commit that grows a database names
 * every page it grows by. A log has one entry per version: its commit id, size, and the pages it
 * wrote.
 *
 * <h2>Collection</h2>
 *
 * As part of each commit, in proportion to what the collected versions changed: an image is dropped
 * when the oldest pinned version has a newer one, or no longer has the page. Log entries outlive
 * the images of their versions, to answer {@link #changes} and commits that are sent again.
 *
 * <p>Thread-safe by its monitor: one thing at a time. A group of commits has the monitors of all
 * its databases, taken in the order of their ids.
 */
final class MemoryDatabase {
  /** Versions of which commit id and changes are known. Each takes some 100 bytes. */
  private static final int LOG_VERSIONS = 10_000;

  /** Page numbers in the log's entries behind the oldest version: 8 MiB at most. */
  private static final long LOG_PAGES = 1 << 20;

  /** Some of those that changed: bounds what is taken at once. */
  private static final int PAGES_AT_ONCE = 256;

  /** Sessions die, so a database need not hold the stages of very many transactions. */
  private static final int STAGES = 1000;

  private final DatabaseId id;
  private final String name;
  private final SnapshotPins pins;
  private final Clock clock;
  private final Instant createdAt;

  private boolean dropped;
  private Version head;
  private long oldest;
  private LeaseState lease = new LeaseState(0, null);

  /** By page number, from 1. */
  private @Nullable Image[] images = new @Nullable Image[1];

  /** Consecutive versions by number. */
  private final TreeMap<Long, Version> log = new TreeMap<>();

  /** Page numbers in those entries of the log whose images were collected. */
  private long logPages;

  /** Entries of the log up to this one have no page numbers any more. */
  private long forgotten = -1;

  private final Map<StageKey, Stage> stages = new HashMap<>();
  private final Map<String, SideFile> sideFiles = new HashMap<>();

  MemoryDatabase(DatabaseId id, String name, SnapshotPins pins, Clock clock) {
    this.id = id;
    this.name = name;
    this.pins = pins;
    this.clock = clock;
    this.createdAt = clock.instant();
    this.head = new Version(Snapshot.EMPTY, null, createdAt, new long[0], 0);
    log.put(0L, head);
  }

  DatabaseId id() {
    return id;
  }

  String name() {
    return name;
  }

  synchronized DatabaseInfo info() {
    return new DatabaseInfo(id, name, head.snapshot, oldest, createdAt, head.committedAt);
  }

  /** Makes every later call fail, also those that have got hold of this object already. */
  synchronized void drop() {
    dropped = true;
    images = new @Nullable Image[1];
    stages.clear();
    sideFiles.clear();
  }

  synchronized Snapshot head() {
    checkExists();
    return head.snapshot;
  }

  synchronized Snapshot snapshot(long version) {
    checkExists();
    if (version == head.number()) {
      return head.snapshot;
    }
    checkVersion(version);
    return logged(version).snapshot;
  }

  synchronized long mark(long version) {
    checkExists();
    Version found = log.get(version);
    return found == null ? 0 : found.snapshot.mark();
  }

  synchronized Changes changes(long after, long upTo, int limit) {
    checkExists();
    if (upTo < 0 || upTo > head.number()) {
      throw noSuchVersion(upTo);
    }
    if (after == upTo) {
      return Changes.NONE;
    }
    if (after < log.firstKey() || after > upTo) {
      return Changes.ALL;
    }
    int sizeBefore = logged(after).snapshot.pageSize();
    int pageSize = logged(upTo).snapshot.pageSize();
    if (sizeBefore != pageSize && sizeBefore != 0) {
      return Changes.ALL;
    }
    long[] pages = new long[64];
    int count = 0;
    for (Version version : log.subMap(after, false, upTo, true).values()) {
      if (version.pages == null
          || version.pages.length > limit
          || version.snapshot.pageSize() != pageSize) {
        return Changes.ALL;
      }
      if (count + version.pages.length > pages.length) {
        count = sortUnique(pages, count);
        if (count > limit) {
          return Changes.ALL;
        }
        pages = Arrays.copyOf(pages, 2 * (count + version.pages.length));
      }
      System.arraycopy(version.pages, 0, pages, count, version.pages.length);
      count += version.pages.length;
    }
    count = sortUnique(pages, count);
    return count > limit ? Changes.ALL : new Changes(false, Arrays.copyOf(pages, count));
  }

  synchronized List<PageImage> read(long version, long[] pages) {
    checkExists();
    checkVersion(version);
    Snapshot snapshot = version == head.number() ? head.snapshot : logged(version).snapshot;
    List<PageImage> result = new ArrayList<>(pages.length);
    for (long page : pages) {
      if (page > snapshot.pageCount()) {
        throw new StoreException(
            Code.INVALID_REQUEST,
            "page "
                + page
                + " of "
                + name
                + " does not exist: version "
                + version
                + " has "
                + snapshot.pageCount());
      }
      result.add(imageAt(page, version));
    }
    return result;
  }

  synchronized List<PageImage> readStaged(
      SessionId session, StageId stageId, long version, long[] pages) {
    checkExists();
    checkVersion(version);
    Stage stage = existingStage(session, stageId);
    Snapshot snapshot = version == head.number() ? head.snapshot : logged(version).snapshot;
    List<PageImage> result = new ArrayList<>(pages.length);
    for (long page : pages) {
      PageImage staged = stage.pages.get(page);
      if (staged != null) {
        result.add(staged);
      } else if (page <= snapshot.pageCount()) {
        result.add(imageAt(page, version));
      } else {
        result.add(new PageImage(page, 0, 0, ByteBuffer.allocate(0)));
      }
    }
    return result;
  }

  synchronized LeaseState lease() {
    checkExists();
    return lease;
  }

  synchronized LeaseState acquireLease(SessionId session, Optional<LeaseState> displaced) {
    checkExists();
    if (lease.holder() == null || displaced.equals(Optional.of(lease))) {
      dropStages(session);
      lease = new LeaseState(lease.epoch() + 1, session);
    }
    return lease;
  }

  synchronized void releaseLease(SessionId session, long epoch) {
    checkExists();
    if (session.equals(lease.holder()) && lease.epoch() == epoch) {
      lease = new LeaseState(epoch, null);
      dropStages(session);
    }
  }

  synchronized void stage(
      SessionId session,
      long epoch,
      StageId stageId,
      long call,
      int pageSize,
      List<PageImage> pages) {
    checkExists();
    checkLease(session, epoch);
    StageKey key = new StageKey(session, stageId);
    Stage stage = stages.get(key);
    if (call != StageCalls.UNCOUNTED && !StageCalls.isNext(stage == null ? 0 : stage.calls, call)) {
      return;
    }
    if (stage == null) {
      if (stages.size() >= STAGES) {
        throw new StoreException(Code.LIMIT, name + " has " + STAGES + " stages already");
      }
      stage = new Stage(pageSize);
      stages.put(key, stage);
    }
    if (stage.pageSize != pageSize) {
      throw new StoreException(
          Code.INVALID_REQUEST,
          "the stage has pages of " + stage.pageSize + " bytes, not " + pageSize);
    }
    for (PageImage page : pages) {
      stage.pages.put(page.number(), new PageImage(page.number(), 0, page.checksum(), page.data()));
    }
    stage.calls = Math.max(stage.calls, call);
  }

  synchronized void dropStage(SessionId session, StageId stage) {
    stages.remove(new StageKey(session, stage));
  }

  synchronized void dropStages(SessionId session) {
    stages.keySet().removeIf(key -> key.session.equals(session));
  }

  synchronized long commit(Commit commit) {
    checkExists();
    if (CommitGroups.wasApplied(List.of(earlier(commit)))) {
      return commit.baseVersion() + 1;
    }
    SortedMap<Long, PageImage> pages = checked(commit);
    // Nothing fails from here on (P1).
    apply(commit, pages);
    return commit.baseVersion() + 1;
  }

  /** Commits to several databases, each in the list as often as in the other, and null if gone. */
  static List<Long> commitTogether(List<@Nullable MemoryDatabase> databases, List<Commit> commits) {
    List<MemoryDatabase> locks =
        databases.stream()
            .flatMap(Stream::ofNullable)
            .sorted(
                Comparator.comparing((MemoryDatabase database) -> database.id.high())
                    .thenComparing(database -> database.id.low()))
            .toList();
    return locked(locks.iterator(), () -> commitLocked(databases, commits));
  }

  /** Does something with the monitors of databases, which all take in the same order. */
  private static <T> T locked(Iterator<MemoryDatabase> databases, Supplier<T> action) {
    if (!databases.hasNext()) {
      return action.get();
    }
    synchronized (databases.next()) {
      return locked(databases, action);
    }
  }

  private static List<Long> commitLocked(
      List<@Nullable MemoryDatabase> databases, List<Commit> commits) {
    List<Earlier> earlier = new ArrayList<>();
    for (int i = 0; i < commits.size(); i++) {
      MemoryDatabase database = databases.get(i);
      earlier.add(database == null ? Earlier.NO_DATABASE : database.earlier(commits.get(i)));
    }
    if (!CommitGroups.wasApplied(earlier)) {
      List<SortedMap<Long, PageImage>> pages = new ArrayList<>();
      List<MemoryDatabase> present = new ArrayList<>();
      for (int i = 0; i < commits.size(); i++) {
        MemoryDatabase database = databases.get(i);
        if (database == null) {
          throw new StoreException(
              Code.NO_SUCH_DATABASE, "no database with the id " + commits.get(i).database());
        }
        database.checkExists();
        pages.add(database.checked(commits.get(i)));
        present.add(database);
      }
      // Nothing fails from here on (P1).
      for (int i = 0; i < commits.size(); i++) {
        present.get(i).apply(commits.get(i), pages.get(i));
      }
    }
    return CommitGroups.versions(commits);
  }

  private Earlier earlier(Commit commit) {
    long next = commit.baseVersion() + 1;
    if (dropped) {
      return Earlier.NO_DATABASE;
    }
    if (next <= 0 || next > head.number()) {
      return Earlier.NOT_APPLIED;
    }
    if (next < log.firstKey()) {
      return Earlier.FORGOTTEN;
    }
    return commit.id().equals(logged(next).commitId) ? Earlier.APPLIED : Earlier.NOT_APPLIED;
  }

  /** The pages of a commit that can be applied. */
  private SortedMap<Long, PageImage> checked(Commit commit) {
    checkLease(commit.holder(), commit.epoch());
    if (commit.baseVersion() != head.number()) {
      throw new StoreException(
          Code.HEAD_MOVED,
          name + " is at version " + head.number() + ", not " + commit.baseVersion());
    }
    TreeMap<Long, PageImage> pages = new TreeMap<>();
    if (commit.stage() != null) {
      Stage stage = existingStage(commit.holder(), commit.stage());
      if (stage.pageSize != commit.pageSize()) {
        throw new StoreException(
            Code.INVALID_REQUEST,
            "the stage has pages of " + stage.pageSize + " bytes, not " + commit.pageSize());
      }
      pages.putAll(stage.pages.headMap(commit.pageCount(), true));
    }
    for (PageImage page : commit.pages()) {
      if (page.number() > commit.pageCount()) {
        throw new StoreException(
            Code.INVALID_REQUEST,
            "page " + page.number() + " is above the page count " + commit.pageCount());
      }
      pages.put(page.number(), page);
    }
    long kept = commit.pageSize() == head.snapshot.pageSize() ? head.snapshot.pageCount() : 0;
    long grown = commit.pageCount() - kept;
    if (grown > 0 && pages.tailMap(kept, false).size() != grown) {
      throw new StoreException(
          Code.INVALID_REQUEST,
          "the commit lacks some of the pages from " + (kept + 1) + " to " + commit.pageCount());
    }
    if (commit.pageCount() >= images.length) {
      long room = Math.min(Integer.MAX_VALUE - 8, Math.max(64, commit.pageCount() * 3 / 2));
      images = Arrays.copyOf(images, (int) room + 1);
    }
    return pages;
  }

  private void apply(Commit commit, SortedMap<Long, PageImage> pages) {
    long next = commit.baseVersion() + 1;
    long[] numbers = new long[pages.size()];
    int i = 0;
    for (PageImage page : pages.values()) {
      numbers[i++] = page.number();
      PageImage image = new PageImage(page.number(), next, page.checksum(), page.data());
      int slot = (int) page.number();
      images[slot] = new Image(image, images[slot]);
    }
    head =
        new Version(
            new Snapshot(next, commit.pageSize(), commit.pageCount(), commit.id().mark()),
            commit.id(),
            clock.instant(),
            numbers,
            head.snapshot.pageCount());
    log.put(next, head);
    if (commit.stage() != null) {
      stages.remove(new StageKey(commit.holder(), commit.stage()));
    }
    collect();
  }

  /** Drops images that only versions below the oldest pinned one have, and old log entries. */
  private void collect() {
    long pinned = Math.min(head.number(), pins.oldestPinned(id));
    if (pinned > oldest) {
      dropOlderImages(logged(pinned).snapshot, log.subMap(oldest, false, pinned, true).values());
      oldest = pinned;
    }
    while (log.size() > LOG_VERSIONS && log.firstKey() < oldest) {
      long[] pages = log.pollFirstEntry().getValue().pages;
      logPages -= pages == null ? 0 : pages.length;
    }
    while (logPages > LOG_PAGES) {
      Map.Entry<Long, Version> entry = log.higherEntry(forgotten);
      if (entry == null || entry.getKey() > oldest) {
        break;
      }
      forgotten = entry.getKey();
      Version version = entry.getValue();
      logPages -= version.pages == null ? 0 : version.pages.length;
      version.pages = null;
    }
  }

  /**
   * Drops what no version from this one on has. Looks once at each page, however many of the
   * versions wrote it: a reader that is long at work leaves very many, with as many images.
   *
   * @param collected the versions since the last time, up to this one
   */
  private void dropOlderImages(Snapshot from, Collection<Version> collected) {
    PageSet changed = new PageSet();
    for (Version version : collected) {
      if (version.pages != null) {
        logPages += version.pages.length;
        changed.addAll(version.pages);
      }
      for (long page = version.snapshot.pageCount() + 1; page <= version.pageCountBefore; page++) {
        changed.add(page);
      }
    }
    long[] some = changed.above(0, PAGES_AT_ONCE);
    while (some.length > 0) {
      for (long page : some) {
        dropOlderImages(from, (int) page);
      }
      some = changed.above(some[some.length - 1], PAGES_AT_ONCE);
    }
  }

  private void dropOlderImages(Snapshot from, int page) {
    Image newer = null;
    Image image = images[page];
    while (image != null && image.page.version() > from.version()) {
      newer = image;
      image = image.older;
    }
    if (image != null && page <= from.pageCount()) {
      image.older = null;
    } else if (newer != null) {
      newer.older = null;
    } else {
      images[page] = null;
    }
  }

  private PageImage imageAt(long page, long version) {
    Image image = images[(int) page];
    while (image != null && image.page.version() > version) {
      image = image.older;
    }
    if (image == null) {
      throw new StoreException(
          Code.STORE_FAILED, "page " + page + " of " + name + " is missing at " + version);
    }
    return image.page;
  }

  private Version logged(long version) {
    Version found = log.get(version);
    if (found == null) {
      throw noSuchVersion(version);
    }
    return found;
  }

  private void checkExists() {
    if (dropped) {
      throw new StoreException(Code.NO_SUCH_DATABASE, name + " was dropped");
    }
  }

  private void checkVersion(long version) {
    if (version < 0 || version > head.number()) {
      throw noSuchVersion(version);
    }
    if (version < oldest) {
      throw new StoreException(
          Code.SNAPSHOT_TOO_OLD,
          "version " + version + " of " + name + " is no longer kept; the oldest is " + oldest);
    }
  }

  private StoreException noSuchVersion(long version) {
    return new StoreException(
        Code.NO_SUCH_VERSION,
        name
            + " has no version "
            + Long.toUnsignedString(version)
            + "; its head is "
            + head.number());
  }

  private void checkLease(SessionId session, long epoch) {
    if (!session.equals(lease.holder()) || lease.epoch() != epoch) {
      throw leaseLost(epoch);
    }
  }

  private StoreException leaseLost(long epoch) {
    return new StoreException(
        Code.LEASE_LOST,
        "the lease of "
            + name
            + " with epoch "
            + epoch
            + " is gone; the epoch is now "
            + lease.epoch());
  }

  private Stage existingStage(SessionId session, StageId stageId) {
    Stage stage = stages.get(new StageKey(session, stageId));
    if (stage == null) {
      throw new StoreException(Code.NO_SUCH_STAGE, "nothing is staged as " + stageId);
    }
    return stage;
  }

  /** Sorts the first {@code count} numbers, drops duplicates, and returns how many are left. */
  private static int sortUnique(long[] numbers, int count) {
    Arrays.sort(numbers, 0, count);
    int unique = 0;
    for (int i = 0; i < count; i++) {
      if (i == 0 || numbers[i] != numbers[i - 1]) {
        numbers[unique++] = numbers[i];
      }
    }
    return unique;
  }

  synchronized ByteBuffer readSideFile(String file, long offset, int length) {
    checkExists();
    SideFile found = sideFiles.get(file);
    return found == null ? ByteBuffer.allocate(0) : found.read(offset, length);
  }

  synchronized long sideFileSize(String file) {
    checkExists();
    SideFile found = sideFiles.get(file);
    return found == null ? 0 : found.size();
  }

  synchronized void writeSideFile(long epoch, String file, long offset, ByteBuffer data) {
    checkEpoch(epoch);
    sideFiles.computeIfAbsent(file, absent -> new SideFile()).write(offset, data);
  }

  synchronized void truncateSideFile(long epoch, String file, long size) {
    checkEpoch(epoch);
    sideFiles.computeIfAbsent(file, absent -> new SideFile()).truncate(size);
  }

  synchronized void deleteSideFile(long epoch, String file) {
    checkEpoch(epoch);
    sideFiles.remove(file);
  }

  private void checkEpoch(long epoch) {
    checkExists();
    if (lease.holder() == null || lease.epoch() != epoch) {
      throw leaseLost(epoch);
    }
  }

  private static final class Image {
    final PageImage page;
    @Nullable Image older;

    Image(PageImage page, @Nullable Image older) {
      this.page = page;
      this.older = older;
    }
  }

  private static final class Version {
    final Snapshot snapshot;

    /** Null at version 0. */
    final @Nullable CommitId commitId;

    final Instant committedAt;

    /** What the commit wrote, ascending; null when that is no longer known. */
    long @Nullable [] pages;

    final long pageCountBefore;

    Version(
        Snapshot snapshot,
        @Nullable CommitId commitId,
        Instant committedAt,
        long[] pages,
        long pageCountBefore) {
      this.snapshot = snapshot;
      this.commitId = commitId;
      this.committedAt = committedAt;
      this.pages = pages;
      this.pageCountBefore = pageCountBefore;
    }

    long number() {
      return snapshot.version();
    }
  }

  private record StageKey(SessionId session, StageId stage) {}

  private static final class Stage {
    final int pageSize;
    final TreeMap<Long, PageImage> pages = new TreeMap<>();

    /** The number of the last one that was applied. */
    long calls;

    Stage(int pageSize) {
      this.pageSize = pageSize;
    }
  }
}
