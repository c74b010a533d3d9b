package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.LeaseState;
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
      committer.submit(new Applying(new CommitPart(state, commit, null, false), answer));
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
            CommitPart part = new CommitPart(state, commit, kept.orElse(null), restores);
            committer.submit(new Applying(part, answer));
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
      committer.submit(new Applying(new CommitPart(state, commit, null, true), answer));
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
    checkLease(state, state.lease, commit.holder(), commit.epoch());
    throw RocksErrors.headMoved(state, commit.baseVersion(), state.head.version());
  }

  /** Fails with LEASE_LOST. */
  static void checkLease(DatabaseState state, LeaseState lease, SessionId holder, long epoch) {
    if (lease.epoch() != epoch || !holder.equals(lease.holder())) {
      throw RocksErrors.leaseLost(state, epoch, lease.epoch());
    }
  }

  /** A commit in line. */
  private final class Applying implements Change {
    private final CommitPart part;
    private final CompletableFuture<Long> answer;

    Applying(CommitPart part, CompletableFuture<Long> answer) {
      this.part = part;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return part.bytes();
    }

    @Override
    public boolean needsRoom() {
      return true;
    }

    @Override
    public @Nullable Object alone() {
      return part.restores ? new Restored(part.before.number, part.commit.id()) : null;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(part.before);
      Commit commit = part.commit;
      VersionRecord head = state.nextHead;
      long version = part.version();
      if (part.restores) {
        byte[] already = group.get(Keys.restored(state.number, commit.id()));
        if (already != null) {
          return () -> {
            part.release(stages, false);
            answer.complete(Values.number(already));
          };
        }
      } else if (version < head.version()) {
        return () -> {
          part.release(stages, false);
          start(state, commit, answer);
        };
      }
      if (!part.restores && version == head.version() && head.commit().equals(commit.id())) {
        // It may be of this group, hence not durable yet; the answer is given behind the sync.
        return () -> {
          part.release(stages, false);
          answer.complete(version);
        };
      }
      part.checkNext(state);
      Stage overtaken = part.overtaken();
      if (overtaken != null) {
        return () -> restage(state, overtaken, head);
      }
      part.checkPages(state);
      Runnable publish = part.write(group, state, clock.millis());
      return () -> {
        publish.run();
        part.release(stages, true);
        answer.complete(version);
      };
    }

    private void restage(DatabaseState state, Stage overtaken, VersionRecord base) {
      Futures.when(
          stages.moveTo(state, overtaken, base),
          (moved, failure) -> {
            if (failure != null) {
              part.release(stages, false);
              answer.completeExceptionally(failure);
            } else {
              committer.submit(new Applying(part.with(moved), answer));
            }
          });
    }

    @Override
    public void fail(StoreException why) {
      part.release(stages, false);
      answer.completeExceptionally(why);
    }
  }
}
