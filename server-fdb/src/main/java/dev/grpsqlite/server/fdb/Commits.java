package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.fdb.Stages.Staged;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitGroups.Earlier;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.io.Serial;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Commits (P1 to P5). What was staged is looked up first, then one small transaction decides and
 * applies. If what was looked up has changed by then, that is done again. Thread-safe.
 */
final class Commits {
  /** A stage changes under its commit only if its client sends both at once. */
  private static final int ATTEMPTS = 10;

  private final Transactions transactions;
  private final Keys keys;
  private final Stages stages;
  private final Clock clock;

  Commits(Transactions transactions, Databases databases, Stages stages, Clock clock) {
    this.transactions = transactions;
    this.keys = databases.keys;
    this.stages = stages;
    this.clock = clock;
  }

  /** What was looked up has changed. */
  private static final class Changed extends RuntimeException {
    @Serial private static final long serialVersionUID = 1L;
  }

  /**
   * A commit with what it consists of.
   *
   * @param inline the pages that the last transaction writes
   * @param staged in the order of their precedence
   * @param hasStage whether the stage that it names was found, if it names one
   */
  private record Part(
      Commit commit, List<PageImage> inline, List<Staged> staged, boolean hasStage) {
    long version() {
      return commit.baseVersion() + 1;
    }

    DatabaseId database() {
      return commit.database();
    }

    boolean has(long page) {
      for (Staged each : staged) {
        if (each.pages().has(page)) {
          return true;
        }
      }
      return false;
    }
  }

  CompletableFuture<Long> commit(Commit commit) {
    return apply(List.of(commit), Kind.SINGLE).thenApply(versions -> versions.get(0));
  }

  /** Its id is found whatever it is based on. */
  CompletableFuture<Long> restore(Commit commit) {
    return apply(List.of(commit), Kind.RESTORE).thenApply(versions -> versions.get(0));
  }

  CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    try {
      CommitGroups.check(commits);
    } catch (StoreException e) {
      return CompletableFuture.failedFuture(e);
    }
    return apply(commits, Kind.GROUP);
  }

  private enum Kind {
    SINGLE,
    GROUP,
    RESTORE
  }

  private CompletableFuture<List<Long>> apply(List<Commit> commits, Kind kind) {
    for (Commit commit : commits) {
      if (commit.baseVersion() < 0) {
        return CompletableFuture.failedFuture(
            FdbErrors.invalid(
                commit.database(), "there is no base version " + commit.baseVersion()));
      }
    }
    List<Commit> large = Chunks.tooLarge(commits);
    @Nullable StageId[] own = new StageId[commits.size()];
    CompletableFuture<Void> staged = Futures.done();
    for (int i = 0; i < commits.size(); i++) {
      Commit commit = commits.get(i);
      if (large.contains(commit)) {
        StageId stage = stages.newId();
        own[i] = stage;
        staged = staged.thenCompose(done -> stageOwn(commit, stage));
      }
    }
    CompletableFuture<List<Long>> answer =
        staged.thenCompose(done -> attempt(commits, kind, own, new StageId[commits.size()], 1));
    if (large.isEmpty()) {
      return answer;
    }
    // Whatever came of it; what was committed is not there any more.
    return Futures.after(answer, () -> dropOwn(commits, own));
  }

  /** The decision is the last transaction's, also if the lease is known to be lost already. */
  private CompletableFuture<Void> stageOwn(Commit commit, StageId stage) {
    return stages
        .stageInline(
            commit.database(),
            commit.holder(),
            commit.epoch(),
            stage,
            commit.pageSize(),
            commit.pages())
        .exceptionally(
            error -> {
              if (FdbErrors.cause(error) instanceof StoreException e
                  && (e.code() == Code.LEASE_LOST || e.code() == Code.NO_SUCH_DATABASE)) {
                return null;
              }
              throw FdbErrors.of(error);
            });
  }

  private CompletableFuture<Void> dropOwn(List<Commit> commits, @Nullable StageId[] own) {
    List<CompletableFuture<Void>> dropped = new ArrayList<>();
    for (int i = 0; i < commits.size(); i++) {
      Commit commit = commits.get(i);
      StageId stage = own[i];
      if (stage != null) {
        dropped.add(stages.drop(commit.database(), commit.holder(), stage));
      }
    }
    return CompletableFuture.allOf(dropped.toArray(new CompletableFuture<?>[0]));
  }

  /**
   * @param own of each commit, where its own pages are staged, if they are
   * @param instead of a commit's stage, one with the same pages
   */
  private CompletableFuture<List<Long>> attempt(
      List<Commit> commits,
      Kind kind,
      @Nullable StageId[] own,
      @Nullable StageId[] instead,
      int count) {
    List<CompletableFuture<Part>> parts = new ArrayList<>();
    for (int i = 0; i < commits.size(); i++) {
      Commit commit = commits.get(i);
      StageId named = instead[i] == null ? commit.stage() : instead[i];
      parts.add(part(commit, named, own[i]));
    }
    return Futures.all(parts)
        .thenCompose(
            all ->
                transactions
                    .write(transaction -> apply(transaction, all, kind))
                    .exceptionallyCompose(
                        error -> {
                          if (!(FdbErrors.cause(error).getCause() instanceof Changed)
                              || count == ATTEMPTS) {
                            return CompletableFuture.failedFuture(error);
                          }
                          return moveOvertaken(all, own, instead)
                              .thenCompose(
                                  moved -> attempt(commits, kind, own, instead, count + 1));
                        }));
  }

  private CompletableFuture<Part> part(
      Commit commit, @Nullable StageId named, @Nullable StageId own) {
    CompletableFuture<Optional<Staged>> inline =
        own == null
            ? Futures.done(Optional.empty())
            : stages.find(commit.database(), commit.holder(), own);
    CompletableFuture<Optional<Staged>> staged =
        named == null
            ? Futures.done(Optional.empty())
            : stages.find(commit.database(), commit.holder(), named);
    return inline.thenCombine(
        staged,
        (first, second) -> {
          List<Staged> both = new ArrayList<>();
          first.ifPresent(both::add);
          second.ifPresent(both::add);
          return new Part(
              commit,
              own == null ? commit.pages() : List.of(),
              both,
              (named == null || second.isPresent()) && (own == null || first.isPresent()));
        });
  }

  /** Copies what is staged under another version than its commit makes. */
  private CompletableFuture<Void> moveOvertaken(
      List<Part> parts, @Nullable StageId[] own, @Nullable StageId[] instead) {
    CompletableFuture<Void> moved = Futures.done();
    for (int i = 0; i < parts.size(); i++) {
      Part part = parts.get(i);
      int which = i;
      for (Staged staged : part.staged) {
        if (staged.record().version() != part.version()) {
          boolean isOwn = staged.id().equals(own[which]);
          moved =
              moved
                  .thenCompose(
                      done ->
                          stages.copy(
                              part.database(),
                              part.commit.holder(),
                              part.commit.epoch(),
                              staged.record(),
                              isOwn))
                  .thenCompose(
                      copy -> {
                        (isOwn ? own : instead)[which] = copy;
                        return stages.drop(part.database(), part.commit.holder(), staged.id());
                      });
        }
      }
    }
    return moved;
  }

  // ---- The transaction

  /**
   * What there is of a database and its commit.
   *
   * @param head null if there is no such database
   * @param next the version that the commit makes, if there is one already
   */
  private record Found(
      Part part,
      @Nullable VersionRecord head,
      @Nullable LeaseState lease,
      @Nullable VersionRecord next,
      List<Optional<StageRecord>> stages,
      Optional<Long> restored) {

    Earlier earlier() {
      if (head == null) {
        return Earlier.NO_DATABASE;
      }
      if (part.version() > head.version()) {
        return Earlier.NOT_APPLIED;
      }
      if (next == null) {
        return Earlier.FORGOTTEN;
      }
      return next.commit().equals(part.commit.id()) ? Earlier.APPLIED : Earlier.NOT_APPLIED;
    }
  }

  private CompletableFuture<List<Long>> apply(
      Transaction transaction, List<Part> parts, Kind kind) {
    return Futures.all(parts.stream().map(part -> find(transaction, part, kind)).toList())
        .thenApply(
            all -> {
              Optional<List<Long>> before = before(all, kind);
              if (before.isPresent()) {
                return before.get();
              }
              List<VersionRecord> bases = new ArrayList<>();
              for (Found found : all) {
                bases.add(checkNext(found));
              }
              for (int i = 0; i < all.size(); i++) {
                checkPages(all.get(i).part, bases.get(i));
              }
              // Nothing is refused from here on.
              long now = clock.millis();
              for (int i = 0; i < all.size(); i++) {
                write(transaction, all.get(i).part, bases.get(i), now, kind);
              }
              return parts.stream().map(Part::version).toList();
            });
  }

  /** Head and lease alone, and the stage, which is nobody else's, are what it conflicts over. */
  private CompletableFuture<Found> find(Transaction transaction, Part part, Kind kind) {
    DatabaseId database = part.database();
    CompletableFuture<byte[]> head = transaction.get(keys.head(database));
    CompletableFuture<byte[]> lease = transaction.get(keys.lease(database));
    CompletableFuture<byte[]> next =
        transaction.snapshot().get(keys.version(database, part.version()));
    CompletableFuture<byte[]> restored =
        kind == Kind.RESTORE
            ? transaction.get(keys.restored(database, part.commit.id()))
            : Futures.nothing();
    List<CompletableFuture<Optional<StageRecord>>> found = new ArrayList<>();
    for (Staged staged : part.staged) {
      found.add(
          transaction
              .get(keys.stage(database, part.commit.holder(), staged.id()))
              .thenApply(
                  value -> Optional.ofNullable(value == null ? null : StageRecord.read(value))));
    }
    return Futures.all(found)
        .thenCombine(
            CompletableFuture.allOf(head, lease, next, restored),
            (records, all) -> {
              byte[] newest = head.join();
              byte[] held = lease.join();
              byte[] after = next.join();
              byte[] already = restored.join();
              return new Found(
                  part,
                  newest == null ? null : VersionRecord.read(newest),
                  held == null ? null : Values.lease(held),
                  after == null ? null : VersionRecord.read(after),
                  records,
                  Optional.ofNullable(already == null ? null : Values.number(already)));
            });
  }

  /** The answer, if the same was sent before; also if an attempt before this one was applied. */
  private Optional<List<Long>> before(List<Found> all, Kind kind) {
    List<Earlier> earlier = all.stream().map(Found::earlier).toList();
    Found first = all.get(0);
    switch (kind) {
      case GROUP -> {
        if (CommitGroups.wasApplied(earlier)) {
          return Optional.of(all.stream().map(found -> found.part.version()).toList());
        }
      }
      case RESTORE -> {
        if (first.restored.isPresent()) {
          return Optional.of(List.of(first.restored.get()));
        }
      }
      case SINGLE -> {
        if (earlier.get(0) == Earlier.APPLIED) {
          return Optional.of(List.of(first.part.version()));
        }
        if (earlier.get(0) == Earlier.FORGOTTEN) {
          throw FdbErrors.outcomeUnknown(first.part.database(), first.part.commit.baseVersion());
        }
      }
    }
    return Optional.empty();
  }

  /** Fails if this can't be what comes next (P3, P4). */
  private static VersionRecord checkNext(Found found) {
    Part part = found.part;
    Commit commit = part.commit;
    VersionRecord head = found.head;
    LeaseState lease = found.lease;
    if (head == null || lease == null) {
      throw FdbErrors.noSuchDatabase(part.database());
    }
    if (lease.epoch() != commit.epoch() || !commit.holder().equals(lease.holder())) {
      throw FdbErrors.leaseLost(part.database(), commit.epoch(), lease.epoch());
    }
    if (commit.baseVersion() != head.version()) {
      throw FdbErrors.headMoved(part.database(), commit.baseVersion(), head.version());
    }
    if (!part.hasStage) {
      throw FdbErrors.noSuchStage(part.database());
    }
    for (int i = 0; i < part.staged.size(); i++) {
      StageRecord planned = part.staged.get(i).record();
      Optional<StageRecord> now = found.stages.get(i);
      if (now.isEmpty()) {
        throw FdbErrors.noSuchStage(part.database());
      }
      if (planned.pageSize() != commit.pageSize()) {
        throw FdbErrors.invalid(
            part.database(),
            "a commit of pages of %d bytes, staged as pages of %d"
                .formatted(commit.pageSize(), planned.pageSize()));
      }
      if (!planned.equals(now.get()) || planned.version() != part.version()) {
        throw new Changed();
      }
    }
    return head;
  }

  /** What there is fits, and every page that the base does not have is there. */
  private static void checkPages(Part part, VersionRecord base) {
    Commit commit = part.commit;
    DatabaseId database = part.database();
    if (commit.pageCount() < 0 || commit.pageCount() > Versions.LAST_PAGE) {
      throw FdbErrors.invalid(database, "a page count of " + commit.pageCount());
    }
    PageSet inline = new PageSet();
    for (PageImage page : commit.pages()) {
      if (!Stages.fits(page, commit.pageSize())) {
        throw FdbErrors.invalid(
            database,
            "page %d is of %d bytes instead of %d"
                .formatted(page.number(), page.data().remaining(), commit.pageSize()));
      }
      if (page.number() > commit.pageCount()) {
        throw FdbErrors.invalid(
            database,
            "page %d is above the page count of %d".formatted(page.number(), commit.pageCount()));
      }
      inline.add(page.number());
    }
    long kept = base.kept(commit.pageSize());
    for (long page = kept + 1; page <= commit.pageCount(); page++) {
      if (!inline.has(page) && !part.has(page)) {
        throw FdbErrors.invalid(
            database,
            "page %d is missing in a commit that makes %d pages out of %d"
                .formatted(page, commit.pageCount(), kept));
      }
    }
  }

  private void write(
      Transaction transaction, Part part, VersionRecord base, long nowMillis, Kind kind) {
    Commit commit = part.commit;
    DatabaseId database = part.database();
    long version = part.version();
    List<Long> attempts = part.staged.stream().map(staged -> staged.record().attempt()).toList();
    VersionRecord record =
        new VersionRecord(
            version,
            commit.pageSize(),
            commit.pageCount(),
            Math.max(nowMillis, base.committedAtMillis() + 1),
            commit.id(),
            attempts,
            pagesChanged(part));
    stages.putImages(transaction, database, version, Keys.INLINE, part.inline);
    int lists = 0;
    for (List<PageImage> chunk : Chunks.of(part.inline)) {
      transaction.set(keys.changed(database, version, Keys.INLINE, lists++), Values.pages(chunk));
    }
    byte[] value = record.bytes();
    transaction.set(keys.version(database, version), value);
    transaction.set(keys.head(database), value);
    if (kind == Kind.RESTORE) {
      transaction.set(keys.restored(database, commit.id()), Values.number(version));
    }
    if (!attempts.isEmpty()) {
      transaction.set(keys.attempts(database, version), Values.numbers(attempts));
    }
    for (Staged staged : part.staged) {
      transaction.clear(keys.stage(database, commit.holder(), staged.id()));
      transaction.clear(keys.stagedBy(commit.holder(), database, staged.id()));
    }
    transaction.options().setNextWriteNoWriteConflictRange();
    transaction.set(keys.todo(database), Values.NOTHING);
  }

  private static long pagesChanged(Part part) {
    if (part.staged.isEmpty()) {
      return part.inline.size();
    }
    PageSet all = new PageSet();
    part.inline.forEach(page -> all.add(page.number()));
    for (Staged staged : part.staged) {
      long[] some = staged.pages().above(0, Chunks.CHUNK_PAGES);
      while (some.length > 0) {
        all.addAll(some);
        some = staged.pages().above(some[some.length - 1], Chunks.CHUNK_PAGES);
      }
    }
    return all.countTo(part.commit.pageCount());
  }
}
