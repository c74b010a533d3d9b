package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Watch;
import dev.grpsqlite.server.session.Watcher;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Statuses;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The answer to one Watch, as messages on its stream. */
final class WatchCall implements Watcher {
  private final ServerCallStreamObserver<WatchResponse> call;
  private volatile @Nullable Watch watch;

  private WatchCall(ServerCallStreamObserver<WatchResponse> call) {
    this.call = call;
    call.setOnReadyHandler(this::ready);
    call.setOnCancelHandler(this::cancelled);
  }

  /** To be called while the RPC's method runs: handlers cannot be set later. */
  static void open(
      ServerCallStreamObserver<WatchResponse> call,
      WatchRequest request,
      SessionTable sessions,
      Watches watches) {
    WatchCall stream = new WatchCall(call);
    Watch watch;
    try {
      Session session = sessions.get(Ids.session(request.getSessionId()));
      watch = watches.open(session, have(request), stream);
    } catch (RuntimeException e) {
      call.onError(Statuses.of(e));
      return;
    }
    stream.watch = watch;
    watches.start(watch, Duration.ofMillis(Integer.toUnsignedLong(request.getConfirmEveryMs())));
  }

  private static Map<DatabaseId, Long> have(WatchRequest request) {
    Map<DatabaseId, Long> have = new HashMap<>();
    for (WatchRequest.Database database : request.getDatabasesList()) {
      // Of a database that is named twice, the client has what it has for certain.
      have.merge(
          Ids.database(database.getDatabaseId()),
          Fields.version(database.getHaveVersion()),
          Math::min);
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
                    .setChanges(Messages.of(move.changes())))
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
