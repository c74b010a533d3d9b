package dev.grpsqlite.server.page;

import com.google.protobuf.Timestamp;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropDatabaseResponse;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.ForkDatabaseResponse;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.proto.v1.ListDatabasesResponse;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.ListVersionsResponse;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.RestoreDatabaseResponse;
import dev.grpsqlite.proto.v1.SetRetentionRequest;
import dev.grpsqlite.proto.v1.SetRetentionResponse;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.StatDatabaseResponse;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.wire.Calls;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Names;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import io.grpc.stub.StreamObserver;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * Looking after databases. What needs history is refused as UNSUPPORTED. A page token is the last
 * name of the page before. Thread-safe.
 */
public final class AdminService extends AdminGrpc.AdminImplBase {
  private static final int MAX_LISTED = 1000;

  private final PageStore store;
  private final Leases leases;

  public AdminService(PageStore store, Leases leases) {
    this.store = store;
    this.leases = leases;
  }

  @Override
  public void listDatabases(
      ListDatabasesRequest request, StreamObserver<ListDatabasesResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          int asked = request.getPageLimit();
          int limit = asked <= 0 ? MAX_LISTED : Math.min(asked, MAX_LISTED);
          return store
              .list(request.getPrefix(), request.getPageToken(), limit)
              .thenApply(found -> listed(found, limit));
        });
  }

  private static ListDatabasesResponse listed(List<DatabaseInfo> found, int limit) {
    ListDatabasesResponse.Builder answer = ListDatabasesResponse.newBuilder();
    found.forEach(info -> answer.addDatabases(message(info)));
    if (found.size() == limit) {
      answer.setNextPageToken(found.get(limit - 1).name());
    }
    return answer.build();
  }

  @Override
  public void statDatabase(
      StatDatabaseRequest request, StreamObserver<StatDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () ->
            find(request.getName())
                .thenApply(
                    info -> StatDatabaseResponse.newBuilder().setDatabase(message(info)).build()));
  }

  @Override
  public void dropDatabase(
      DropDatabaseRequest request, StreamObserver<DropDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () ->
            find(request.getName())
                .thenCompose(
                    info ->
                        leases
                            .isHeld(info.id())
                            .thenCompose(
                                held -> {
                                  if (held) {
                                    throw new RequestException(
                                        Reason.LEASE_HELD,
                                        "somebody may be writing to " + info.name());
                                  }
                                  return store.drop(info.id());
                                }))
                .thenApply(dropped -> DropDatabaseResponse.getDefaultInstance()));
  }

  @Override
  public void listVersions(
      ListVersionsRequest request, StreamObserver<ListVersionsResponse> observer) {
    refuse(observer);
  }

  @Override
  public void forkDatabase(
      ForkDatabaseRequest request, StreamObserver<ForkDatabaseResponse> observer) {
    refuse(observer);
  }

  @Override
  public void restoreDatabase(
      RestoreDatabaseRequest request, StreamObserver<RestoreDatabaseResponse> observer) {
    refuse(observer);
  }

  @Override
  public void setRetention(
      SetRetentionRequest request, StreamObserver<SetRetentionResponse> observer) {
    refuse(observer);
  }

  private static <T> void refuse(StreamObserver<T> observer) {
    Calls.answer(
        observer,
        () -> {
          throw new RequestException(
              Reason.UNSUPPORTED, "this server's storage keeps no history of databases");
        });
  }

  private CompletableFuture<DatabaseInfo> find(String name) {
    String checked = Names.checked(name);
    return store
        .find(checked)
        .thenApply(
            found ->
                found.orElseThrow(
                    () ->
                        new StoreException(
                            Code.NO_SUCH_DATABASE, "no database is called " + checked)));
  }

  private static dev.grpsqlite.proto.v1.DatabaseInfo message(DatabaseInfo info) {
    return dev.grpsqlite.proto.v1.DatabaseInfo.newBuilder()
        .setName(info.name())
        .setDatabaseId(Ids.bytes(info.id()))
        .setHeadVersion(info.head().version())
        .setOldestVersion(info.oldestVersion())
        .setPageSize(info.head().pageSize())
        .setPageCount((int) info.head().pageCount())
        .setCreatedAt(message(info.createdAt()))
        .setCommittedAt(message(info.committedAt()))
        .build();
  }

  private static Timestamp message(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }
}
