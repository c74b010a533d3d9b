package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.time.Clock;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/**
 * Commits (P1 to P5). A commit's way: the stage that it names is sealed on the stage thread, then
 * everything is decided on the commit thread. If another commit went before the stage's, its pages
 * are first moved behind that one. Thread-safe.
 */
final class Commits {
  private final Databases databases;
  private final Readers readers;
  private final Versions versions;
  private final Stages stages;
  private final Committer committer;
  private final Clock clock;

  Commits(
      Databases databases,
      Readers readers,
      Versions versions,
      Stages stages,
      Committer committer,
      Clock clock) {
    this.databases = databases;
    this.readers = readers;
    this.versions = versions;
    this.stages = stages;
    this.committer = committer;
    this.clock = clock;
  }

  CompletableFuture<Long> commit(Commit commit) {
    CompletableFuture<DatabaseState> state =
        readers.answer(tier -> databases.get(commit.database(), tier));
    return Futures.then(
        state,
        found -> {
          CompletableFuture<Long> answer = new CompletableFuture<>();
          start(found, commit, answer);
          return answer;
        });
  }

  private void start(DatabaseState state, Commit commit, CompletableFuture<Long> answer) {
    if (commit.baseVersion() < 0) {
      answer.completeExceptionally(
          RocksErrors.invalid(state, "there is no base version " + commit.baseVersion()));
    } else if (commit.baseVersion() + 1 < state.head.version()) {
      // Whatever comes, this can't be the next version any more; was it applied once?
      Futures.pipe(readers.answer(tier -> decided(state, commit, tier)), answer);
    } else if (commit.stage() == null) {
      committer.submit(new Applying(state, commit, null, false, answer));
    } else {
      sealAndSubmit(state, commit, commit.stage(), false, answer);
    }
  }

  private void sealAndSubmit(
      DatabaseState state,
      Commit commit,
      StageId stage,
      boolean restores,
      CompletableFuture<Long> answer) {
    Futures.when(
        stages.seal(state, commit.holder(), stage),
        (kept, failure) -> {
          if (failure != null) {
            answer.completeExceptionally(failure);
          } else {
            committer.submit(new Applying(state, commit, kept.orElse(null), restores, answer));
          }
        });
  }

  /**
   * Applies a commit that restores a version. Its id is found whatever it is based on. Fails with
   * HEAD_MOVED also where a commit's stage would be moved: what differs is not the same any more.
   */
  CompletableFuture<Long> restore(DatabaseState state, Commit commit) {
    CompletableFuture<Long> answer = new CompletableFuture<>();
    if (commit.stage() == null) {
      committer.submit(new Applying(state, commit, null, true, answer));
    } else {
      sealAndSubmit(state, commit, commit.stage(), true, answer);
    }
    return answer;
  }

  /** What one restore, sent twice, must not do twice in a group. */
  record Restored(long database, CommitId commit) {}

  /** The answer to a commit whose base is not the head any more. */
  private long decided(DatabaseState state, Commit commit, Engine.Tier tier)
      throws RocksDBException {
    long version = commit.baseVersion() + 1;
    VersionRecord record = versions.find(state, version, tier);
    if (record == null) {
      throw RocksErrors.outcomeUnknown(state, commit.baseVersion());
    }
    if (record.commit().equals(commit.id())) {
      return version;
    }
    checkLease(state, state.lease, commit);
    throw RocksErrors.headMoved(state, commit.baseVersion(), state.head.version());
  }

  private static void checkLease(DatabaseState state, LeaseState lease, Commit commit) {
    checkLease(state, lease, commit.holder(), commit.epoch());
  }

  /** Fails with LEASE_LOST. */
  static void checkLease(DatabaseState state, LeaseState lease, SessionId holder, long epoch) {
    if (lease.epoch() != epoch || !holder.equals(lease.holder())) {
      throw RocksErrors.leaseLost(state, epoch, lease.epoch());
    }
  }

  /** A commit in line. */
  private final class Applying implements Change {
    private final DatabaseState before;
    private final Commit commit;
    private final @Nullable Stage stage;
    private final boolean restores;
    private final CompletableFuture<Long> answer;

    Applying(
        DatabaseState before,
        Commit commit,
        @Nullable Stage stage,
        boolean restores,
        CompletableFuture<Long> answer) {
      this.before = before;
      this.commit = commit;
      this.stage = stage;
      this.restores = restores;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      long bytes = 0;
      for (PageImage page : commit.pages()) {
        bytes += page.data().remaining();
      }
      return bytes;
    }

    @Override
    public @Nullable Object alone() {
      return restores ? new Restored(before.number, commit.id()) : null;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      VersionRecord head = state.nextHead;
      long version = commit.baseVersion() + 1;
      if (restores) {
        byte[] already = group.get(Keys.restored(state.number, commit.id()));
        if (already != null) {
          return () -> {
            release(false);
            answer.complete(Values.number(already));
          };
        }
      } else if (version < head.version()) {
        return () -> {
          release(false);
          start(state, commit, answer);
        };
      }
      if (!restores && version == head.version() && head.commit().equals(commit.id())) {
        // It may be of this group, hence not durable yet; the answer is given behind the sync.
        return () -> {
          release(false);
          answer.complete(version);
        };
      }
      checkLease(state, state.nextLease, commit);
      if (commit.baseVersion() != head.version()) {
        throw RocksErrors.headMoved(state, commit.baseVersion(), head.version());
      }
      if (commit.stage() != null && stage == null) {
        throw RocksErrors.noSuchStage(state);
      }
      if (stage != null && stage.record.pageSize() != commit.pageSize()) {
        throw RocksErrors.invalid(
            state,
            "a commit of pages of %d bytes, staged as pages of %d"
                .formatted(commit.pageSize(), stage.record.pageSize()));
      }
      if (stage != null && stage.version != version) {
        return () -> restage(state, stage, head);
      }
      checkPages(state, head);
      return apply(group, state, version);
    }

    /** What there is fits, and every page that the base does not have is there. */
    private void checkPages(DatabaseState state, VersionRecord base) {
      if (commit.pageCount() < 0 || commit.pageCount() > PageReader.LAST_PAGE) {
        throw RocksErrors.invalid(state, "a page count of " + commit.pageCount());
      }
      long kept = PageSet.keptOf(base, commit.pageSize());
      PageSet inline = new PageSet();
      for (PageImage page : commit.pages()) {
        Stages.check(state, page, commit.pageSize());
        if (page.number() > commit.pageCount()) {
          throw RocksErrors.invalid(
              state,
              "page %d is above the page count of %d".formatted(page.number(), commit.pageCount()));
        }
        inline.add(page.number());
      }
      for (long page = kept + 1; page <= commit.pageCount(); page++) {
        if (!inline.has(page) && (stage == null || !stage.pages.has(page))) {
          throw RocksErrors.invalid(
              state,
              "page %d is missing in a commit that makes %d pages out of %d"
                  .formatted(page, commit.pageCount(), kept));
        }
      }
    }

    private Runnable apply(Group group, DatabaseState state, long version) throws RocksDBException {
      VersionRecord record =
          new VersionRecord(
              version,
              commit.pageSize(),
              commit.pageCount(),
              Math.max(clock.millis(), state.nextHead.committedAtMillis() + 1),
              commit.id(),
              commit.epoch(),
              stage == null ? Keys.INLINE : stage.attempt,
              pagesChanged(),
              restores);
      long[] changed = new long[commit.pages().size()];
      int count = 0;
      for (PageImage page : commit.pages()) {
        group.putPage(state, version, page);
        changed[count++] = page.number();
      }
      if (count > 0) {
        group.put(
            Keys.changed(state.number, version, Keys.INLINE, 0), Values.pages(changed, count));
      }
      byte[] value = record.bytes();
      group.put(Keys.version(state.number, version), value);
      group.put(Keys.of(Keys.HEAD, state.number), value);
      if (restores) {
        group.put(Keys.restored(state.number, commit.id()), Values.number(version));
      }
      if (stage != null) {
        group.delete(Keys.stage(state.number, version, stage.attempt));
      }
      if (!state.toCollect) {
        group.put(Keys.of(Keys.TO_COLLECT, state.number), new byte[0]);
        state.toCollect = true;
      }
      group.mustBeDurable();
      state.nextHead = record;
      return () -> {
        if (stage != null) {
          // Before the head: who may read this version must not take its pages for staged ones.
          state.remove(stage);
        }
        state.head = record;
        release(true);
        answer.complete(version);
      };
    }

    private long pagesChanged() {
      long count = commit.pages().size();
      if (stage != null) {
        count += stage.pages.countTo(commit.pageCount());
        for (PageImage page : commit.pages()) {
          count -= stage.pages.has(page.number()) ? 1 : 0;
        }
      }
      return count;
    }

    private void restage(DatabaseState state, Stage overtaken, VersionRecord base) {
      Futures.when(
          stages.moveTo(state, overtaken, base),
          (moved, failure) -> {
            if (failure != null) {
              release(false);
              answer.completeExceptionally(failure);
            } else {
              committer.submit(new Applying(state, commit, moved, restores, answer));
            }
          });
    }

    private void release(boolean committed) {
      if (stage != null) {
        stages.unseal(before, stage, committed);
      }
    }

    @Override
    public void fail(StoreException why) {
      release(false);
      answer.completeExceptionally(why);
    }
  }
}
