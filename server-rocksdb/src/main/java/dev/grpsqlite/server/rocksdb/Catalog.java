package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Attempt;
import dev.grpsqlite.server.rocksdb.Values.Created;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.ForkPoint;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/** Which databases there are. Thread-safe. */
final class Catalog {
  /** How many databases a read goes through for a page that none of the later ones has. */
  static final int MOST_ORIGINS = 100;

  private final Engine engine;
  private final Databases databases;
  private final Readers readers;
  private final Committer committer;
  private final Stages stages;
  private final Versions versions;
  private final Dropped dropped;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  Catalog(
      Engine engine,
      Databases databases,
      Readers readers,
      Committer committer,
      Stages stages,
      Versions versions,
      Dropped dropped,
      Clock clock) {
    this.engine = engine;
    this.databases = databases;
    this.readers = readers;
    this.committer = committer;
    this.stages = stages;
    this.versions = versions;
    this.dropped = dropped;
    this.clock = clock;
  }

  static DatabaseId idOf(byte[] value) {
    return DatabaseId.read(ByteBuffer.wrap(value));
  }

  CompletableFuture<Optional<DatabaseInfo>> find(String name) {
    return readers.answer(
        tier -> {
          byte[] id = engine.get(Keys.name(name), tier);
          if (id == null) {
            return Optional.empty();
          }
          try {
            return Optional.of(databases.get(idOf(id), tier).info());
          } catch (StoreException e) {
            if (e.code() == StoreException.Code.NO_SUCH_DATABASE) {
              return Optional.empty(); // dropped since
            }
            throw e;
          }
        });
  }

  CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    return Futures.then(
        find(name),
        found -> {
          if (found.isPresent()) {
            return CompletableFuture.completedFuture(found.get());
          }
          CompletableFuture<DatabaseInfo> answer = new CompletableFuture<>();
          committer.submit(new Creating(name, answer));
          return answer;
        });
  }

  CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit) {
    return readers.answerFromDisk(tier -> listNow(prefix, after, limit, tier));
  }

  private List<DatabaseInfo> listNow(String prefix, String after, int limit, Tier tier)
      throws RocksDBException {
    byte[] first = Keys.name(prefix);
    byte[] behind = Keys.name(after);
    List<DatabaseInfo> found = new ArrayList<>();
    try (RocksIterator each = engine.metaIterator(tier)) {
      each.seek(Arrays.compareUnsigned(first, behind) > 0 ? first : behind);
      for (; each.isValid() && found.size() < limit; each.next()) {
        byte[] key = each.key();
        if (!Keys.startsWith(key, first)) {
          break;
        }
        if (Arrays.equals(key, behind)) {
          continue;
        }
        // Not through the map: a list of all databases would push out those in use.
        DatabaseState state = databases.load(idOf(each.value()), tier);
        if (state != null) {
          found.add(state.info());
        }
      }
      each.status();
    }
    return found;
  }

  CompletableFuture<Void> drop(DatabaseId id) {
    return Futures.then(
        readers.answer(tier -> databases.get(id, tier)),
        state -> {
          CompletableFuture<Void> answer = new CompletableFuture<>();
          committer.submit(new Dropping(state, answer));
          return answer;
        });
  }

  CompletableFuture<DatabaseInfo> fork(DatabaseId parent, long version, String name, CommitId id) {
    return Futures.then(
        readers.answer(tier -> databases.get(parent, tier)),
        state -> {
          CompletableFuture<DatabaseInfo> answer = new CompletableFuture<>();
          committer.submit(new Forking(state, version, name, id, answer));
          return answer;
        });
  }

  CompletableFuture<Void> setRetention(DatabaseId id, Optional<Retention> retention) {
    return Futures.then(
        readers.answer(tier -> databases.get(id, tier)),
        state -> {
          CompletableFuture<Void> answer = new CompletableFuture<>();
          committer.submit(new SettingRetention(state, retention.orElse(null), answer));
          return answer;
        });
  }

  /** Makes a database at version 0. */
  private Runnable create(
      Group group, String name, List<Forked> origins, CompletableFuture<DatabaseInfo> answer)
      throws RocksDBException {
    long number = group.nextNumber();
    Created created = new Created(DatabaseId.random(random), clock.millis(), name);
    ByteBuffer idBytes = ByteBuffer.allocate(DatabaseId.BYTES);
    created.id().write(idBytes);
    VersionRecord head = DatabaseState.first(created, origins);
    group.put(Keys.NEXT_DATABASE, Values.number(number + 1));
    group.put(Keys.name(name), idBytes.array());
    group.put(Keys.id(created.id()), Values.number(number));
    group.put(Keys.of(Keys.DATABASE, number), created.bytes());
    group.put(Keys.of(Keys.HEAD, number), head.bytes());
    if (!origins.isEmpty()) {
      Forked origin = origins.get(0);
      group.put(Keys.of(Keys.FORKED_FROM, number), origin.bytes());
      group.put(
          Keys.forkPoint(origin.parent(), origin.version(), number),
          Values.number(origin.pageCount()));
    }
    group.mustBeDurable();
    DatabaseState state =
        new DatabaseState(
            number, created, origins, head, new LeaseState(0, null), null, 0, false, List.of());
    group.created(state);
    return () -> {
      databases.add(state);
      answer.complete(state.info());
    };
  }

  private final class Creating implements Change {
    private final String name;
    private final CompletableFuture<DatabaseInfo> answer;

    Creating(String name, CompletableFuture<DatabaseInfo> answer) {
      this.name = name;
      this.answer = answer;
    }

    @Override
    public boolean needsRoom() {
      return true;
    }

    @Override
    public long bytes() {
      return name.length();
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState there = group.named(name);
      if (there != null) {
        return () -> answer.complete(there.info()); // behind the sync: it may be of this group
      }
      return create(group, name, List.of(), answer);
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }

  private final class Forking implements Change {
    private final DatabaseState before;
    private final long version;
    private final String name;
    private final CommitId id;
    private final CompletableFuture<DatabaseInfo> answer;

    Forking(
        DatabaseState before,
        long version,
        String name,
        CommitId id,
        CompletableFuture<DatabaseInfo> answer) {
      this.before = before;
      this.version = version;
      this.name = name;
      this.id = id;
      this.answer = answer;
    }

    @Override
    public boolean needsRoom() {
      return true;
    }

    @Override
    public long bytes() {
      return name.length();
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      // Of what is published: no stage comes to be under such a version any more.
      VersionRecord forked = versions.readable(state, version, Tier.DISK);
      if (group.named(name) != null) {
        throw new StoreException(
            StoreException.Code.ALREADY_EXISTS, "there is a database " + name + " already");
      }
      ForkPoint told = new ForkPoint(state.name, version, id);
      List<Forked> origins = new ArrayList<>();
      if (version == 0 && !state.origins.isEmpty()) {
        // It has no image of its own there: what it was forked from is as good, and nearer.
        Forked origin = state.origins.get(0);
        origins.add(
            new Forked(
                origin.parent(),
                origin.version(),
                origin.pageSize(),
                origin.pageCount(),
                origin.skipped(),
                told));
        origins.addAll(state.origins.subList(1, state.origins.size()));
      } else {
        List<Attempt> skipped =
            state.stages().stream()
                .filter(stage -> stage.version <= version)
                .map(stage -> new Attempt(stage.version, stage.attempt))
                .toList();
        origins.add(
            new Forked(
                state.number, version, forked.pageSize(), forked.pageCount(), skipped, told));
        origins.addAll(state.origins);
      }
      if (origins.size() > MOST_ORIGINS) {
        throw RocksErrors.limit(
            "database %s is a fork of a fork, %d times over; fork an earlier one, or a copy"
                .formatted(state.name, MOST_ORIGINS));
      }
      return create(group, name, origins, answer);
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }

  private static final class SettingRetention implements Change {
    private final DatabaseState before;
    private final @Nullable Retention retention;
    private final CompletableFuture<Void> answer;

    SettingRetention(
        DatabaseState before, @Nullable Retention retention, CompletableFuture<Void> answer) {
      this.before = before;
      this.retention = retention;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      byte[] key = Keys.of(Keys.RETENTION, state.number);
      if (retention == null) {
        group.delete(key);
      } else {
        group.put(key, Values.retention(retention));
      }
      group.put(Keys.of(Keys.TO_COLLECT, state.number), new byte[0]);
      group.mustBeDurable();
      state.toCollect = true;
      state.nextRetention = retention;
      return () -> {
        state.retention = retention;
        answer.complete(null);
      };
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }

  private final class Dropping implements Change {
    private final DatabaseState before;
    private final CompletableFuture<Void> answer;

    Dropping(DatabaseState before, CompletableFuture<Void> answer) {
      this.before = before;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      group.delete(Keys.name(state.name));
      group.delete(Keys.id(state.id));
      group.delete(Keys.of(Keys.DATABASE, state.number));
      group.delete(Keys.of(Keys.HEAD, state.number));
      group.delete(Keys.of(Keys.TO_COLLECT, state.number));
      group.put(Keys.of(Keys.DROPPED, state.number), Dropped.mark());
      group.mustBeDurable();
      group.dropped(state);
      return () -> {
        databases.remove(state);
        // A page that is being staged at this moment would outlive the deletion.
        stages.afterLast(state.number, () -> dropped.delete(state.number));
        answer.complete(null);
      };
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }
}
