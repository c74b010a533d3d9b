package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.CommitGroups.Earlier;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;

/**
 * Commits to several databases, all or none (P1 to P5). Their stages are sealed, then everything is
 * decided in one change on the commit thread, and written by one batch. Thread-safe.
 */
final class CommitsTogether {
  private static final Comparator<Commit> BY_DATABASE =
      Comparator.comparing((Commit commit) -> commit.database().high())
          .thenComparing(commit -> commit.database().low());

  private final Databases databases;
  private final Readers readers;
  private final Versions versions;
  private final Stages stages;
  private final Committer committer;
  private final Clock clock;

  CommitsTogether(
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

  CompletableFuture<List<Long>> commit(List<Commit> commits) {
    try {
      CommitGroups.check(commits);
      for (Commit commit : commits) {
        if (commit.baseVersion() < 0) {
          throw new StoreException(
              Code.INVALID_REQUEST, "there is no base version " + commit.baseVersion());
        }
      }
    } catch (StoreException e) {
      return CompletableFuture.failedFuture(e);
    }
    CompletableFuture<List<Long>> answer = new CompletableFuture<>();
    List<Commit> inOrder = commits.stream().sorted(BY_DATABASE).toList();
    seal(inOrder, new ArrayList<>(), CommitGroups.versions(commits), answer);
    return answer;
  }

  /** A commit, or one to a database that is gone. */
  private record Member(Commit commit, @Nullable CommitPart part) {}

  /** Seals the stages of the commits that have no member yet, one by one, and puts all in line. */
  private void seal(
      List<Commit> commits,
      List<Member> members,
      List<Long> made,
      CompletableFuture<List<Long>> answer) {
    if (members.size() == commits.size()) {
      committer.submit(new Applying(members, made, answer));
      return;
    }
    Commit commit = commits.get(members.size());
    Futures.when(
        Futures.then(find(commit.database()), state -> sealed(commit, state)),
        (member, failure) -> {
          if (failure != null) {
            release(members, false);
            answer.completeExceptionally(failure);
          } else {
            members.add(member);
            seal(commits, members, made, answer);
          }
        });
  }

  private CompletableFuture<Optional<DatabaseState>> find(DatabaseId database) {
    return readers.answer(
        tier -> {
          try {
            return Optional.of(databases.get(database, tier));
          } catch (StoreException e) {
            if (e.code() == Code.NO_SUCH_DATABASE) {
              return Optional.empty();
            }
            throw e;
          }
        });
  }

  private CompletableFuture<Member> sealed(Commit commit, Optional<DatabaseState> found) {
    StageId stage = commit.stage();
    if (found.isEmpty()) {
      return CompletableFuture.completedFuture(new Member(commit, null));
    }
    DatabaseState state = found.get();
    if (stage == null) {
      return CompletableFuture.completedFuture(
          new Member(commit, new CommitPart(state, commit, null, false)));
    }
    return Futures.then(
        stages.seal(state, commit.holder(), stage),
        kept ->
            CompletableFuture.completedFuture(
                new Member(commit, new CommitPart(state, commit, kept.orElse(null), false))));
  }

  private void release(List<Member> members, boolean committed) {
    for (Member member : members) {
      if (member.part != null) {
        member.part.release(stages, committed);
      }
    }
  }

  /** A group of commits in line. */
  private final class Applying implements Change {
    private final List<Member> members;

    /** The versions, in the order of the request. */
    private final List<Long> made;

    private final CompletableFuture<List<Long>> answer;

    Applying(List<Member> members, List<Long> made, CompletableFuture<List<Long>> answer) {
      this.members = members;
      this.made = made;
      this.answer = answer;
    }

    @Override
    public boolean needsRoom() {
      return true;
    }

    @Override
    public long bytes() {
      long bytes = 0;
      for (Member member : members) {
        bytes += member.part == null ? 0 : member.part.bytes();
      }
      return bytes;
    }

    @Override
    public Runnable apply(Group group) throws RocksDBException {
      List<Earlier> earlier = new ArrayList<>();
      List<CommitPart> parts = new ArrayList<>();
      List<DatabaseState> states = new ArrayList<>();
      Member gone = null;
      for (Member member : members) {
        DatabaseState state = touch(group, member);
        if (state == null || member.part == null) {
          gone = member;
          earlier.add(Earlier.NO_DATABASE);
          continue;
        }
        if (member.part.version() < state.nextHead.version()
            && member.part.version() > state.head.version()) {
          return () -> committer.submit(this); // it can be looked up behind this group's write
        }
        earlier.add(earlier(state, member.part));
        parts.add(member.part);
        states.add(state);
      }
      if (CommitGroups.wasApplied(earlier)) {
        // It may be of this group, hence not durable yet; the answer is given behind the sync.
        return () -> {
          release(members, false);
          answer.complete(made);
        };
      }
      if (gone != null) {
        throw RocksErrors.noSuchDatabase(gone.commit.database());
      }
      for (int i = 0; i < parts.size(); i++) {
        parts.get(i).checkNext(states.get(i));
      }
      for (int i = 0; i < parts.size(); i++) {
        Stage overtaken = parts.get(i).overtaken();
        if (overtaken != null) {
          int which = i;
          VersionRecord base = states.get(i).nextHead;
          return () -> restage(which, states.get(which), overtaken, base);
        }
      }
      for (int i = 0; i < parts.size(); i++) {
        parts.get(i).checkPages(states.get(i));
      }
      // Nothing is refused from here on: all is added, or the batch is not written.
      long nowMillis = clock.millis();
      List<Runnable> publish = new ArrayList<>();
      for (int i = 0; i < parts.size(); i++) {
        publish.add(parts.get(i).write(group, states.get(i), nowMillis));
      }
      return () -> {
        publish.forEach(Runnable::run);
        release(members, true);
        answer.complete(made);
      };
    }

    private @Nullable DatabaseState touch(Group group, Member member) throws RocksDBException {
      try {
        return member.part == null ? null : group.touch(member.part.before);
      } catch (StoreException e) {
        if (e.code() == Code.NO_SUCH_DATABASE) {
          return null;
        }
        throw e;
      }
    }

    private Earlier earlier(DatabaseState state, CommitPart part) throws RocksDBException {
      long version = part.version();
      if (version > state.nextHead.version()) {
        return Earlier.NOT_APPLIED;
      }
      VersionRecord record =
          version == state.nextHead.version()
              ? state.nextHead
              : versions.find(state, version, Tier.DISK);
      if (record == null) {
        return Earlier.FORGOTTEN;
      }
      return record.commit().equals(part.commit.id()) ? Earlier.APPLIED : Earlier.NOT_APPLIED;
    }

    /** Moves a stage behind the commits that went before it, and tries again. */
    private void restage(int which, DatabaseState state, Stage overtaken, VersionRecord base) {
      Futures.when(
          stages.moveTo(state, overtaken, base),
          (moved, failure) -> {
            if (failure != null) {
              release(members, false);
              answer.completeExceptionally(failure);
            } else {
              List<Member> now = new ArrayList<>(members);
              Member member = now.get(which);
              if (member.part != null) {
                now.set(which, new Member(member.commit, member.part.with(moved)));
              }
              committer.submit(new Applying(now, made, answer));
            }
          });
    }

    @Override
    public void fail(StoreException why) {
      release(members, false);
      answer.completeExceptionally(why);
    }
  }
}
