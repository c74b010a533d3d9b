package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.Transaction;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Pages ahead of a commit, in as many transactions as they need. They are written where they stay,
 * under a number of their stage's own. Thread-safe.
 */
final class Stages {
  /** Lists that are read at once. */
  private static final int LISTS = 100;

  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final long process;
  private final SecureRandom random = new SecureRandom();

  Stages(Transactions transactions, Databases databases, long process) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.process = process;
  }

  /** A stage that a commit can name. Staged pages of a client come behind those of a commit. */
  CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    return stage(
        database, session, epoch, stage, call, pageSize, pages, random.nextLong() | 1L << 63);
  }

  /** Pages that come with a commit that is too large to be one transaction. */
  CompletableFuture<Void> stageInline(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      int pageSize,
      List<PageImage> pages) {
    long attempt = random.nextLong() >>> 1;
    return stage(
        database,
        session,
        epoch,
        stage,
        StageCalls.UNCOUNTED,
        pageSize,
        pages,
        attempt == Keys.INLINE ? 1 : attempt);
  }

  private CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages,
      long attempt) {
    for (PageImage page : pages) {
      if (!fits(page, pageSize)) {
        return CompletableFuture.failedFuture(
            FdbErrors.invalid(
                database,
                "page %d is of %d bytes instead of %d"
                    .formatted(page.number(), page.data().remaining(), pageSize)));
      }
    }
    List<List<PageImage>> chunks = new ArrayList<>(Chunks.of(pages));
    if (chunks.isEmpty()) {
      chunks.add(List.of()); // there is such a stage then
    }
    AtomicInteger next = new AtomicInteger();
    return Futures.whileTrue(
        () ->
            transactions
                .write(
                    transaction ->
                        write(
                            transaction,
                            database,
                            session,
                            epoch,
                            stage,
                            call,
                            next.get() == chunks.size() - 1,
                            pageSize,
                            chunks.get(next.get()),
                            attempt))
                .thenApply(written -> next.incrementAndGet() < chunks.size()));
  }

  static boolean fits(PageImage page, int pageSize) {
    int bytes = page.data().remaining();
    return bytes == 0 || bytes == pageSize;
  }

  /**
   * @param isLast the call has no more pages than these
   */
  private CompletableFuture<Void> write(
      Transaction transaction,
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      boolean isLast,
      int pageSize,
      List<PageImage> pages,
      long attempt) {
    byte[] key = keys.stage(database, session, stage);
    return databases
        .checkLease(transaction, database, session, epoch)
        .thenCombine(
            databases.head(transaction.snapshot(), database), (lease, head) -> head.version() + 1)
        .thenCombine(
            transaction.get(key),
            (version, value) -> {
              StageRecord record =
                  value == null
                      ? new StageRecord(version, attempt, epoch, pageSize, 0, process, 0)
                      : StageRecord.read(value);
              if (call == StageCalls.UNCOUNTED) {
                if (record.process() != process) {
                  throw FdbErrors.noSuchStage(database);
                }
              } else if (!StageCalls.isNext(record.calls(), call)) {
                return null;
              }
              if (record.pageSize() != pageSize) {
                throw FdbErrors.invalid(
                    database,
                    "a page of %d bytes for a stage of pages of %d"
                        .formatted(pageSize, record.pageSize()));
              }
              transaction.set(key, record.withAnotherChunk(isLast ? call : record.calls()).bytes());
              transaction.set(keys.stagedBy(session, database, stage), Values.NOTHING);
              putImages(transaction, database, record.version(), record.attempt(), pages);
              transaction.set(
                  keys.changed(database, record.version(), record.attempt(), record.chunks()),
                  Values.pages(pages));
              return null;
            });
  }

  /** Nobody reads these in a transaction that could conflict. */
  void putImages(
      Transaction transaction,
      DatabaseId database,
      long version,
      long attempt,
      List<PageImage> pages) {
    for (PageImage page : pages) {
      transaction.options().setNextWriteNoWriteConflictRange();
      transaction.set(keys.image(database, page.number(), version, attempt), Values.image(page));
    }
  }

  /** What is staged, with the numbers of all its pages. */
  record Staged(StageId id, StageRecord record, PageSet pages) {}

  /** A stage as it is, if it is there. */
  CompletableFuture<Optional<Staged>> find(DatabaseId database, SessionId session, StageId stage) {
    return transactions
        .read(transaction -> transaction.get(keys.stage(database, session, stage)))
        .thenCompose(
            value -> {
              if (value == null) {
                return Futures.done(Optional.empty());
              }
              StageRecord record = StageRecord.read(value);
              PageSet pages = new PageSet();
              return eachList(
                      database, record, list -> Futures.done(addTo(pages, Values.pages(list))))
                  .thenApply(all -> Optional.of(new Staged(stage, record, pages)));
            });
  }

  private static Void addTo(PageSet pages, long[] more) {
    pages.addAll(more);
    return null;
  }

  /** Does something with one list of a stage's pages. */
  @FunctionalInterface
  interface ForList {
    CompletableFuture<Void> take(byte[] list);
  }

  /** One after the other. */
  private CompletableFuture<Void> eachList(
      DatabaseId database, StageRecord record, ForList action) {
    Range all = keys.changed(database, record.version(), record.attempt());
    return eachList(all.begin, all.end, action);
  }

  private CompletableFuture<Void> eachList(byte[] from, byte[] end, ForList action) {
    return transactions
        .read(transaction -> Databases.list(transaction, from, end, LISTS, false))
        .thenCompose(
            lists -> {
              CompletableFuture<Void> taken = Futures.done();
              for (KeyValue list : lists) {
                taken = taken.thenCompose(done -> action.take(list.getValue()));
              }
              return taken.thenCompose(
                  done ->
                      lists.size() < LISTS
                          ? Futures.done()
                          : eachList(
                              ByteArrayUtil.join(lists.get(lists.size() - 1).getKey(), new byte[1]),
                              end,
                              action));
            });
  }

  /**
   * Stages the same pages anew, behind what is the head now: another commit came before that of the
   * stage.
   */
  CompletableFuture<StageId> copy(
      DatabaseId database, SessionId session, long epoch, StageRecord record, boolean inline) {
    StageId copy = newId();
    return eachList(
            database,
            record,
            list ->
                images(database, record, Values.pages(list))
                    .thenCompose(
                        images ->
                            inline
                                ? stageInline(
                                    database, session, epoch, copy, record.pageSize(), images)
                                : stage(
                                    database,
                                    session,
                                    epoch,
                                    copy,
                                    StageCalls.UNCOUNTED,
                                    record.pageSize(),
                                    images)))
        .thenApply(done -> copy);
  }

  private CompletableFuture<List<PageImage>> images(
      DatabaseId database, StageRecord record, long[] pages) {
    return transactions
        .read(
            transaction -> {
              List<CompletableFuture<Optional<PageImage>>> images = new ArrayList<>();
              for (long page : pages) {
                images.add(
                    transaction
                        .get(keys.image(database, page, record.version(), record.attempt()))
                        .thenApply(
                            value ->
                                Optional.ofNullable(
                                    value == null ? null : Values.image(page, 0, value))));
              }
              return Futures.all(images);
            })
        .thenApply(images -> images.stream().flatMap(Optional::stream).toList());
  }

  CompletableFuture<Void> drop(DatabaseId database, SessionId session, StageId stage) {
    byte[] key = keys.stage(database, session, stage);
    return transactions.write(
        transaction ->
            databases.abandon(
                transaction, database, new Range(key, ByteArrayUtil.join(key, new byte[1]))));
  }

  /** Of a session that has ended. */
  CompletableFuture<Void> drop(SessionId session) {
    return transactions
        .read(transaction -> Databases.list(transaction, keys.stagedBy(session)))
        .thenCompose(
            stages -> {
              CompletableFuture<Void> dropped = Futures.done();
              for (KeyValue each : stages) {
                DatabaseId database = keys.stagedFor(each.getKey());
                StageId stage = keys.stageOfIndex(each.getKey());
                dropped =
                    dropped
                        .thenCompose(done -> drop(database, session, stage))
                        .thenCompose(done -> clear(each.getKey())); // its database may be gone
              }
              return dropped;
            });
  }

  private CompletableFuture<Void> clear(byte[] key) {
    return transactions.write(
        transaction -> {
          transaction.clear(key);
          return Futures.done();
        });
  }

  StageId newId() {
    return new StageId(random.nextLong(), random.nextLong());
  }
}
