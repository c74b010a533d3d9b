package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.server.auth.AccessRules;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.KnownVersion;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Watch;
import dev.grpsqlite.server.session.Watcher;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.wire.Callers;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Statuses;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * The answer to one Watch, as messages on its stream. Its caller must be allowed to read what it is
 * told of, when it asks and whenever it is told: else the stream ends.
 */
final class WatchCall implements Watcher {
  private final ServerCallStreamObserver<WatchResponse> call;
  private final PageStore store;
  private final Watches watches;
  private volatile @Nullable Caller caller;
  private volatile @Nullable AccessRules judgedBy;
  private volatile @Nullable Watch watch;

  /** To be called while the RPC's method runs: handlers cannot be set later. */
  WatchCall(ServerCallStreamObserver<WatchResponse> call, PageStore store, Watches watches) {
    this.call = call;
    this.store = store;
    this.watches = watches;
    call.setOnReadyHandler(this::ready);
    call.setOnCancelHandler(this::cancelled);
  }

  /** To be called while the RPC's method runs, once. */
  void open(WatchRequest request, SessionTable sessions) {
    try {
      Caller current = Callers.current();
      Session session = sessions.get(Ids.session(request.getSessionId()), current.identity());
      Map<DatabaseId, KnownVersion> have = have(request);
      Watches.checkSize(have.size());
      caller = current;
      judgedBy = current.rules();
      CompletableFuture<Void> unused =
          CompletableFuture.allOf(
                  have.keySet().stream()
                      .map(this::whenAllowed)
                      .toArray(CompletableFuture<?>[]::new))
              .thenRun(() -> start(session, have, request))
              .exceptionally(
                  error -> {
                    ended(error);
                    return null;
                  });
    } catch (RuntimeException e) {
      ended(e);
    }
  }

  private void start(Session session, Map<DatabaseId, KnownVersion> have, WatchRequest request) {
    if (call.isCancelled()) {
      return; // The session may have a newer watch already.
    }
    Watch started = watches.open(session, have, this);
    watch = started;
    if (call.isCancelled()) {
      cancelled();
    }
    watches.start(started, Duration.ofMillis(Integer.toUnsignedLong(request.getConfirmEveryMs())));
  }

  @Override
  public CompletableFuture<Boolean> whenAllowed(DatabaseId database) {
    Caller asking = caller;
    if (asking == null) {
      throw new IllegalStateException("nobody has asked who calls");
    }
    // What does not exist has no name to judge by, and is told to be dropped.
    return asking
        .require(store, database, Right.READ)
        .exceptionally(
            error -> {
              Throwable cause = error instanceof CompletionException ? error.getCause() : error;
              if (cause instanceof StoreException e
                  && e.code() == StoreException.Code.NO_SUCH_DATABASE) {
                return true;
              }
              throw error instanceof RuntimeException e ? e : new CompletionException(error);
            });
  }

  @Override
  public boolean rightsMayHaveChanged() {
    Caller asking = caller;
    AccessRules current = asking == null ? null : asking.rules();
    boolean changed = current != judgedBy;
    judgedBy = current;
    return changed;
  }

  private static Map<DatabaseId, KnownVersion> have(WatchRequest request) {
    Map<DatabaseId, KnownVersion> have = new HashMap<>();
    for (WatchRequest.Database database : request.getDatabasesList()) {
      // Of a database that is named twice, the client has what it has for certain.
      have.merge(
          Ids.database(database.getDatabaseId()),
          new KnownVersion(Fields.version(database.getHaveVersion()), database.getHaveMark()),
          (one, other) -> one.version() <= other.version() ? one : other);
    }
    return have;
  }

  private void ready() {
    Watch started = watch;
    if (started != null) {
      started.advance();
    }
  }

  private void cancelled() {
    Watch started = watch;
    if (started != null) {
      started.end(Status.CANCELLED.asRuntimeException());
    }
  }

  @Override
  public boolean isReady() {
    return call.isReady();
  }

  @Override
  public void headMoved(DatabaseId database, long fromVersion, Heads.Move move) {
    call.onNext(
        WatchResponse.newBuilder()
            .setHeadMoved(
                WatchResponse.HeadMoved.newBuilder()
                    .setDatabaseId(Ids.bytes(database))
                    .setHead(Messages.of(move.head()))
                    .setFromVersion(fromVersion)
                    .setChanges(Messages.changes(move)))
            .build());
  }

  @Override
  public void dropped(DatabaseId database) {
    call.onNext(
        WatchResponse.newBuilder()
            .setDropped(WatchResponse.Dropped.newBuilder().setDatabaseId(Ids.bytes(database)))
            .build());
  }

  @Override
  public void leaseWanted(DatabaseId database, long epoch) {
    call.onNext(
        WatchResponse.newBuilder()
            .setLeaseWanted(
                WatchResponse.LeaseWanted.newBuilder()
                    .setDatabaseId(Ids.bytes(database))
                    .setEpoch(epoch))
            .build());
  }

  @Override
  public void leaseLost(DatabaseId database, long epoch) {
    call.onNext(
        WatchResponse.newBuilder()
            .setLeaseLost(
                WatchResponse.LeaseLost.newBuilder()
                    .setDatabaseId(Ids.bytes(database))
                    .setEpoch(epoch))
            .build());
  }

  @Override
  public void confirmed(long elapsedMillis) {
    call.onNext(
        WatchResponse.newBuilder()
            .setConfirmed(WatchResponse.Confirmed.newBuilder().setElapsedMs(elapsedMillis))
            .build());
  }

  @Override
  public void ended(Throwable reason) {
    if (!call.isCancelled()) {
      call.onError(Statuses.of(reason));
    }
  }
}
