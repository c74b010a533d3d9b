package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.rocksdb.RocksDBException;

/**
 * Commits of what an old version had. The store does for it what a client does for a large
 * transaction: it stages the pages that differ, some at a time, then commits the stage. So a
 * restore takes no more memory, and holds up nobody longer, than that. If the head moves in
 * between, something else differs, and it begins again. Thread-safe.
 */
final class Restores {
  /** As much as a message of a client's. */
  private static final int BYTES_AT_ONCE = 1 << 20;

  /** Only the holder of the lease itself can move the head, so once should do. */
  private static final int ATTEMPTS = 10;

  private final Databases databases;
  private final Readers readers;
  private final Versions versions;
  private final PageReader pages;
  private final Stages stages;
  private final Committer committer;
  private final Commits commits;
  private final Holds holds;
  private final SecureRandom random = new SecureRandom();

  Restores(
      Databases databases,
      Readers readers,
      Versions versions,
      PageReader pages,
      Stages stages,
      Committer committer,
      Commits commits,
      Holds holds) {
    this.databases = databases;
    this.readers = readers;
    this.versions = versions;
    this.pages = pages;
    this.stages = stages;
    this.committer = committer;
    this.commits = commits;
    this.holds = holds;
  }

  CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    return Futures.then(
        readers.answer(tier -> databases.get(database, tier)),
        state -> {
          CompletableFuture<Long> answer = new CompletableFuture<>();
          committer.submit(
              new Begin(state, new Restore(database, holder, epoch, id, version), answer));
          return answer;
        });
  }

  private record Restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {}

  /** Looks whether it is done already, in turn: then what made it so is published too. */
  private final class Begin implements Change {
    private final DatabaseState before;
    private final Restore restore;
    private final CompletableFuture<Long> answer;

    Begin(DatabaseState before, Restore restore, CompletableFuture<Long> answer) {
      this.before = before;
      this.restore = restore;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Object alone() {
      return new Commits.Restored(before.number, restore.id);
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      byte[] already = group.get(Keys.restored(state.number, restore.id));
      if (already != null) {
        return () -> answer.complete(Values.number(already));
      }
      Commits.checkLease(state, state.nextLease, restore.holder, restore.epoch);
      return () -> hold(restore, answer);
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }

  private void hold(Restore restore, CompletableFuture<Long> answer) {
    holds.add(restore.database, restore.version);
    CompletableFuture<Long> result = attempt(restore, 1);
    Futures.when(
        result,
        (version, failure) -> {
          holds.remove(restore.database, restore.version);
          Futures.pipe(result, answer);
        });
  }

  private CompletableFuture<Long> attempt(Restore restore, int count) {
    StageId stage = new StageId(random.nextLong(), random.nextLong());
    CompletableFuture<Long> result = new CompletableFuture<>();
    Futures.when(
        readers.answerFromDisk(tier -> look(restore, tier)),
        (copying, failure) -> {
          if (failure != null) {
            result.completeExceptionally(failure);
          } else {
            copy(restore, copying, stage, result);
          }
        });
    CompletableFuture<Long> answer = new CompletableFuture<>();
    Futures.when(
        result,
        (version, failure) -> {
          // Whatever came of it; a stage that was committed is not there any more.
          Futures.when(
              stages.drop(restore.database, restore.holder, stage),
              (dropped, problem) -> {
                boolean again =
                    failure instanceof StoreException e
                        && e.code() == StoreException.Code.HEAD_MOVED
                        && count < ATTEMPTS;
                Futures.pipe(again ? attempt(restore, count + 1) : result, answer);
              });
        });
    return answer;
  }

  /** What is to be copied. Its variables are touched by one step at a time. */
  private static final class Copying {
    final VersionRecord wanted;
    final VersionRecord head;
    final int pageSize;
    final PageSet differing;

    /** Pages up to this one are staged. */
    long done;

    boolean staged;
    boolean atEnd;

    Copying(VersionRecord wanted, VersionRecord head, PageSet differing) {
      this.wanted = wanted;
      this.head = head;
      // Nothing was written at a version that has no page size: keep the one there is now.
      this.pageSize = wanted.pageSize() == 0 ? head.pageSize() : wanted.pageSize();
      this.differing = differing;
    }
  }

  private Copying look(Restore restore, Tier tier) throws RocksDBException {
    DatabaseState state = databases.get(restore.database, tier);
    VersionRecord head = state.head;
    VersionRecord wanted = versions.readable(state, restore.version, tier);
    return new Copying(wanted, head, versions.differing(state, wanted, head, tier));
  }

  /** Takes a step, and then, on another thread, the next one: there may be many thousands. */
  private void copy(
      Restore restore, Copying copying, StageId stage, CompletableFuture<Long> result) {
    Futures.when(
        readers.answerFromDisk(tier -> next(restore, copying, tier)),
        (images, failure) -> {
          if (failure != null) {
            result.completeExceptionally(failure);
          } else if (images.isEmpty() && copying.atEnd) {
            Futures.pipe(commit(restore, copying, stage), result);
          } else {
            Futures.when(
                stage(restore, copying, stage, images),
                (done, problem) -> {
                  if (problem != null) {
                    result.completeExceptionally(problem);
                  } else {
                    copy(restore, copying, stage, result);
                  }
                });
          }
        });
  }

  private CompletableFuture<Void> stage(
      Restore restore, Copying copying, StageId stage, List<PageImage> images) {
    if (images.isEmpty()) {
      return CompletableFuture.completedFuture(null);
    }
    copying.staged = true;
    return stages.stage(
        restore.database,
        restore.holder,
        restore.epoch,
        stage,
        StageCalls.UNCOUNTED,
        copying.pageSize,
        false,
        images);
  }

  /** Some of the pages that are to be staged, perhaps none of those looked at. */
  private List<PageImage> next(Restore restore, Copying copying, Tier tier)
      throws RocksDBException {
    int most = Math.max(1, BYTES_AT_ONCE / Math.max(512, copying.pageSize));
    long[] numbers = copying.differing.above(copying.done, most);
    if (numbers.length == 0) {
      copying.atEnd = true;
      return List.of();
    }
    long kept = copying.head.kept(copying.pageSize);
    int common = 0;
    while (common < numbers.length && numbers[common] <= kept) {
      common++;
    }
    List<PageImage> wanted = pages.read(restore.database, copying.wanted.version(), numbers, tier);
    List<PageImage> now =
        pages.read(restore.database, copying.head.version(), Arrays.copyOf(numbers, common), tier);
    List<PageImage> images = new ArrayList<>();
    for (int i = 0; i < numbers.length; i++) {
      if (i >= common || !wanted.get(i).data().equals(now.get(i).data())) {
        images.add(wanted.get(i));
      }
    }
    copying.done = numbers[numbers.length - 1];
    return images;
  }

  private CompletableFuture<Long> commit(Restore restore, Copying copying, StageId stage) {
    return Futures.then(
        readers.answer(tier -> databases.get(restore.database, tier)),
        state ->
            commits.restore(
                state,
                new Commit(
                    restore.database,
                    restore.holder,
                    restore.epoch,
                    restore.id,
                    copying.head.version(),
                    copying.pageSize,
                    copying.wanted.pageCount(),
                    copying.staged ? stage : null,
                    List.of())));
  }
}
