package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.PageImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/**
 * What is staged in bulk, in tables of RocksDB's format that are written beside it, in the order of
 * the pages, and become a part of it when they are complete. So each byte is written once, where
 * otherwise it goes to the log, to a buffer, from there to a table, and perhaps to another one.
 *
 * <p>A table begins where a run of pages does, and each message that goes on where it ends is added
 * to it. When the run seems to be over, or the table is large enough, it is completed, so that
 * little is left to do when the stage is. Completing a table waits for the disk, and so is done by
 * a thread of its own, one after the other; writing them takes a processor for longer than all else
 * that is done with a message, and so is done by several. Before a table becomes RocksDB's, the log
 * is synced, with the record of its stage and the list of its pages: whatever is lost, nobody takes
 * the table's images for committed ones, and they are found to be deleted. A table that is not
 * complete when the process ends is lost.
 *
 * <p>The stage thread's own, but for what it waits for.
 */
final class StagedTables {
  /** As large as those that RocksDB makes. */
  static final long TABLE_BYTES = 64 << 20;

  /** A run that begins with less is not worth a table. */
  static final long LEAST_RUN_BYTES = 256 << 10;

  /** Each has a descriptor, and in memory its index and filter, and a megabyte not yet written. */
  private static final int MOST_OPEN = 16;

  /** After so many messages of its stage that went elsewhere, a run is over. */
  private static final int MOST_ELSEWHERE = 16;

  /** Threads that write tables, each one those that it began. */
  private static final int WRITERS = 2;

  /** Complete but for the disk: who writes faster than that waits. */
  private static final int MOST_WAITING = 4;

  private final Engine engine;
  private final Path folder;
  private final List<Table> open = new ArrayList<>(); // the longest unused first
  private final Deque<CompletableFuture<Void>> waiting = new ArrayDeque<>();
  private final List<ExecutorService> writers =
      IntStream.rangeClosed(1, WRITERS).mapToObj(i -> thread("rocksdb-table-" + i)).toList();
  private final ExecutorService finisher = thread("rocksdb-table");
  private long made;

  private static final class Table {
    final Stage stage;
    final Engine.TableWriter writer;
    final ExecutorService thread;
    long lastPage;
    long bytes;
    int elsewhere; // messages of its stage, since the last one for this table

    /** All pages that it was given are in it, or its stage has failed. Never fails itself. */
    CompletableFuture<Void> written = CompletableFuture.completedFuture(null);

    Table(Stage stage, Engine.TableWriter writer, ExecutorService thread) {
      this.stage = stage;
      this.writer = writer;
      this.thread = thread;
    }
  }

  private interface Task {
    void run() throws RocksDBException;
  }

  private static ExecutorService thread(String name) {
    return Executors.newSingleThreadExecutor(task -> new Thread(task, name));
  }

  /** Makes the folder that tables are written in, or empties it. */
  StagedTables(Engine engine, Path folder) throws IOException {
    this.engine = engine;
    this.folder = folder;
    Files.createDirectories(folder);
    try (Stream<Path> left = Files.list(folder)) {
      for (Path file : left.toList()) {
        Files.delete(file);
      }
    }
  }

  /** Whether pages that the stage does not have yet go to a table. */
  boolean take(Stage stage, List<PageImage> pages) {
    if (pages.isEmpty()) {
      return false;
    }
    long before = pages.get(0).number() - 1;
    for (PageImage page : pages) {
      if (page.number() <= before) {
        return false;
      }
      before = page.number();
    }
    return next(stage, pages) != null || PageImage.bytes(pages) >= LEAST_RUN_BYTES;
  }

  private @Nullable Table next(Stage stage, List<PageImage> pages) {
    for (Table table : open) {
      if (table.stage == stage && table.lastPage + 1 == pages.get(0).number()) {
        return table;
      }
    }
    return null;
  }

  /**
   * Adds pages that {@link #take} says yes to, and whose list is written. If that fails, the stage
   * has failed.
   *
   * @return complete when they are added, and more can be taken
   */
  CompletableFuture<Void> write(Stage stage, List<PageImage> pages) throws RocksDBException {
    Table table = next(stage, pages);
    if (table == null) {
      if (open.size() >= MOST_OPEN) {
        complete(open.get(0));
      }
      ExecutorService thread = writers.get((int) (made % WRITERS));
      Path file = folder.resolve(made++ + ".sst");
      table = new Table(stage, engine.new TableWriter(file, Shrinking.isWorthIt(pages)), thread);
    }
    open.remove(table);
    for (Table other : List.copyOf(open)) {
      if (other.stage == stage && ++other.elsewhere >= MOST_ELSEWHERE) {
        complete(other);
      }
    }
    table.elsewhere = 0;
    open.add(table);
    table.lastPage = pages.get(pages.size() - 1).number();
    table.bytes += PageImage.bytes(pages);
    Engine.TableWriter writer = table.writer;
    CompletableFuture<Void> written = later(table.thread, () -> put(stage, writer, pages));
    table.written = written.exceptionally(failure -> null);
    if (table.bytes >= TABLE_BYTES) {
      complete(table);
    }
    while (!waiting.isEmpty() && waiting.peek().isDone()) {
      waiting.remove();
    }
    if (waiting.size() < MOST_WAITING) {
      return written;
    }
    CompletableFuture<Void> room = waiting.element();
    return Futures.then(written, done -> room);
  }

  private static void put(Stage stage, Engine.TableWriter writer, List<PageImage> pages)
      throws RocksDBException {
    stage.checkWhole();
    try {
      for (PageImage page : pages) {
        writer.put(stage.database, stage.version, stage.attempt, page);
      }
    } catch (RocksDBException | RuntimeException e) {
      stage.failure = RocksErrors.of(e); // what it has is not known
      throw e;
    }
  }

  /** Gives a table to RocksDB. If that fails, the stage has failed. */
  private void complete(Table table) {
    open.remove(table);
    waiting.add(Futures.then(table.written, done -> later(finisher, () -> finish(table))));
  }

  /** Never fails. */
  private void finish(Table table) {
    Stage stage = table.stage;
    try (Engine.TableWriter writer = table.writer) {
      if (stage.failure == null) {
        writer.finish();
        engine.syncLog();
        engine.ingest(writer);
      }
    } catch (RocksDBException | RuntimeException e) {
      stage.failure = RocksErrors.of(e);
    }
  }

  /** Completes the tables of a stage. Its failure is looked for afterwards. */
  CompletableFuture<Void> complete(Stage stage) {
    List.copyOf(open).stream().filter(table -> table.stage == stage).forEach(this::complete);
    return settled();
  }

  /** Throws away the tables that are not complete; when it returns, no other will be. */
  void discard(Stage stage) {
    discard(List.copyOf(open).stream().filter(table -> table.stage == stage).toList());
  }

  void discard(long database) {
    discard(List.copyOf(open).stream().filter(table -> table.stage.database == database).toList());
  }

  private void discard(List<Table> tables) {
    open.removeAll(tables);
    for (Table table : tables) {
      table.written.join();
      table.writer.close();
    }
    settled().join();
  }

  /** Complete when all tables are that are being completed. */
  private CompletableFuture<Void> settled() {
    return CompletableFuture.allOf(waiting.toArray(CompletableFuture[]::new));
  }

  private static CompletableFuture<Void> later(ExecutorService thread, Task task) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    thread.execute(
        () -> {
          try {
            task.run();
            done.complete(null);
          } catch (Throwable e) { // the thread's outermost frame: somebody waits for an end
            done.completeExceptionally(RocksErrors.of(e));
          }
        });
    return done;
  }

  /** Throws away what is not complete, when the stage thread has ended. */
  void close() {
    discard(List.copyOf(open));
    for (ExecutorService each : writers) {
      each.shutdown();
      Threads.await(each);
    }
    finisher.shutdown();
    Threads.await(finisher);
  }
}
