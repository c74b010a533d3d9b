package dev.grpsqlite.server.memory;

import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SideFiles;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreCapabilities;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A {@link PageStore} in the heap: the simplest that keeps P1 and P3 to P6. Nothing survives the
 * process (P2).
 *
 * <p>Each database is a {@link MemoryDatabase}, which does one thing at a time. Every future is
 * complete on return.
 */
public final class MemoryPageStore implements PageStore {
  /** The order of the names' UTF-8 bytes, which is not that of Java's strings. */
  private static final Comparator<String> BY_UTF8_BYTES =
      (a, b) ->
          Arrays.compareUnsigned(
              a.getBytes(StandardCharsets.UTF_8), b.getBytes(StandardCharsets.UTF_8));

  private final SnapshotPins pins;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  /** Changed under its own monitor, so that both maps tell the same. */
  private final ConcurrentSkipListMap<String, MemoryDatabase> byName =
      new ConcurrentSkipListMap<>(BY_UTF8_BYTES);

  private final Map<DatabaseId, MemoryDatabase> byId = new ConcurrentHashMap<>();
  private final SideFiles sideFiles = new MemorySideFiles();
  private volatile boolean closed;

  public MemoryPageStore(SnapshotPins pins, Clock clock) {
    this.pins = pins;
    this.clock = clock;
  }

  @Override
  public StoreCapabilities capabilities() {
    return new StoreCapabilities(false, true, false);
  }

  @Override
  public CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return answer(() -> Optional.ofNullable(byName.get(name)).map(MemoryDatabase::info));
  }

  @Override
  public CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    return answer(
        () -> {
          synchronized (byName) {
            MemoryDatabase database = byName.get(name);
            if (database == null) {
              database = new MemoryDatabase(DatabaseId.random(random), name, pins, clock);
              byName.put(name, database);
              byId.put(database.id(), database);
            }
            return database.info();
          }
        });
  }

  @Override
  public CompletableFuture<DatabaseInfo> info(DatabaseId database) {
    return answer(() -> get(database).info());
  }

  @Override
  public CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    return answer(
        () -> {
          // Names with a prefix lie together in this order, beginning at the prefix itself.
          boolean fromPrefix = BY_UTF8_BYTES.compare(prefix, after) > 0;
          return byName.tailMap(fromPrefix ? prefix : after, fromPrefix).values().stream()
              .takeWhile(database -> database.name().startsWith(prefix))
              .limit(limit)
              .map(MemoryDatabase::info)
              .toList();
        });
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId id) {
    return act(
        () -> {
          synchronized (byName) {
            MemoryDatabase database = get(id);
            byId.remove(id);
            byName.remove(database.name());
            database.drop();
          }
        });
  }

  @Override
  public CompletableFuture<Snapshot> head(DatabaseId database) {
    return answer(() -> get(database).head());
  }

  @Override
  public CompletableFuture<Snapshot> snapshot(DatabaseId database, long version) {
    return answer(() -> get(database).snapshot(version));
  }

  @Override
  public CompletableFuture<Long> mark(DatabaseId database, long version) {
    return answer(() -> get(database).mark(version));
  }

  @Override
  public CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit) {
    return answer(() -> get(database).changes(after, upTo, limit));
  }

  @Override
  public CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages) {
    return answer(() -> get(database).read(version, pages));
  }

  @Override
  public CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages) {
    return answer(() -> get(database).readStaged(session, stage, version, pages));
  }

  @Override
  public CompletableFuture<LeaseState> lease(DatabaseId database) {
    return answer(() -> get(database).lease());
  }

  @Override
  public CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced) {
    return answer(() -> get(database).acquireLease(session, displaced));
  }

  @Override
  public CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch) {
    return act(() -> get(database).releaseLease(session, epoch));
  }

  @Override
  public CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    List<PageImage> own = pages.stream().map(PageImage::copy).toList();
    return act(() -> get(database).stage(session, epoch, stage, call, pageSize, own));
  }

  @Override
  public CompletableFuture<Void> dropStage(DatabaseId id, SessionId session, StageId stage) {
    return act(
        () -> {
          MemoryDatabase database = byId.get(id);
          if (database != null) {
            database.dropStage(session, stage);
          }
        });
  }

  @Override
  public CompletableFuture<Void> dropStages(SessionId session) {
    return act(() -> byId.values().forEach(database -> database.dropStages(session)));
  }

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    return answer(() -> get(commit.database()).commit(commit));
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    return answer(
        () -> {
          CommitGroups.check(commits);
          List<@Nullable MemoryDatabase> databases = new ArrayList<>();
          commits.forEach(commit -> databases.add(byId.get(commit.database())));
          return MemoryDatabase.commitTogether(databases, commits);
        });
  }

  @Override
  public SideFiles sideFiles() {
    return sideFiles;
  }

  @Override
  public void close() {
    closed = true;
    synchronized (byName) {
      byName.clear();
      byId.clear();
    }
  }

  private MemoryDatabase get(DatabaseId id) {
    MemoryDatabase database = byId.get(id);
    if (database == null) {
      throw new StoreException(Code.NO_SUCH_DATABASE, "no database with the id " + id);
    }
    return database;
  }

  private <T> CompletableFuture<T> answer(Supplier<T> work) {
    if (closed) {
      return CompletableFuture.failedFuture(
          new StoreException(Code.STORE_FAILED, "the store is closed"));
    }
    try {
      return CompletableFuture.completedFuture(work.get());
    } catch (StoreException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private CompletableFuture<Void> act(Runnable work) {
    return answer(
            () -> {
              work.run();
              return true;
            })
        .thenAccept(done -> {});
  }

  private final class MemorySideFiles implements SideFiles {
    @Override
    public CompletableFuture<ByteBuffer> read(
        DatabaseId database, String file, long offset, int length) {
      return answer(() -> get(database).readSideFile(file, offset, length));
    }

    @Override
    public CompletableFuture<Void> write(
        DatabaseId database, long epoch, String file, long offset, ByteBuffer data) {
      return act(() -> get(database).writeSideFile(epoch, file, offset, data));
    }

    @Override
    public CompletableFuture<Void> truncate(
        DatabaseId database, long epoch, String file, long size) {
      return act(() -> get(database).truncateSideFile(epoch, file, size));
    }

    @Override
    public CompletableFuture<Long> size(DatabaseId database, String file) {
      return answer(() -> get(database).sideFileSize(file));
    }

    @Override
    public CompletableFuture<Void> delete(DatabaseId database, long epoch, String file) {
      return act(() -> get(database).deleteSideFile(epoch, file));
    }
  }
}
