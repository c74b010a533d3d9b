package dev.grpsqlite.server.versioned;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitGroups.Earlier;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.ForkPoint;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.spi.VersionInfo;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One database.
 *
 * <h2>Versions</h2>
 *
 * The log holds the retained versions, each with its tree of pages, and behind them some that were
 * collected, of which it only knows which pages they changed. Commit ids are kept apart, for
 * longer.
 *
 * <h2>Threads</h2>
 *
 * What changes the database holds its monitor, so that commits come one after the other; a group of
 * commits holds those of all its databases, taken in the order of their ids. Pages, snapshots,
 * changes and history are read without it: they go from the log's head, or the slot of a version,
 * to what never changes again.
 *
 * <h2>Collection</h2>
 *
 * A version can be looked up from {@link #oldest} on, and read as long as its record has its pages.
 * The collector first raises {@code oldest}, then asks for pins once more, then takes the pages
 * away. So a session that entered its view, and then found the version, reads it: either the
 * collector saw the view, or the session did not find the version.
 */
final class VersionedDatabase {
  /** How many commits stay known (P5), if retention is not longer. 16 bytes each. */
  static final int COMMITS_KNOWN = 10_000;

  /** How many collected versions' changes stay known, for caches that slept. 70 bytes each. */
  static final int CHANGES_KNOWN = 1024;

  /** How many page numbers those may be together: 256 KiB. */
  static final int CHANGED_PAGES_KNOWN = 1 << 16;

  /** Bounds how long a commit waits for the collector: some 100 µs. */
  private static final int COLLECTED_AT_ONCE = 1000;

  /** More than the transactions that clients of one database can have open, or left behind. */
  private static final int STAGES = 1000;

  private static final ByteBuffer NO_BYTES = ByteBuffer.allocate(0);

  private final DatabaseId id;
  private final String name;
  private final long createdAtMillis;
  private final @Nullable ForkPoint forkedFrom;
  private final VersionLog log;

  /** The oldest version that can be looked up. Written under the monitor. */
  private volatile long oldest;

  // All below are guarded by the monitor, the volatile ones for writing.

  private volatile boolean dropped;
  private volatile LeaseState lease = new LeaseState(0, null);
  private final CommitIds commitIds = new CommitIds();

  /** The commits among the known ones that were restores: they can't be found by their base. */
  private final Map<CommitId, Long> restores = new LinkedHashMap<>();

  /** Page numbers in the log's collected versions. */
  private long changedPagesKnown;

  private volatile @Nullable Retention retention;
  private final Map<StageKey, Stage> stages = new HashMap<>();
  private final Map<String, SideFile> sideFiles = new HashMap<>();

  /** Creates an empty database. */
  VersionedDatabase(DatabaseId id, String name, long nowMillis) {
    this(id, name, nowMillis, null, Snapshot.EMPTY, PageTree.EMPTY);
  }

  private VersionedDatabase(
      DatabaseId id,
      String name,
      long nowMillis,
      @Nullable ForkPoint forkedFrom,
      Snapshot snapshot,
      PageTree pages) {
    this.id = id;
    this.name = name;
    this.createdAtMillis = nowMillis;
    this.forkedFrom = forkedFrom;
    this.log = new VersionLog(new Version(snapshot, nowMillis, 0, new int[0], pages));
  }

  /** A database that begins with the content of a version of this one. In constant time. */
  VersionedDatabase fork(
      DatabaseId forkId, String forkName, long nowMillis, long version, CommitId commit) {
    checkExists();
    Version parent = lookUp(version);
    Snapshot snapshot =
        new Snapshot(0, parent.snapshot().pageSize(), parent.snapshot().pageCount(), 0);
    return new VersionedDatabase(
        forkId, forkName, nowMillis, new ForkPoint(name, version, commit), snapshot, pages(parent));
  }

  DatabaseId id() {
    return id;
  }

  String name() {
    return name;
  }

  DatabaseInfo info() {
    checkExists();
    return described();
  }

  /** Empty if it was dropped, though it was found by its name just before. */
  Optional<DatabaseInfo> infoIfThere() {
    return dropped ? Optional.empty() : Optional.of(described());
  }

  private DatabaseInfo described() {
    long oldestVersion = oldest; // before the head, which is never below it
    Version head = log.head();
    return new DatabaseInfo(
        id,
        name,
        head.snapshot(),
        oldestVersion,
        Instant.ofEpochMilli(createdAtMillis),
        Instant.ofEpochMilli(head.committedAtMillis()),
        retention,
        forkedFrom);
  }

  /** Makes every later call fail, also those that have got hold of this object already. */
  synchronized void drop() {
    dropped = true;
    stages.clear();
    sideFiles.clear();
  }

  Snapshot head() {
    checkExists();
    return log.head().snapshot();
  }

  Snapshot snapshot(long version) {
    checkExists();
    return lookUp(version).snapshot();
  }

  Snapshot snapshotAt(Instant time) {
    checkExists();
    long millis = millis(time);
    if (millis < createdAtMillis) {
      throw new StoreException(
          Code.NO_SUCH_VERSION,
          name + " was created at " + Instant.ofEpochMilli(createdAtMillis) + ", after " + time);
    }
    while (true) {
      long low = oldest;
      Version found = newestUntil(millis, low);
      if (found != null && found.number() >= oldest) {
        return found.snapshot();
      }
      if (oldest == low) {
        throw new StoreException(
            Code.SNAPSHOT_TOO_OLD,
            "the version of " + name + " at " + time + " is no longer kept; the oldest is " + low);
      }
      // Some were collected meanwhile.
    }
  }

  /** The newest from this version on that was committed by then; null: none, or it is collected. */
  private @Nullable Version newestUntil(long millis, long from) {
    long low = from;
    long high = log.head().number();
    while (low < high) {
      long middle = (low + high + 1) >>> 1;
      Version version = log.get(middle);
      if (version == null || version.committedAtMillis() <= millis) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    Version found = log.get(low);
    return found == null || found.committedAtMillis() > millis ? null : found;
  }

  List<VersionInfo> history(long below, int limit) {
    checkExists();
    List<VersionInfo> infos = new ArrayList<>();
    long version = Math.min(below == Long.MIN_VALUE ? below : below - 1, log.head().number());
    for (; version >= oldest && infos.size() < limit; version--) {
      Version found = log.get(version);
      if (found == null) {
        break; // collected meanwhile
      }
      infos.add(found.info());
    }
    return infos;
  }

  long mark(long version) {
    checkExists();
    Version found = log.get(version);
    return found == null ? 0 : found.snapshot().mark();
  }

  Changes changes(long after, long upTo, int limit) {
    checkExists();
    if (upTo < 0 || upTo > log.head().number()) {
      throw noSuchVersion(upTo);
    }
    if (after == upTo) {
      return Changes.NONE;
    }
    Version last = log.get(upTo);
    if (after < 0 || after > upTo || last == null || last.pageSizeSince() > after) {
      return Changes.ALL;
    }
    PageNumbers changed = new PageNumbers();
    PageTree newest = last.pages();
    for (long v = after; v < upTo; v++) {
      Version from = log.get(v);
      if (from != null && from.pages() != null && newest != null) {
        int noted = changed.size();
        newest.visitNewer(
            from.pages(),
            page -> {
              changed.add(page.number());
              return changed.size() - noted <= limit;
            });
        if (changed.size() - noted > limit) {
          return Changes.ALL;
        }
        break;
      }
      Version next = log.get(v + 1);
      if (from == null || next == null || next.pagesChanged().length > limit) {
        return Changes.ALL;
      }
      for (int page : next.pagesChanged()) {
        changed.add(Integer.toUnsignedLong(page));
      }
    }
    long[] pages = changed.distinct();
    return pages.length > limit ? Changes.ALL : new Changes(false, pages);
  }

  List<PageImage> read(long version, long[] pages) {
    checkExists();
    Version found = readable(version);
    PageTree tree = pages(found);
    List<PageImage> images = new ArrayList<>(pages.length);
    for (long number : pages) {
      Page page = tree.get(number);
      if (page == null) {
        throw new StoreException(
            Code.INVALID_REQUEST,
            "page %d of %s does not exist: version %d has %d"
                .formatted(number, name, version, found.snapshot().pageCount()));
      }
      images.add(page.in(id));
    }
    return images;
  }

  List<PageImage> readStaged(SessionId session, StageId stageId, long version, long[] pages) {
    checkExists();
    PageTree tree = pages(readable(version));
    List<PageImage> images = new ArrayList<>(pages.length);
    synchronized (this) {
      Stage stage = existingStage(session, stageId);
      for (long number : pages) {
        PageImage staged = stage.pages.get(number);
        Page page = staged == null ? tree.get(number) : null;
        images.add(
            staged != null
                ? staged
                : page != null ? page.in(id) : new PageImage(number, 0, 0, NO_BYTES));
      }
    }
    return images;
  }

  LeaseState lease() {
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
    if (session.equals(lease.holder()) && epoch == lease.epoch()) {
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
    if (stage == null && stages.size() >= STAGES) {
      throw new StoreException(Code.LIMIT, name + " has " + STAGES + " stages already");
    }
    if (stage != null && stage.pageSize != pageSize) {
      throw otherPageSize(stage, pageSize);
    }
    pages.forEach(page -> checkPageSize(page, pageSize));
    if (stage == null) {
      stage = new Stage(pageSize);
      stages.put(key, stage);
    }
    for (PageImage page : pages) {
      stage.pages.put(page.number(), owned(page, 0));
    }
    stage.calls = Math.max(stage.calls, call);
  }

  synchronized void dropStage(SessionId session, StageId stage) {
    stages.remove(new StageKey(session, stage));
  }

  synchronized void dropStages(SessionId session) {
    stages.keySet().removeIf(key -> key.session.equals(session));
  }

  synchronized long commit(Commit commit, long nowMillis) {
    checkExists();
    if (!CommitGroups.wasApplied(List.of(earlier(commit)))) {
      prepared(commit, nowMillis).publish();
    }
    return commit.baseVersion() + 1;
  }

  /** Commits to several databases; null stands for one that is gone. */
  static List<Long> commitTogether(
      List<@Nullable VersionedDatabase> databases, List<Commit> commits, long nowMillis) {
    List<VersionedDatabase> locks =
        databases.stream()
            .flatMap(Stream::ofNullable)
            .sorted(
                Comparator.comparing((VersionedDatabase database) -> database.id.high())
                    .thenComparing(database -> database.id.low()))
            .toList();
    return locked(locks.iterator(), () -> commitLocked(databases, commits, nowMillis));
  }

  /** Does something with the monitors of databases, which all take in the same order. */
  private static <T> T locked(Iterator<VersionedDatabase> databases, Supplier<T> action) {
    if (!databases.hasNext()) {
      return action.get();
    }
    synchronized (databases.next()) {
      return locked(databases, action);
    }
  }

  private static List<Long> commitLocked(
      List<@Nullable VersionedDatabase> databases, List<Commit> commits, long nowMillis) {
    List<Earlier> earlier = new ArrayList<>();
    for (int i = 0; i < commits.size(); i++) {
      VersionedDatabase database = databases.get(i);
      earlier.add(database == null ? Earlier.NO_DATABASE : database.earlier(commits.get(i)));
    }
    if (!CommitGroups.wasApplied(earlier)) {
      List<Prepared> prepared = new ArrayList<>();
      for (int i = 0; i < commits.size(); i++) {
        VersionedDatabase database = databases.get(i);
        if (database == null) {
          throw new StoreException(
              Code.NO_SUCH_DATABASE, "no database has the id " + commits.get(i).database());
        }
        database.checkExists();
        prepared.add(database.prepared(commits.get(i), nowMillis));
      }
      prepared.forEach(Prepared::publish);
    }
    return CommitGroups.versions(commits);
  }

  private Earlier earlier(Commit commit) {
    long next = commit.baseVersion() + 1;
    if (dropped) {
      return Earlier.NO_DATABASE;
    }
    if (next <= 0 || next > log.head().number()) {
      return Earlier.NOT_APPLIED;
    }
    if (next < commitIds.first()) {
      return Earlier.FORGOTTEN;
    }
    return commit.id().equals(commitIds.get(next)) ? Earlier.APPLIED : Earlier.NOT_APPLIED;
  }

  /** Checks a commit, and makes all that it needs. */
  private Prepared prepared(Commit commit, long nowMillis) {
    checkLease(commit.holder(), commit.epoch());
    Version head = log.head();
    if (commit.baseVersion() != head.number()) {
      throw new StoreException(
          Code.HEAD_MOVED,
          name + " is at version " + head.number() + ", not " + commit.baseVersion());
    }
    List<Page> written = pagesOf(commit);
    boolean samePageSize = commit.pageSize() == head.snapshot().pageSize();
    long kept = samePageSize ? Math.min(head.snapshot().pageCount(), commit.pageCount()) : 0;
    checkNoneLacks(written, kept, commit.pageCount());
    PageTree tree = pages(head).cutTo(kept).with(written);
    Snapshot snapshot =
        new Snapshot(
            commit.baseVersion() + 1, commit.pageSize(), commit.pageCount(), commit.id().mark());
    StageKey stage = commit.stage() == null ? null : new StageKey(commit.holder(), commit.stage());
    return prepared(snapshot, tree, written, commit.id(), stage, nowMillis);
  }

  synchronized long restore(
      SessionId holder, long epoch, CommitId commitId, long version, long nowMillis) {
    checkExists();
    Long before = restores.get(commitId);
    if (before != null) {
      return before;
    }
    checkLease(holder, epoch);
    Version restored = lookUp(version);
    Version head = log.head();
    long next = head.number() + 1;
    // Nothing was written at a version that has no page size: keep the one there is now.
    int pageSize =
        restored.snapshot().pageSize() == 0
            ? head.snapshot().pageSize()
            : restored.snapshot().pageSize();
    boolean samePageSize = pageSize == head.snapshot().pageSize();
    long pageCount = restored.snapshot().pageCount();
    PageTree kept =
        pages(head).cutTo(samePageSize ? Math.min(head.snapshot().pageCount(), pageCount) : 0);
    List<Page> written = new ArrayList<>();
    pages(restored)
        .visitNewer(
            kept,
            page -> {
              Page now = kept.get(page.number());
              if (now == null || !now.hasContentOf(page)) {
                written.add(page.writtenBy(id, next));
              }
              return true;
            });
    Snapshot snapshot = new Snapshot(next, pageSize, pageCount, commitId.mark());
    prepared(snapshot, kept.with(written), written, commitId, null, nowMillis).publish();
    restores.put(commitId, next);
    return next;
  }

  /** Makes the next version. Whatever can fail does before anything was changed (P1). */
  private Prepared prepared(
      Snapshot snapshot,
      PageTree tree,
      List<Page> written,
      CommitId commitId,
      @Nullable StageKey stage,
      long nowMillis) {
    Version head = log.head();
    int pageSizeBefore = head.snapshot().pageSize();
    Version next =
        new Version(
            snapshot,
            Math.max(nowMillis, head.committedAtMillis() + 1),
            pageSizeBefore == snapshot.pageSize() || pageSizeBefore == 0
                ? head.pageSizeSince()
                : snapshot.version(),
            written.stream().mapToInt(page -> (int) page.number()).toArray(),
            tree);
    commitIds.reserve();
    log.reserve();
    return new Prepared(next, commitId, stage);
  }

  /** What a commit writes, ascending. */
  private List<Page> pagesOf(Commit commit) {
    long next = commit.baseVersion() + 1;
    Map<Long, PageImage> images = new HashMap<>();
    if (commit.stage() != null) {
      Stage stage = existingStage(commit.holder(), commit.stage());
      if (stage.pageSize != commit.pageSize()) {
        throw otherPageSize(stage, commit.pageSize());
      }
      stage.pages.forEach(
          (number, page) -> {
            if (number <= commit.pageCount()) {
              images.put(number, page);
            }
          });
    }
    for (PageImage page : commit.pages()) {
      checkPageSize(page, commit.pageSize());
      if (page.number() > commit.pageCount()) {
        throw new StoreException(
            Code.INVALID_REQUEST,
            "page " + page.number() + " is above the page count " + commit.pageCount());
      }
      images.put(page.number(), page);
    }
    long[] numbers = images.keySet().stream().mapToLong(Long::longValue).sorted().toArray();
    List<Page> pages = new ArrayList<>(numbers.length);
    for (long number : numbers) {
      PageImage image = images.get(number);
      if (image != null) {
        pages.add(new Page(id, owned(image, next)));
      }
    }
    return pages;
  }

  private static void checkNoneLacks(List<Page> written, long kept, long pageCount) {
    long grown = pageCount - kept;
    if (grown > 0
        && (written.size() < grown
            || written.get(written.size() - (int) grown).number() != kept + 1)) {
      throw new StoreException(
          Code.INVALID_REQUEST,
          "the commit lacks some of the pages from " + (kept + 1) + " to " + pageCount);
    }
  }

  synchronized void setRetention(@Nullable Retention changed) {
    checkExists();
    retention = changed;
  }

  /**
   * When the collector has something to do here, if nobody commits before: in milliseconds since
   * 1970, or {@link Long#MAX_VALUE} for never.
   */
  synchronized long collectableAtMillis(Retention otherwise) {
    if (dropped || oldest >= log.head().number()) {
      return Long.MAX_VALUE;
    }
    return collectableAtMillis(retention == null ? otherwise : retention, oldest);
  }

  /**
   * Drops versions that nothing keeps, in time in proportion to their number. Not all of them if
   * they are very many: then {@link #collectableAtMillis(Retention)} says that there are more.
   *
   * @param pinned asks for the oldest version that a session may still read
   * @return false if only that kept it from dropping more
   */
  synchronized boolean collect(Retention otherwise, long nowMillis, LongSupplier pinned) {
    Retention rule = retention == null ? otherwise : retention;
    long before = oldest;
    long allowed = before;
    while (allowed < log.head().number()
        && allowed - before < COLLECTED_AT_ONCE
        && collectableAtMillis(rule, allowed) <= nowMillis) {
      allowed++;
    }
    oldest = Math.max(before, Math.min(allowed, pinned.getAsLong()));
    // Who entered a view just before could have looked up a version just before.
    oldest = Math.max(before, Math.min(oldest, pinned.getAsLong()));
    for (long v = before; v < oldest; v++) {
      Version version = log.get(v);
      if (version != null) {
        changedPagesKnown += version.pagesChanged().length;
        log.replace(version.collected());
      }
    }
    forget();
    return oldest == allowed;
  }

  private void forget() {
    while (log.first() < oldest
        && (oldest - log.first() > CHANGES_KNOWN || changedPagesKnown > CHANGED_PAGES_KNOWN)) {
      Version version = log.get(log.first());
      changedPagesKnown -= version == null ? 0 : version.pagesChanged().length;
      log.forgetBelow(log.first() + 1);
    }
    commitIds.forgetBelow(Math.min(oldest, log.head().number() - COMMITS_KNOWN + 1));
    Iterator<Long> restored = restores.values().iterator();
    while (restored.hasNext() && restored.next() < commitIds.first()) {
      restored.remove();
    }
  }

  /** When retention stops keeping a version that is below the head, if the head stays. */
  private long collectableAtMillis(Retention rule, long version) {
    if (rule.forever() || log.head().number() - version <= rule.versions()) {
      return Long.MAX_VALUE;
    }
    if (rule.duration().isZero()) {
      return 0; // not when it was followed: commits in one millisecond are dated ahead of the clock
    }
    Version next = log.get(version + 1);
    if (next == null) {
      return Long.MAX_VALUE;
    }
    long millis = millis(rule.duration());
    long at = next.committedAtMillis() + millis;
    return at < millis ? Long.MAX_VALUE : at;
  }

  private static long millis(Duration duration) {
    return duration.compareTo(Duration.ofMillis(Long.MAX_VALUE)) > 0
        ? Long.MAX_VALUE
        : duration.toMillis();
  }

  private static long millis(Instant time) {
    if (time.isBefore(Instant.EPOCH)) {
      return -1;
    }
    return time.isAfter(Instant.ofEpochMilli(Long.MAX_VALUE))
        ? Long.MAX_VALUE
        : time.toEpochMilli();
  }

  /** A version, if it can be looked up. */
  private Version lookUp(long version) {
    if (version >= 0 && version < oldest) {
      throw tooOld(version);
    }
    return readable(version);
  }

  /** A version, if its pages are there. */
  private Version readable(long version) {
    Version head = log.head();
    if (version == head.number()) {
      return head;
    }
    if (version < 0 || version > head.number()) {
      throw noSuchVersion(version);
    }
    Version found = log.get(version);
    if (found == null || found.pages() == null) {
      throw tooOld(version);
    }
    return found;
  }

  private PageTree pages(Version version) {
    PageTree pages = version.pages();
    if (pages == null) {
      throw tooOld(version.number());
    }
    return pages;
  }

  /** A page whose bytes are its own, so that it does not keep a whole message in memory. */
  private static PageImage owned(PageImage page, long version) {
    ByteBuffer data = page.data();
    if (!data.hasRemaining()) {
      return new PageImage(page.number(), version, 0, NO_BYTES);
    }
    boolean isOwn =
        data.hasArray() && data.arrayOffset() == 0 && data.array().length == data.remaining();
    ByteBuffer own = isOwn ? data : ByteBuffer.allocate(data.remaining());
    if (!isOwn) {
      own.put(data.duplicate()).flip();
    }
    return new PageImage(page.number(), version, page.checksum(), own);
  }

  private static void checkPageSize(PageImage page, int pageSize) {
    int bytes = page.data().remaining();
    if (bytes != 0 && bytes != pageSize) {
      throw new StoreException(
          Code.INVALID_REQUEST,
          "page " + page.number() + " has " + bytes + " bytes, not " + pageSize);
    }
  }

  private void checkExists() {
    if (dropped) {
      throw new StoreException(Code.NO_SUCH_DATABASE, name + " was dropped");
    }
  }

  private void checkLease(SessionId session, long epoch) {
    if (!session.equals(lease.holder()) || epoch != lease.epoch()) {
      throw leaseLost(epoch);
    }
  }

  private void checkEpoch(long epoch) {
    checkExists();
    if (lease.holder() == null || epoch != lease.epoch()) {
      throw leaseLost(epoch);
    }
  }

  private StoreException leaseLost(long epoch) {
    return new StoreException(
        Code.LEASE_LOST,
        "the lease of %s with epoch %d is gone; the epoch is now %d"
            .formatted(name, epoch, lease.epoch()));
  }

  private StoreException noSuchVersion(long version) {
    return new StoreException(
        Code.NO_SUCH_VERSION,
        "%s has no version %s; its head is %d"
            .formatted(name, Long.toUnsignedString(version), log.head().number()));
  }

  private StoreException tooOld(long version) {
    return new StoreException(
        Code.SNAPSHOT_TOO_OLD,
        "version %d of %s is no longer kept; the oldest is %d".formatted(version, name, oldest));
  }

  private static StoreException otherPageSize(Stage stage, int pageSize) {
    return new StoreException(
        Code.INVALID_REQUEST,
        "the stage has pages of " + stage.pageSize + " bytes, not " + pageSize);
  }

  private Stage existingStage(SessionId session, StageId stageId) {
    Stage stage = stages.get(new StageKey(session, stageId));
    if (stage == null) {
      throw new StoreException(Code.NO_SUCH_STAGE, "nothing is staged as " + stageId);
    }
    return stage;
  }

  synchronized ByteBuffer readSideFile(String file, long offset, int length) {
    checkExists();
    SideFile found = sideFiles.get(file);
    return found == null ? NO_BYTES.duplicate() : found.read(offset, length);
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

  /** The log, for tests that count what versions share. */
  VersionLog log() {
    return log;
  }

  /** The next version, for which there is room. As long as the monitor is held. */
  private final class Prepared {
    private final Version next;
    private final CommitId commitId;
    private final @Nullable StageKey stage;

    Prepared(Version next, CommitId commitId, @Nullable StageKey stage) {
      this.next = next;
      this.commitId = commitId;
      this.stage = stage;
    }

    void publish() {
      commitIds.add(commitId);
      log.add(next);
      if (stage != null) {
        stages.remove(stage);
      }
    }
  }

  private record StageKey(SessionId session, StageId stage) {}

  private static final class Stage {
    final int pageSize;
    final Map<Long, PageImage> pages = new HashMap<>();

    /** The number of the last one that was applied. */
    long calls;

    Stage(int pageSize) {
      this.pageSize = pageSize;
    }
  }
}
