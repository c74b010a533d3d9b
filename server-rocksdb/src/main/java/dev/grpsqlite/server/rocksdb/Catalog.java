package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.rocksdb.Values.Created;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.StoreException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/** Which databases there are. Thread-safe. */
final class Catalog {
  private final Engine engine;
  private final Databases databases;
  private final Readers readers;
  private final Committer committer;
  private final Stages stages;
  private final Background background;
  private final Clock clock;
  private final SecureRandom random = new SecureRandom();

  Catalog(
      Engine engine,
      Databases databases,
      Readers readers,
      Committer committer,
      Stages stages,
      Background background,
      Clock clock) {
    this.engine = engine;
    this.databases = databases;
    this.readers = readers;
    this.committer = committer;
    this.stages = stages;
    this.background = background;
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

  private final class Creating implements Change {
    private final String name;
    private final CompletableFuture<DatabaseInfo> answer;

    Creating(String name, CompletableFuture<DatabaseInfo> answer) {
      this.name = name;
      this.answer = answer;
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
      long number = group.nextNumber();
      long now = clock.millis();
      DatabaseId id = DatabaseId.random(random);
      ByteBuffer idBytes = ByteBuffer.allocate(DatabaseId.BYTES);
      id.write(idBytes);
      VersionRecord head = VersionRecord.created(now);
      LeaseState lease = new LeaseState(0, null);
      group.put(Keys.NEXT_DATABASE, Values.number(number + 1));
      group.put(Keys.name(name), idBytes.array());
      group.put(Keys.id(id), Values.number(number));
      group.put(Keys.of(Keys.DATABASE, number), new Created(id, now, name).bytes());
      group.put(Keys.of(Keys.HEAD, number), head.bytes());
      group.mustBeDurable();
      DatabaseState state =
          new DatabaseState(
              id, number, name, Instant.ofEpochMilli(now), head, lease, 0, false, List.of());
      group.created(state);
      return () -> {
        databases.add(state);
        answer.complete(state.info());
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
      group.put(Keys.of(Keys.DROPPED, state.number), new byte[0]);
      group.mustBeDurable();
      group.dropped(state);
      return () -> {
        databases.remove(state);
        // A page that is being staged at this moment would outlive the deletion.
        stages.afterThis(() -> background.deleteDropped(state.number));
        answer.complete(null);
      };
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }
}
