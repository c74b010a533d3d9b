package dev.grpsqlite.server.fdb;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Commits of what an old version had. The store does for it what a client does for a large
 * transaction: it stages the pages that differ, some at a time, then commits the stage. If the head
 * moves in between, something else differs, and it begins again. Thread-safe.
 */
final class Restores {
  /** As much as a chunk of a stage. */
  private static final int BYTES_AT_ONCE = 1 << 20;

  /** Only the holder of the lease itself can move the head, so once should do. */
  private static final int ATTEMPTS = 10;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final Versions versions;
  private final PageReader pages;
  private final Stages stages;
  private final Commits commits;
  private final Pins pins;

  Restores(
      Transactions transactions,
      Databases databases,
      Versions versions,
      PageReader pages,
      Stages stages,
      Commits commits,
      Pins pins) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.versions = versions;
    this.pages = pages;
    this.stages = stages;
    this.commits = commits;
    this.pins = pins;
  }

  private record Restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {}

  CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    Restore restore = new Restore(database, holder, epoch, id, version);
    return before(restore)
        .thenCompose(
            done -> {
              if (done.isPresent()) {
                return Futures.done(done.get());
              }
              pins.hold(database, version);
              return attempt(restore, 1)
                  .whenComplete((made, error) -> pins.letGo(database, version));
            });
  }

  /** Looks whether it is done already. Fails with LEASE_LOST if not, and it will not be. */
  private CompletableFuture<Optional<Long>> before(Restore restore) {
    return transactions.read(
        transaction ->
            databases
                .head(transaction, restore.database)
                .thenCompose(head -> transaction.get(keys.restored(restore.database, restore.id)))
                .thenCompose(
                    value ->
                        value != null
                            ? Futures.done(Optional.of(Values.number(value)))
                            : databases
                                .checkLease(
                                    transaction, restore.database, restore.holder, restore.epoch)
                                .thenApply(lease -> Optional.empty())));
  }

  private CompletableFuture<Long> attempt(Restore restore, int count) {
    StageId stage = stages.newId();
    CompletableFuture<Long> result =
        look(restore)
            .thenCompose(
                copying ->
                    Futures.whileTrue(() -> copySome(restore, copying, stage))
                        .thenCompose(copied -> commit(restore, copying, stage)));
    // Of a stage that was committed, nothing is there any more.
    return Futures.after(result, () -> stages.drop(restore.database, restore.holder, stage))
        .exceptionallyCompose(
            error ->
                FdbErrors.cause(error) instanceof StoreException e
                        && e.code() == StoreException.Code.HEAD_MOVED
                        && count < ATTEMPTS
                    ? attempt(restore, count + 1)
                    : CompletableFuture.failedFuture(FdbErrors.of(error)));
  }

  /** What is to be copied. Touched by one step at a time. */
  private static final class Copying {
    final VersionRecord wanted;
    final VersionRecord head;
    final int pageSize;
    final PageSet differing;

    /** Pages up to this one are staged. */
    long done;

    boolean staged;

    Copying(VersionRecord wanted, VersionRecord head, PageSet differing) {
      this.wanted = wanted;
      this.head = head;
      // Nothing was written at a version that has no page size: keep the one there is now.
      this.pageSize = wanted.pageSize() == 0 ? head.pageSize() : wanted.pageSize();
      this.differing = differing;
    }
  }

  private CompletableFuture<Copying> look(Restore restore) {
    return pins.publish(restore.database, restore.version)
        .thenCompose(
            wanted ->
                transactions
                    .read(transaction -> databases.head(transaction, restore.database))
                    .thenCompose(
                        head ->
                            versions
                                .differing(restore.database, wanted, head)
                                .thenApply(pages -> new Copying(wanted, head, pages))));
  }

  /** Says whether there is more to copy. */
  private CompletableFuture<Boolean> copySome(Restore restore, Copying copying, StageId stage) {
    int most = Math.max(1, BYTES_AT_ONCE / Math.max(512, copying.pageSize));
    long[] numbers = copying.differing.above(copying.done, most);
    if (numbers.length == 0) {
      return Futures.done(false);
    }
    long kept = copying.head.kept(copying.pageSize);
    int common = 0;
    while (common < numbers.length && numbers[common] <= kept) {
      common++;
    }
    int inBoth = common;
    return pages
        .read(restore.database, copying.wanted.version(), numbers)
        .thenCombine(
            pages.read(restore.database, copying.head.version(), Arrays.copyOf(numbers, inBoth)),
            (wanted, now) -> {
              List<PageImage> images = new ArrayList<>();
              for (int i = 0; i < numbers.length; i++) {
                if (i >= inBoth || !wanted.get(i).data().equals(now.get(i).data())) {
                  images.add(wanted.get(i));
                }
              }
              return images;
            })
        .thenCompose(
            images -> {
              copying.done = numbers[numbers.length - 1];
              copying.staged |= !images.isEmpty();
              return images.isEmpty()
                  ? Futures.done()
                  : stages.stage(
                      restore.database,
                      restore.holder,
                      restore.epoch,
                      stage,
                      StageCalls.UNCOUNTED,
                      copying.pageSize,
                      images);
            })
        .thenApply(staged -> true);
  }

  private CompletableFuture<Long> commit(Restore restore, Copying copying, StageId stage) {
    return commits.restore(
        new Commit(
            restore.database,
            restore.holder,
            restore.epoch,
            restore.id,
            copying.head.version(),
            copying.pageSize,
            copying.wanted.pageCount(),
            copying.staged ? stage : null,
            List.of()));
  }
}
