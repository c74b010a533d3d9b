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
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.Versions;
import dev.grpsqlite.server.session.Versions.Choice;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.VersionInfo;
import dev.grpsqlite.server.wire.Callers;
import dev.grpsqlite.server.wire.Calls;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Names;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Looking after databases. What the store cannot do is refused as UNSUPPORTED. A page token is the
 * last name, or version, of the page before. Thread-safe.
 */
public final class AdminService extends AdminGrpc.AdminImplBase {
  private static final int MAX_LISTED = 1000;

  /** Of google.protobuf.Duration: 10000 years. */
  private static final long MAX_DURATION_SECONDS = 315_576_000_000L;

  private final PageStore store;
  private final Leases leases;
  private final Versions versions;

  public AdminService(PageStore store, Leases leases, Versions versions) {
    this.store = store;
    this.leases = leases;
    this.versions = versions;
  }

  @Override
  public void listDatabases(
      ListDatabasesRequest request, StreamObserver<ListDatabasesResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          int limit = limit(request.getPageLimit());
          return Callers.current()
              .list(store, request.getPrefix(), request.getPageToken(), limit)
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
            find(request.getName(), Right.READ)
                .thenApply(
                    info -> StatDatabaseResponse.newBuilder().setDatabase(message(info)).build()));
  }

  @Override
  public void dropDatabase(
      DropDatabaseRequest request, StreamObserver<DropDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () ->
            find(request.getName(), Right.ADMIN)
                .thenCompose(
                    info ->
                        leases
                            .isHeld(info.id())
                            .thenCompose(
                                held -> {
                                  if (held) {
                                    throw leaseHeld(info.name());
                                  }
                                  return store.drop(info.id());
                                }))
                .thenApply(dropped -> DropDatabaseResponse.getDefaultInstance()));
  }

  @Override
  public void listVersions(
      ListVersionsRequest request, StreamObserver<ListVersionsResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          checkCanDo(store.capabilities().timeTravel(), "keeps no history of databases");
          int limit = limit(request.getPageLimit());
          long below = versionToken(request.getPageToken());
          return find(request.getName(), Right.READ)
              .thenCompose(info -> store.history(info.id(), below, limit))
              .thenApply(found -> listedVersions(found, limit));
        });
  }

  /** The lowest version of the page before. */
  private static long versionToken(String token) {
    if (token.isEmpty()) {
      return Long.MAX_VALUE;
    }
    try {
      return Long.parseLong(token);
    } catch (NumberFormatException e) {
      throw RequestException.invalid("page_token is not from an answer of ListVersions");
    }
  }

  private static ListVersionsResponse listedVersions(List<VersionInfo> found, int limit) {
    ListVersionsResponse.Builder answer = ListVersionsResponse.newBuilder();
    for (VersionInfo info : found) {
      answer.addVersions(
          dev.grpsqlite.proto.v1.VersionInfo.newBuilder()
              .setVersion(info.snapshot().version())
              .setCommittedAt(message(info.committedAt()))
              .setPagesChanged((int) info.pagesChanged())
              .setPageSize(info.snapshot().pageSize())
              .setPageCount((int) info.snapshot().pageCount()));
    }
    if (found.size() == limit) {
      answer.setNextPageToken(Long.toString(found.get(limit - 1).snapshot().version()));
    }
    return answer.build();
  }

  @Override
  public void forkDatabase(
      ForkDatabaseRequest request, StreamObserver<ForkDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          checkCanDo(store.capabilities().fork(), "cannot fork databases");
          String newName = Names.checked(request.getNewName());
          Caller caller = Callers.current();
          caller.require(newName, Right.WRITE);
          String name = Names.checked(request.getName());
          caller.require(name, Right.READ);
          CommitId id = Ids.commit(request.getCommitId());
          Choice choice =
              switch (request.getAtCase()) {
                case AT_VERSION -> Choice.number(Fields.version(request.getAtVersion()));
                case AT_TIME -> Choice.at(Fields.time("at_time", request.getAtTime()));
                case AT_NOT_SET -> Choice.head();
              };
          return versions
              .fork(name, choice, newName, id)
              .thenApply(
                  fork -> ForkDatabaseResponse.newBuilder().setDatabase(message(fork)).build());
        });
  }

  @Override
  public void restoreDatabase(
      RestoreDatabaseRequest request, StreamObserver<RestoreDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          checkCanDo(store.capabilities().timeTravel(), "keeps no versions to restore");
          Caller caller = Callers.current();
          CommitId id = Ids.commit(request.getCommitId());
          Choice choice =
              switch (request.getAtCase()) {
                case AT_VERSION -> Choice.number(Fields.version(request.getAtVersion()));
                case AT_TIME -> Choice.at(Fields.time("at_time", request.getAtTime()));
                case AT_NOT_SET ->
                    throw RequestException.invalid("neither at_version nor at_time is set");
              };
          return find(request.getName(), Right.WRITE)
              .thenCompose(info -> restored(info, choice, id, request, caller))
              .thenApply(
                  version -> RestoreDatabaseResponse.newBuilder().setVersion(version).build());
        });
  }

  private CompletableFuture<Long> restored(
      DatabaseInfo info,
      Choice choice,
      CommitId id,
      RestoreDatabaseRequest request,
      Caller caller) {
    return request.getSessionId().isEmpty()
        ? versions
            .restore(info.id(), choice, id)
            .thenApply(version -> version.orElseThrow(() -> leaseHeld(info.name())))
        : versions.restore(
            info.id(),
            choice,
            id,
            Ids.session(request.getSessionId()),
            request.getEpoch(),
            caller.identity());
  }

  @Override
  public void setRetention(
      SetRetentionRequest request, StreamObserver<SetRetentionResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          checkCanDo(store.capabilities().timeTravel(), "keeps no versions");
          Optional<Retention> retention =
              request.hasRetention()
                  ? Optional.of(retention(request.getRetention()))
                  : Optional.empty();
          return find(request.getName(), Right.ADMIN)
              .thenCompose(info -> store.setRetention(info.id(), retention))
              .thenApply(set -> SetRetentionResponse.getDefaultInstance());
        });
  }

  private static Retention retention(dev.grpsqlite.proto.v1.Retention message) {
    com.google.protobuf.Duration duration = message.getDuration();
    if (duration.getSeconds() < 0
        || duration.getSeconds() > MAX_DURATION_SECONDS
        || duration.getNanos() < 0
        || duration.getNanos() > 999_999_999) {
      throw RequestException.invalid("duration is negative or no duration");
    }
    if (message.getVersions() < 0) {
      throw RequestException.invalid(
          "versions " + Long.toUnsignedString(message.getVersions()) + " is out of range");
    }
    return new Retention(
        message.getForever(),
        Duration.ofSeconds(duration.getSeconds(), duration.getNanos()),
        message.getVersions());
  }

  private static dev.grpsqlite.proto.v1.Retention message(Retention retention) {
    long seconds = retention.duration().toSeconds();
    int nanos = retention.duration().toNanosPart();
    return dev.grpsqlite.proto.v1.Retention.newBuilder()
        .setForever(retention.forever())
        .setDuration(com.google.protobuf.Duration.newBuilder().setSeconds(seconds).setNanos(nanos))
        .setVersions(retention.versions())
        .build();
  }

  private static void checkCanDo(boolean can, String lack) {
    if (!can) {
      throw new RequestException(Reason.UNSUPPORTED, "this server's storage " + lack);
    }
  }

  private static RequestException leaseHeld(String name) {
    return new RequestException(Reason.LEASE_HELD, "somebody may be writing to " + name);
  }

  private static int limit(int asked) {
    return asked <= 0 ? MAX_LISTED : Math.min(asked, MAX_LISTED);
  }

  private CompletableFuture<DatabaseInfo> find(String name, Right right) {
    String checked = Names.checked(name);
    Callers.current().require(checked, right);
    return store
        .find(checked)
        .thenApply(found -> found.orElseThrow(() -> StoreException.noSuchDatabase(checked)));
  }

  private static dev.grpsqlite.proto.v1.DatabaseInfo message(DatabaseInfo info) {
    dev.grpsqlite.proto.v1.DatabaseInfo.Builder answer =
        dev.grpsqlite.proto.v1.DatabaseInfo.newBuilder()
            .setName(info.name())
            .setDatabaseId(Ids.bytes(info.id()))
            .setHeadVersion(info.head().version())
            .setOldestVersion(info.oldestVersion())
            .setPageSize(info.head().pageSize())
            .setPageCount((int) info.head().pageCount())
            .setCreatedAt(message(info.createdAt()))
            .setCommittedAt(message(info.committedAt()));
    if (info.retention() != null) {
      answer.setRetention(message(info.retention()));
    }
    if (info.forkedFrom() != null) {
      answer
          .setForkedFrom(info.forkedFrom().parentName())
          .setForkedAtVersion(info.forkedFrom().version());
    }
    return answer.build();
  }

  private static Timestamp message(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }
}
