package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.rocksdb.RocksDBException;

/** Who may commit. Thread-safe. */
final class Leases {
  private final Databases databases;
  private final Readers readers;
  private final Committer committer;
  private final Stages stages;

  Leases(Databases databases, Readers readers, Committer committer, Stages stages) {
    this.databases = databases;
    this.readers = readers;
    this.committer = committer;
    this.stages = stages;
  }

  CompletableFuture<LeaseState> acquire(
      DatabaseId id, SessionId session, Optional<LeaseState> displaced) {
    return Futures.then(
        readers.answer(tier -> databases.get(id, tier)),
        state -> {
          LeaseState now = state.lease;
          if (!isFor(now, displaced)) {
            return CompletableFuture.completedFuture(now);
          }
          CompletableFuture<LeaseState> answer = new CompletableFuture<>();
          committer.submit(new Acquiring(state, session, displaced, answer));
          return answer;
        });
  }

  /** Whether the lease is given away in this state, with a new epoch. */
  private static boolean isFor(LeaseState now, Optional<LeaseState> displaced) {
    return now.holder() == null || displaced.equals(Optional.of(now));
  }

  CompletableFuture<Void> release(DatabaseId id, SessionId session, long epoch) {
    return Futures.then(
        readers.answer(tier -> databases.get(id, tier)),
        state -> {
          CompletableFuture<Void> answer = new CompletableFuture<>();
          committer.submit(new Releasing(state, session, epoch, answer));
          return answer;
        });
  }

  private final class Acquiring implements Change {
    private final DatabaseState before;
    private final SessionId session;
    private final Optional<LeaseState> displaced;
    private final CompletableFuture<LeaseState> answer;

    Acquiring(
        DatabaseState before,
        SessionId session,
        Optional<LeaseState> displaced,
        CompletableFuture<LeaseState> answer) {
      this.before = before;
      this.session = session;
      this.displaced = displaced;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      LeaseState now = state.nextLease;
      if (!isFor(now, displaced)) {
        return () -> answer.complete(now);
      }
      LeaseState granted = new LeaseState(now.epoch() + 1, session);
      group.put(Keys.of(Keys.LEASE, state.number), Values.lease(granted));
      group.mustBeDurable();
      state.nextLease = granted;
      return () -> {
        state.lease = granted;
        if (!state.stages().isEmpty()) {
          Future<?> unused = stages.leaseChanged(state);
        }
        answer.complete(granted);
      };
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }

  private final class Releasing implements Change {
    private final DatabaseState before;
    private final SessionId session;
    private final long epoch;
    private final CompletableFuture<Void> answer;

    Releasing(DatabaseState before, SessionId session, long epoch, CompletableFuture<Void> answer) {
      this.before = before;
      this.session = session;
      this.epoch = epoch;
      this.answer = answer;
    }

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      DatabaseState state = group.touch(before);
      LeaseState now = state.nextLease;
      if (now.epoch() != epoch || !session.equals(now.holder())) {
        return () -> answer.complete(null);
      }
      LeaseState free = new LeaseState(epoch, null);
      group.put(Keys.of(Keys.LEASE, state.number), Values.lease(free));
      group.mustBeDurable();
      state.nextLease = free;
      return () -> {
        state.lease = free;
        Futures.pipe(stages.leaseChanged(state), answer);
      };
    }

    @Override
    public void fail(StoreException why) {
      answer.completeExceptionally(why);
    }
  }
}
