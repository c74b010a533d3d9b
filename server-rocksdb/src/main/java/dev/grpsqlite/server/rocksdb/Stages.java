package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.StageRecord;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageCalls;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;
import org.rocksdb.WriteBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Pages ahead of their commits, on a thread of their own: so a transaction of any size holds up
 * nobody's commit, and whether a page comes before or behind the seal of its stage is never in
 * doubt. Thread-safe.
 */
final class Stages {
  private static final Logger log = LoggerFactory.getLogger(Stages.class);

  /** Waiting bytes, which are in the heap. */
  private static final long WAITING_BYTES = 64 << 20;

  /** What reads of a database have to go through. A writer needs one. */
  static final int MOST_OF_A_DATABASE = 256;

  private final Engine engine;
  private final Databases databases;
  private final Readers readers;
  private final Background background;
  private final StagedTables tables;
  private final WriteGuard guard;
  private final PageSets sets;
  private final Engine.PageWriter pageWriter;
  private final AtomicLong waitingBytes = new AtomicLong();
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(task -> new Thread(task, "rocksdb-stage"));

  // The thread's own.
  private final Map<SessionId, Set<Held>> bySession = new HashMap<>();
  private final Map<Stage, List<Runnable>> waitingForSeal = new HashMap<>();
  private final Set<Held> inherited = new HashSet<>();

  /** A stage and where it is listed. */
  private record Held(DatabaseState state, Stage stage) {}

  /**
   * @param mostSetBytes what the sets of the stages' pages may take of the heap together
   */
  Stages(
      Engine engine,
      Databases databases,
      Readers readers,
      Background background,
      StagedTables tables,
      WriteGuard guard,
      long mostSetBytes) {
    this.engine = engine;
    this.databases = databases;
    this.readers = readers;
    this.background = background;
    this.tables = tables;
    this.guard = guard;
    this.sets = new PageSets(engine, mostSetBytes);
    this.pageWriter = engine.new PageWriter();
  }

  static void check(DatabaseState state, PageImage page, int pageSize) {
    int size = page.data().remaining();
    if (page.number() < 1 || page.number() > PageReader.LAST_PAGE) {
      throw RocksErrors.invalid(state, "there is no page " + page.number());
    }
    if (size != 0 && size != pageSize) {
      throw RocksErrors.invalid(
          state,
          "page %d has %d bytes, with a page size of %d".formatted(page.number(), size, pageSize));
    }
  }

  CompletableFuture<Void> stage(
      DatabaseId id,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      boolean bulk,
      List<PageImage> pages) {
    Optional<StoreException> refusal = guard.refusal();
    if (refusal.isPresent()) {
      return CompletableFuture.failedFuture(refusal.get());
    }
    long bytes = PageImage.bytes(pages);
    if (waitingBytes.addAndGet(bytes) > WAITING_BYTES) {
      waitingBytes.addAndGet(-bytes);
      return CompletableFuture.failedFuture(
          RocksErrors.limit("too many bytes are waiting to be staged"));
    }
    long counted = bytes;
    CompletableFuture<Void> answer =
        Futures.then(
            readers.answer(tier -> databases.get(id, tier)),
            state ->
                andThen(
                    () ->
                        write(
                            state,
                            new StageRecord(session, stage, epoch, pageSize, bulk, false),
                            call,
                            pages)));
    Futures.when(answer, (done, failure) -> waitingBytes.addAndGet(-counted));
    return answer;
  }

  /**
   * Writes pages.
   *
   * @return complete when there is room for more
   */
  private CompletableFuture<Void> write(
      DatabaseState before, StageRecord record, long call, List<PageImage> pages)
      throws RocksDBException {
    long[] numbers = pages.stream().mapToLong(PageImage::number).toArray();
    DatabaseState state = before;
    Stage stage = null;
    boolean isNew = false;
    while (stage == null) {
      if (state.stale) {
        state = databases.get(before.id, Tier.DISK);
      }
      LeaseState lease = state.lease;
      if (lease.epoch() != record.epoch() || !record.session().equals(lease.holder())) {
        throw RocksErrors.leaseLost(state, record.epoch(), lease.epoch());
      }
      for (PageImage page : pages) {
        check(state, page, record.pageSize());
      }
      stage = state.stage(record.session(), record.stage());
      if (call != StageCalls.UNCOUNTED
          && !StageCalls.isNext(stage == null ? 0 : stage.calls, call)) {
        return CompletableFuture.completedFuture(null);
      }
      if (stage != null && !stage.sealed) {
        sets.read(stage);
      }
      sets.checkRoom(record.session(), numbers);
      isNew = stage == null;
      if (stage == null) {
        stage = begin(state, record);
      }
    }
    if (stage.sealed) {
      throw RocksErrors.invalid(state, "the stage is being committed");
    }
    if (stage.record.pageSize() != record.pageSize()) {
      throw RocksErrors.invalid(
          state,
          "the stage has pages of %d bytes, not %d"
              .formatted(stage.record.pageSize(), record.pageSize()));
    }
    stage.checkWhole();
    inherited.remove(new Held(state, stage));
    try {
      CompletableFuture<Void> written = write(stage, isNew, pages, numbers);
      stage.calls = Math.max(stage.calls, call);
      return written;
    } catch (RocksDBException | RuntimeException e) {
      stage.failure = RocksErrors.of(e); // what it has is not known
      throw e;
    }
  }

  private CompletableFuture<Void> write(
      Stage stage, boolean isNew, List<PageImage> pages, long[] numbers) throws RocksDBException {
    boolean toTable = false;
    if (stage.record.bulk()) {
      toTable = !hasAny(stage, numbers) && tables.take(stage, pages);
      if (!toTable) {
        tables.complete(stage).join(); // so that the later image is the newer one
        stage.checkWhole();
      }
    }
    try (WriteBatch batch = new WriteBatch()) {
      if (isNew) {
        engine.put(
            batch, Keys.stage(stage.database, stage.version, stage.attempt), stage.record.bytes());
      }
      if (!toTable) {
        for (PageImage page : pages) {
          pageWriter.put(batch, stage.database, stage.version, stage.attempt, page);
        }
      }
      list(batch, stage, numbers);
      engine.writeUnsynced(batch);
    }
    return toTable ? tables.write(stage, pages) : CompletableFuture.completedFuture(null);
  }

  private static boolean hasAny(Stage stage, long[] numbers) {
    for (long page : numbers) {
      if (stage.pages.has(page)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Enters a new stage under the version behind the head. If the head moves between the look at it
   * and the entry, a reader of that version could take the stage's pages for the version's; so look
   * again behind the entry, before there is a page.
   *
   * @return null if this is not the database's object any more
   */
  private @Nullable Stage begin(DatabaseState state, StageRecord record) throws RocksDBException {
    while (true) {
      if (state.stages().size() >= MOST_OF_A_DATABASE) {
        throw RocksErrors.limit(
            "database %s has %d stages; no more are allowed"
                .formatted(state.name, MOST_OF_A_DATABASE));
      }
      long version = state.head.version() + 1;
      Stage stage = new Stage(state.number, version, state.freeAttempt(version), record);
      if (!state.add(stage)) {
        return null;
      }
      if (state.head.version() < version) {
        bySession
            .computeIfAbsent(record.session(), key -> new HashSet<>())
            .add(new Held(state, stage));
        return stage;
      }
      state.remove(stage);
    }
  }

  private void list(WriteBatch batch, Stage stage, long[] numbers) throws RocksDBException {
    sets.add(stage, numbers);
    if (numbers.length > 0) {
      engine.put(
          batch,
          Keys.changed(stage.database, stage.version, stage.attempt, stage.chunks++),
          Values.pages(numbers, numbers.length));
    }
  }

  /**
   * Keeps a stage as it is, for a commit, until {@link #unseal}. If it is sealed by another commit,
   * or the same one sent twice, waits for that one's end.
   *
   * @return empty if there is no such stage
   */
  CompletableFuture<Optional<Stage>> seal(DatabaseState state, SessionId session, StageId id) {
    CompletableFuture<Optional<Stage>> answer = new CompletableFuture<>();
    Futures.when(
        onThread(
            () -> {
              seal(state, session, id, answer);
              return null;
            }),
        (done, failure) -> {
          if (failure != null) {
            answer.completeExceptionally(failure);
          }
        });
    return answer;
  }

  private void seal(
      DatabaseState state,
      SessionId session,
      StageId id,
      CompletableFuture<Optional<Stage>> answer) {
    Stage stage = state.stage(session, id);
    if (stage != null && stage.sealed) {
      waitingForSeal
          .computeIfAbsent(stage, key -> new ArrayList<>())
          .add(() -> seal(state, session, id, answer));
      return;
    }
    if (stage == null) {
      answer.complete(Optional.empty());
      return;
    }
    try {
      sets.read(stage);
    } catch (RocksDBException | StoreException e) {
      answer.completeExceptionally(RocksErrors.of(e));
      return;
    }
    stage.sealed = true;
    inherited.remove(new Held(state, stage));
    CompletableFuture<Void> whole =
        stage.record.bulk() ? tables.complete(stage) : CompletableFuture.completedFuture(null);
    Futures.when(
        whole,
        (done, never) -> {
          StoreException failure = stage.failure;
          if (failure == null) {
            answer.complete(Optional.of(stage));
          } else {
            unseal(state, stage, false);
            answer.completeExceptionally(failure);
          }
        });
  }

  /** Has all that is staged where it can be read. */
  CompletableFuture<Void> settle(DatabaseState state, SessionId session, StageId id) {
    Stage stage = state.stage(session, id);
    return stage == null || !stage.record.bulk()
        ? CompletableFuture.completedFuture(null)
        : Futures.then(andThen(() -> tables.complete(stage)), done -> checked(stage));
  }

  private static CompletableFuture<Void> checked(Stage stage) {
    StoreException failure = stage.failure;
    return failure == null
        ? CompletableFuture.completedFuture(null)
        : CompletableFuture.failedFuture(failure);
  }

  /** Ends what {@link #seal} began. */
  void unseal(DatabaseState state, Stage stage, boolean committed) {
    Future<?> unused =
        onThread(
            () -> {
              stage.sealed = false;
              if (committed) {
                forget(state, stage);
              } else if (stage.unwanted) {
                abandon(state, stage);
              }
              List<Runnable> waiting = waitingForSeal.remove(stage);
              if (waiting != null) {
                waiting.forEach(Runnable::run);
              }
              return null;
            });
  }

  /**
   * Gives a sealed stage's pages to a new one, sealed too, behind another version: commits went
   * before it. Costs as much as staging them again, but needs no client for it.
   */
  CompletableFuture<Stage> moveTo(DatabaseState state, Stage from, VersionRecord base) {
    long version = base.version() + 1;
    return onThread(
        () -> {
          Stage to = new Stage(state.number, version, state.freeAttempt(version), from.record);
          to.sealed = true;
          if (from.unwanted || !state.add(to)) {
            throw RocksErrors.noSuchStage(state);
          }
          if (state.head.version() >= version) { // see begin
            state.remove(to);
            throw RocksErrors.headMoved(state, base.version(), state.head.version());
          }
          bySession
              .computeIfAbsent(to.record.session(), key -> new HashSet<>())
              .add(new Held(state, to));
          try {
            copy(from, to);
          } catch (RocksDBException e) {
            to.sealed = false;
            abandon(state, to);
            throw e;
          }
          sets.move(from, to);
          from.sealed = false;
          abandon(state, from);
          List<Runnable> waiting = waitingForSeal.remove(from);
          if (waiting != null) {
            waitingForSeal.put(to, waiting);
          }
          return to;
        });
  }

  private void copy(Stage from, Stage to) throws RocksDBException {
    try (WriteBatch batch = new WriteBatch()) {
      engine.put(batch, Keys.stage(to.database, to.version, to.attempt), to.record.bytes());
      engine.writeUnsynced(batch);
    }
    for (int chunk = 0; chunk < from.chunks; chunk++) {
      byte[] list =
          engine.get(Keys.changed(from.database, from.version, from.attempt, chunk), Tier.DISK);
      if (list == null) {
        continue;
      }
      try (WriteBatch batch = new WriteBatch();
          RocksIterator images = engine.pageIterator(Tier.DISK)) {
        for (long page : Values.pages(list)) {
          byte[] key = Keys.page(from.database, page, from.version, from.attempt);
          images.seek(key);
          images.status();
          if (images.isValid() && Keys.startsWith(images.key(), key)) {
            engine.putPage(
                batch, Keys.page(to.database, page, to.version, to.attempt), images.value());
          }
        }
        engine.put(batch, Keys.changed(to.database, to.version, to.attempt, to.chunks++), list);
        engine.writeUnsynced(batch);
      }
    }
  }

  CompletableFuture<Void> drop(DatabaseId id, SessionId session, StageId stage) {
    return onThread(
        () -> {
          for (Held held : List.copyOf(bySession.getOrDefault(session, Set.of()))) {
            if (held.state.id.equals(id) && held.stage.is(session, stage)) {
              abandon(held.state, held.stage);
            }
          }
          return null;
        });
  }

  CompletableFuture<Void> drop(SessionId session) {
    return onThread(
        () -> {
          for (Held held : List.copyOf(bySession.getOrDefault(session, Set.of()))) {
            abandon(held.state, held.stage);
          }
          return null;
        });
  }

  /** Drops what was staged under leases that have ended. */
  CompletableFuture<Void> leaseChanged(DatabaseState state) {
    return onThread(
        () -> {
          LeaseState lease = state.lease;
          for (Stage stage : state.stages()) {
            if (!isCurrent(lease, stage.record)) {
              abandon(state, stage);
            }
          }
          return null;
        });
  }

  private static boolean isCurrent(LeaseState lease, StageRecord stage) {
    return lease.epoch() == stage.epoch() && stage.session().equals(lease.holder());
  }

  /** Has something done when nothing is being staged for a database that was dropped. */
  void afterLast(long database, Runnable task) {
    Future<?> unused =
        onThread(
            () -> {
              tables.discard(database);
              bySession.values().stream()
                  .flatMap(Set::stream)
                  .filter(held -> held.state.number == database)
                  .forEach(held -> letGo(held.stage));
              task.run();
              return null;
            });
  }

  /** Of a stage that goes with its database. */
  private void letGo(Stage stage) {
    if (stage.sealed) {
      stage.unwanted = true;
    } else {
      sets.release(stage);
    }
  }

  private void abandon(DatabaseState state, Stage stage) {
    if (stage.sealed) {
      stage.unwanted = true;
    } else if (!stage.abandoned) {
      stage.abandoned = true;
      forget(state, stage);
      if (stage.record.bulk()) {
        tables.discard(stage);
      }
      background.delete(state, stage);
    }
  }

  private void forget(DatabaseState state, Stage stage) {
    sets.release(stage);
    Held held = new Held(state, stage);
    inherited.remove(held);
    Set<Held> ofSession = bySession.get(stage.record.session());
    if (ofSession != null && ofSession.remove(held) && ofSession.isEmpty()) {
      bySession.remove(stage.record.session());
    }
  }

  /**
   * Frees the leases of stages that an earlier run left and that may lack some of their pages: who
   * goes on with one must learn that it is not the whole any more.
   *
   * @param complete what was staged is surely there, if not in bulk
   */
  void endLost(WriteBatch batch, Collection<Long> numbers, boolean complete)
      throws RocksDBException {
    for (long number : numbers) {
      byte[] key = Keys.of(Keys.LEASE, number);
      LeaseState lease = Values.lease(engine.get(key, Tier.DISK));
      byte[] prefix = Keys.of(Keys.STAGE, number);
      try (RocksIterator each = engine.metaScan()) {
        each.seek(prefix);
        for (; each.isValid() && Keys.startsWith(each.key(), prefix); each.next()) {
          StageRecord record = StageRecord.read(each.value());
          if ((record.bulk() || !complete) && !record.abandoned() && isCurrent(lease, record)) {
            engine.put(batch, key, Values.lease(new LeaseState(lease.epoch(), null)));
          }
        }
        each.status();
      }
    }
  }

  /**
   * Takes over what an earlier run left.
   *
   * @param complete what was staged is surely there; else the machine may have lost some
   */
  void takeOver(Collection<Long> numbers, boolean complete) {
    Future<?> unused =
        onThread(
            () -> {
              for (long number : numbers) {
                DatabaseState loaded = databases.load(number, Tier.DISK);
                if (loaded == null) {
                  continue; // dropped
                }
                DatabaseState state = databases.get(loaded.id, Tier.DISK);
                for (Stage stage : state.stages()) {
                  Held held = new Held(state, stage);
                  if (stage.abandoned) {
                    background.delete(state, stage);
                  } else if (complete && isCurrent(state.lease, stage.record)) {
                    bySession
                        .computeIfAbsent(stage.record.session(), key -> new HashSet<>())
                        .add(held);
                    inherited.add(held);
                  } else {
                    abandon(state, stage);
                  }
                }
              }
              return null;
            });
  }

  /** Drops what an earlier run left and nobody has asked for since. */
  void dropInherited() {
    Future<?> unused =
        onThread(
            () -> {
              for (Held held : List.copyOf(inherited)) {
                abandon(held.state, held.stage);
              }
              return null;
            });
  }

  /** Begins something on the thread that ends elsewhere. */
  private CompletableFuture<Void> andThen(Callable<CompletableFuture<Void>> task) {
    CompletableFuture<Void> answer = new CompletableFuture<>();
    Futures.when(
        onThread(
            () -> {
              Futures.pipe(task.call(), answer);
              return null;
            }),
        (begun, failure) -> {
          if (failure != null) {
            answer.completeExceptionally(failure);
          }
        });
    return answer;
  }

  private <T> CompletableFuture<T> onThread(Callable<T> task) {
    CompletableFuture<T> answer = new CompletableFuture<>();
    try {
      thread.execute(
          () -> {
            T value;
            try {
              value = task.call();
            } catch (StoreException e) {
              answer.completeExceptionally(e);
              return;
            } catch (Throwable e) { // the thread's outermost frame: somebody waits for an end
              log.error("staging failed", e);
              answer.completeExceptionally(RocksErrors.of(e));
              return;
            }
            answer.complete(value);
          });
    } catch (RejectedExecutionException e) {
      answer.completeExceptionally(RocksErrors.closed());
    }
    return answer;
  }

  /** Waits for what is under way. */
  void close() {
    thread.shutdown();
    Threads.await(thread);
    tables.close();
  }
}
