package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.auth.Usage.Pending;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.ForwardingPageStore;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A store whose databases have quotas: those of the server, and those of the rules as they are.
 * Counts what there is when the first quota is to be kept, by listing it; until that is done, who
 * would make something larger waits. A server counts what goes through itself.
 *
 * <p>QUOTA means that nothing was applied (P5): before a commit is refused, the store is asked
 * whether it was applied already. Thread-safe.
 */
public final class QuotaStore extends ForwardingPageStore {
  private static final int LISTED_AT_ONCE = 1000;

  /** Of no lease: epochs are not negative. With it a store answers for what it applied already. */
  private static final long NO_EPOCH = -1;

  private final Access access;
  private final @Nullable Quota ofAll;
  private final Usage usage = new Usage();
  private volatile @Nullable CompletableFuture<Boolean> counting;

  /**
   * @param ofAll for all databases, whatever the rules say
   */
  public QuotaStore(PageStore store, Access access, Quota ofAll) {
    super(store);
    this.access = access;
    this.ofAll = ofAll.limits() ? ofAll : null;
  }

  // ---- What there is

  /** Complete when all is counted; null if nothing is to be. */
  private @Nullable CompletableFuture<Boolean> counted() {
    AccessRules rules = access.rules();
    List<Quota> quotas = new ArrayList<>(rules == null ? List.of() : rules.quotas());
    if (ofAll != null) {
      quotas.add(ofAll);
    }
    if (quotas.isEmpty()) {
      if (counting != null) {
        stopCounting();
      }
      return null;
    }
    usage.countBy(List.copyOf(quotas));
    synchronized (this) {
      CompletableFuture<Boolean> current = counting;
      if (current == null || current.isCompletedExceptionally()) {
        current = count("");
        counting = current;
      }
      return current;
    }
  }

  /** What is committed now is not counted: it is to be counted anew. */
  private synchronized void stopCounting() {
    counting = null;
    usage.forget();
  }

  private boolean isCounting() {
    CompletableFuture<Boolean> current = counting;
    return current != null && !current.isDone();
  }

  private CompletableFuture<Boolean> count(String from) {
    String after = from;
    while (true) {
      CompletableFuture<List<DatabaseInfo>> part = store.list("", after, LISTED_AT_ONCE);
      if (!part.isDone() || part.isCompletedExceptionally()) {
        return part.thenCompose(
            infos ->
                take(infos)
                    ? count(infos.get(infos.size() - 1).name())
                    : CompletableFuture.completedFuture(true));
      }
      List<DatabaseInfo> infos = part.join();
      if (!take(infos)) {
        return CompletableFuture.completedFuture(true);
      }
      after = infos.get(infos.size() - 1).name();
    }
  }

  /** Returns whether there may be more. */
  private boolean take(List<DatabaseInfo> infos) {
    infos.forEach(usage::seen);
    if (infos.size() < LISTED_AT_ONCE) {
      usage.allSeen();
      return false;
    }
    return true;
  }

  // ---- What becomes larger

  @Override
  public CompletableFuture<Long> commit(Commit commit) {
    CompletableFuture<Boolean> counted = counted();
    return counted == null
        ? store.commit(commit)
        : counted.thenCompose(
            done ->
                within(
                    commit.database(),
                    commit.id(),
                    Usage.bytes(commit),
                    () -> store.commit(commit),
                    () -> store.commit(withoutLease(commit))));
  }

  @Override
  public CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    CompletableFuture<Boolean> counted = counted();
    return counted == null
        ? store.commitGroup(commits)
        : counted.thenCompose(done -> groupWithin(commits));
  }

  private CompletableFuture<List<Long>> groupWithin(List<Commit> commits) {
    List<Pending> pending;
    try {
      pending = usage.beginAll(commits);
    } catch (StoreException refusal) {
      return store
          .commitGroup(commits.stream().map(QuotaStore::withoutLease).toList())
          .handle(
              (versions, error) -> {
                if (error == null) {
                  return versions;
                }
                throw StoreException.codeOf(error) == Code.LEASE_LOST ? refusal : rethrown(error);
              });
    }
    return store
        .commitGroup(commits)
        .whenComplete(
            (versions, error) -> {
              for (int i = 0; i < commits.size(); i++) {
                DatabaseId database = commits.get(i).database();
                usage.end(database, pending.get(i), error == null ? versions.get(i) : -1);
                if (StoreException.codeOf(error) == Code.STORE_FAILED) {
                  CompletableFuture<Void> unused = store.info(database).thenAccept(usage::seen);
                }
              }
            });
  }

  private static Commit withoutLease(Commit commit) {
    return new Commit(
        commit.database(),
        commit.holder(),
        NO_EPOCH,
        commit.id(),
        commit.baseVersion(),
        commit.pageSize(),
        commit.pageCount(),
        commit.stage(),
        commit.pages());
  }

  @Override
  public CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    CompletableFuture<Boolean> counted = counted();
    return counted == null
        ? store.restore(database, holder, epoch, id, version)
        : counted
            .thenCompose(done -> store.snapshot(database, version))
            // The store has its own order of what it says; what cannot be read has no size.
            .handle((snapshot, error) -> error == null ? Usage.bytes(snapshot) : 0)
            .thenCompose(
                bytes ->
                    within(
                        database,
                        id,
                        bytes,
                        () -> store.restore(database, holder, epoch, id, version),
                        () -> store.restore(database, holder, NO_EPOCH, id, version)));
  }

  /**
   * @param apply makes the database this large
   * @param ask answers as {@code apply} did, if it was done already, else with LEASE_LOST
   */
  private CompletableFuture<Long> within(
      DatabaseId database,
      CommitId id,
      long bytes,
      Supplier<CompletableFuture<Long>> apply,
      Supplier<CompletableFuture<Long>> ask) {
    Pending pending = usage.begin(database, id, bytes);
    if (pending == null) {
      return ask.get()
          .handle(
              (version, error) -> {
                if (error == null) {
                  return version;
                }
                throw StoreException.codeOf(error) == Code.LEASE_LOST
                    ? usage.refusal(database, bytes)
                    : rethrown(error);
              });
    }
    return apply
        .get()
        .whenComplete(
            (version, error) -> {
              usage.end(database, pending, error == null ? version : -1);
              if (StoreException.codeOf(error) == Code.STORE_FAILED) {
                // It may have been applied: what there is now says so.
                CompletableFuture<Void> unused = store.info(database).thenAccept(usage::seen);
              }
            });
  }

  @Override
  public CompletableFuture<DatabaseInfo> findOrCreate(String name) {
    CompletableFuture<Boolean> counted = counted();
    return counted == null
        ? store.findOrCreate(name)
        : counted
            .thenCompose(done -> store.find(name))
            .thenCompose(
                found ->
                    found.isPresent()
                        ? CompletableFuture.completedFuture(found.get())
                        : make(name, 0, () -> store.findOrCreate(name)));
  }

  @Override
  public CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String newName, CommitId id) {
    CompletableFuture<Boolean> counted = counted();
    return counted == null
        ? store.fork(parent, version, newName, id)
        : counted
            .thenCompose(done -> store.find(newName))
            .thenCompose(
                found ->
                    found.isPresent()
                        ? store.fork(parent, version, newName, id)
                        : store
                            .snapshot(parent, version)
                            .thenCompose(
                                snapshot ->
                                    make(
                                        newName,
                                        Usage.bytes(snapshot),
                                        () -> store.fork(parent, version, newName, id))));
  }

  private CompletableFuture<DatabaseInfo> make(
      String name, long bytes, Supplier<CompletableFuture<DatabaseInfo>> action) {
    boolean mine = usage.beginMaking(name, bytes);
    return action
        .get()
        .whenComplete(
            (info, error) -> {
              if (error == null) {
                usage.seen(info);
              }
              if (mine) {
                usage.made(name);
              }
            });
  }

  @Override
  public CompletableFuture<Void> drop(DatabaseId database) {
    return store
        .drop(database)
        .whenComplete(
            (done, error) -> {
              if (error == null) {
                usage.dropped(database, isCounting());
              }
            });
  }

  private static RuntimeException rethrown(Throwable error) {
    return error instanceof RuntimeException e ? e : new CompletionException(error);
  }
}
