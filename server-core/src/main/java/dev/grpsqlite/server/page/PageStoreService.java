package dev.grpsqlite.server.page;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.Capabilities;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CloseSessionResponse;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitGroupResponse;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.CommitResponse;
import dev.grpsqlite.proto.v1.DropStageRequest;
import dev.grpsqlite.proto.v1.DropStageResponse;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest.AtCase;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.ReleaseLeaseResponse;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import dev.grpsqlite.proto.v1.View;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.Session.PendingView;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.Changes;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.wire.Callers;
import dev.grpsqlite.server.wire.Calls;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Names;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Statuses;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * The page service over a {@link PageStore}. Checks what came over the wire, keeps the session's
 * books, and passes on to the store. Thread-safe; waits for nothing.
 */
public final class PageStoreService extends PageStoreGrpc.PageStoreImplBase {
  /** A client with more changed pages than this is told to forget all: 320 KiB on the wire. */
  private static final int MAX_CHANGES = 65_536;

  private static final int MAX_CLIENT_NAME_BYTES = 256;

  private static final int LIVE_VIEW = 0;

  private final PageStore store;
  private final SessionTable sessions;
  private final Leases leases;
  private final PageServiceLimits limits;
  private final Traffic traffic;
  private final String serverName;

  public PageStoreService(
      PageStore store,
      SessionTable sessions,
      Leases leases,
      PageServiceLimits limits,
      Traffic traffic,
      String serverName) {
    this.store = store;
    this.sessions = sessions;
    this.leases = leases;
    this.limits = limits;
    this.traffic = traffic;
    this.serverName = serverName;
  }

  @Override
  public void openSession(
      OpenSessionRequest request, StreamObserver<OpenSessionResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          String name = request.getClientName();
          if (name.getBytes(StandardCharsets.UTF_8).length > MAX_CLIENT_NAME_BYTES) {
            throw new RequestException(
                Reason.INVALID_REQUEST,
                "client_name has more than " + MAX_CLIENT_NAME_BYTES + " bytes");
          }
          sessions.open(Ids.session(request.getSessionId()), name, Callers.current().identity());
          return done(
              OpenSessionResponse.newBuilder()
                  .setTtlMs((int) sessions.ttl().toMillis())
                  .setCapabilities(
                      Capabilities.newBuilder()
                          .setTimeTravel(store.capabilities().timeTravel())
                          .setFork(store.capabilities().fork()))
                  .setMaxMessageBytes(limits.messageBytes())
                  .setServerName(serverName)
                  .build());
        });
  }

  @Override
  public void keepAlive(KeepAliveRequest request, StreamObserver<KeepAliveResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session =
              sessions.keepAlive(Ids.session(request.getSessionId()), caller.identity());
          List<CompletableFuture<Boolean>> views = new ArrayList<>();
          for (View view : request.getViewsList()) {
            views.add(moveView(caller, session, view));
          }
          KeepAliveResponse.Builder answer =
              KeepAliveResponse.newBuilder().setTtlMs((int) sessions.ttl().toMillis());
          session.lostLeases().forEach(database -> answer.addLostLeases(Ids.bytes(database)));
          return CompletableFuture.allOf(views.toArray(new CompletableFuture<?>[0]))
              .thenApply(moved -> answer.build());
        });
  }

  /** What may not be read (any more) is not kept for the reading. */
  private CompletableFuture<Boolean> moveView(Caller caller, Session session, View view) {
    DatabaseId database = Ids.database(view.getDatabaseId());
    long floor = Fields.version(view.getFloorVersion());
    if (view.getClosed()) {
      session.closeView(database, view.getView());
      return done(true);
    }
    return caller
        .may(store, database, Right.READ)
        .exceptionally(
            error -> {
              if (isNoSuchDatabase(error)) {
                return false;
              }
              throw Statuses.of(error);
            })
        .thenApply(
            allowed -> {
              if (allowed) {
                session.raiseFloor(database, view.getView(), floor);
              } else {
                session.closeView(database, view.getView());
              }
              return allowed;
            });
  }

  private Session session(Caller caller, ByteString id) {
    return sessions.get(Ids.session(id), caller.identity());
  }

  @Override
  public void closeSession(
      CloseSessionRequest request, StreamObserver<CloseSessionResponse> observer) {
    Calls.answer(
        observer,
        () ->
            sessions
                .close(Ids.session(request.getSessionId()), Callers.current().identity())
                .thenApply(closed -> CloseSessionResponse.getDefaultInstance()));
  }

  @Override
  public void openDatabase(
      OpenDatabaseRequest request, StreamObserver<OpenDatabaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          String name = Names.checked(request.getName());
          boolean reads = request.getReadOnly() && !request.getCreate();
          caller.require(name, reads ? Right.READ : Right.WRITE);
          switch (request.getAtCase()) {
            case AT_VERSION, AT_TIME -> {
              if (!store.capabilities().timeTravel()) {
                throw unsupported("this server's storage keeps no old versions to open");
              }
              if (request.getView() == LIVE_VIEW) {
                throw invalid("view 0 is the live one; a fixed version needs another");
              }
            }
            case AT_NOT_SET -> {}
          }
          // An old version is of a database that is there.
          boolean create = request.getCreate() && request.getAtCase() == AtCase.AT_NOT_SET;
          return find(name, create).thenCompose(info -> open(session, info.id(), request));
        });
  }

  private CompletableFuture<DatabaseInfo> find(String name, boolean create) {
    return create
        ? store.findOrCreate(name)
        : store
            .find(name)
            .thenApply(
                found ->
                    found.orElseThrow(
                        () ->
                            new StoreException(
                                Code.NO_SUCH_DATABASE, "no database is called " + name)));
  }

  private CompletableFuture<OpenDatabaseResponse> open(
      Session session, DatabaseId database, OpenDatabaseRequest request) {
    PendingView view = session.enterView(database, request.getView());
    CompletableFuture<OpenDatabaseResponse> answer =
        store
            .info(database)
            .thenCompose(
                info -> {
                  CompletableFuture<Snapshot> wanted =
                      switch (request.getAtCase()) {
                        case AT_VERSION ->
                            store.snapshot(database, Fields.version(request.getAtVersion()));
                        case AT_TIME ->
                            store.snapshotAt(database, Fields.time("at_time", request.getAtTime()));
                        case AT_NOT_SET -> store.snapshot(database, info.head().version());
                      };
                  return wanted.thenCompose(
                      snapshot ->
                          firstPage(database, snapshot)
                              .thenApply(pages -> opened(info, snapshot, pages)));
                });
    return answer.whenComplete(
        (opened, error) -> {
          if (error != null) {
            view.failed();
          } else {
            view.established(opened.getSnapshot().getVersion());
          }
        });
  }

  private CompletableFuture<List<PageImage>> firstPage(DatabaseId database, Snapshot snapshot) {
    return snapshot.pageCount() == 0
        ? CompletableFuture.completedFuture(List.of())
        : store.read(database, snapshot.version(), new long[] {1});
  }

  private OpenDatabaseResponse opened(DatabaseInfo info, Snapshot snapshot, List<PageImage> pages) {
    OpenDatabaseResponse.Builder answer =
        OpenDatabaseResponse.newBuilder()
            .setDatabaseId(Ids.bytes(info.id()))
            .setSnapshot(message(snapshot))
            .setOldestVersion(info.oldestVersion())
            .setHeadVersion(info.head().version());
    for (PageImage page : pages) {
      answer.addPages(Pages.outgoing(page));
      traffic.pageRead(page.data().remaining());
    }
    return answer.build();
  }

  @Override
  public void refresh(RefreshRequest request, StreamObserver<RefreshResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          long have = Fields.version(request.getHaveVersion());
          long floor = Fields.version(request.getFloorVersion());
          return caller
              .require(store, database, Right.READ)
              .thenCompose(
                  allowed -> {
                    session.raiseFloor(database, LIVE_VIEW, floor);
                    return store.head(database);
                  })
              .thenCompose(
                  head ->
                      changes(database, have, head.version())
                          .thenApply(
                              changes ->
                                  RefreshResponse.newBuilder()
                                      .setHead(message(head))
                                      .setChanges(message(changes))
                                      .build()))
              .whenComplete((answer, error) -> forgetViewIfGone(session, database, error));
        });
  }

  /** A floor that was told for a database that does not exist is not kept. */
  private static void forgetViewIfGone(
      Session session, DatabaseId database, @Nullable Throwable error) {
    if (isNoSuchDatabase(error)) {
      session.closeView(database, LIVE_VIEW);
    }
  }

  private static boolean isNoSuchDatabase(@Nullable Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    return cause instanceof StoreException e && e.code() == Code.NO_SUCH_DATABASE;
  }

  private CompletableFuture<Changes> changes(DatabaseId database, long have, long head) {
    if (have == head) {
      return CompletableFuture.completedFuture(Changes.NONE);
    }
    return have > head
        ? CompletableFuture.completedFuture(Changes.ALL)
        : store.changes(database, have, head, MAX_CHANGES);
  }

  @Override
  public void readPages(ReadPagesRequest request, StreamObserver<ReadPagesResponse> observer) {
    ServerCallStreamObserver<ReadPagesResponse> call =
        (ServerCallStreamObserver<ReadPagesResponse>) observer;
    PageStream stream = new PageStream(call, traffic);
    try {
      Caller caller = Callers.current();
      Session session = session(caller, request.getSessionId());
      DatabaseId database = Ids.database(request.getDatabaseId());
      long version = Fields.version(request.getVersion());
      StageId stage = request.getStageId().isEmpty() ? null : Ids.stage(request.getStageId());
      PageRanges ranges = PageRanges.of(request.getRangesList(), limits.pagesPerRead());
      CompletableFuture<Snapshot> unused =
          caller
              .require(store, database, Right.READ)
              .thenCompose(allowed -> store.snapshot(database, version))
              .whenComplete(
                  (snapshot, error) -> {
                    if (error != null) {
                      stream.fail(error);
                    } else if (stage == null && ranges.highest() > snapshot.pageCount()) {
                      stream.fail(
                          invalid(
                              "page "
                                  + ranges.highest()
                                  + " does not exist: version "
                                  + version
                                  + " has "
                                  + snapshot.pageCount()));
                    } else if (stage == null) {
                      stream.start(
                          ranges,
                          snapshot.pageSize(),
                          pages -> store.read(database, version, pages));
                    } else {
                      // The stage may be of larger pages than the version.
                      stream.start(
                          ranges,
                          Pages.MAX_PAGE_SIZE,
                          pages -> store.readStaged(database, session.id(), stage, version, pages));
                    }
                  });
    } catch (RuntimeException e) {
      stream.fail(e);
    }
  }

  @Override
  public void acquireLease(
      AcquireLeaseRequest request, StreamObserver<AcquireLeaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          long have = Fields.version(request.getHaveVersion());
          long floor = Fields.version(request.getFloorVersion());
          if (request.getWaitMs() != 0) {
            throw unsupported("this server does not ask holders to yield; wait_ms must be 0");
          }
          return caller
              .require(store, database, Right.WRITE)
              .thenCompose(allowed -> store.head(database))
              .thenCompose(
                  head -> {
                    session.raiseFloor(database, LIVE_VIEW, floor);
                    if (head.version() != have && !request.getAtAnyVersion()) {
                      return done(notGranted(Outcome.OUTCOME_HEAD_MOVED, head));
                    }
                    session.checkRoomForLease(database);
                    OptionalLong epochBefore = session.leaseEpoch(database);
                    return leases
                        .acquire(session, database)
                        .thenCompose(
                            state ->
                                session.id().equals(state.holder())
                                    ? granted(session, database, state, epochBefore, request)
                                    : done(notGranted(Outcome.OUTCOME_HELD, head)));
                  });
        });
  }

  /** The lease is taken; only now does the head stand still. */
  private CompletableFuture<AcquireLeaseResponse> granted(
      Session session,
      DatabaseId database,
      LeaseState state,
      OptionalLong epochBefore,
      AcquireLeaseRequest request) {
    long have = request.getHaveVersion();
    return store
        .head(database)
        .thenCompose(
            head -> {
              if (head.version() != have && !request.getAtAnyVersion()) {
                CompletableFuture<Void> givenBack =
                    epochBefore.equals(OptionalLong.of(state.epoch()))
                        ? CompletableFuture.completedFuture(null)
                        : leases.release(session, database, state.epoch());
                return givenBack.thenApply(
                    released -> notGranted(Outcome.OUTCOME_HEAD_MOVED, head));
              }
              return changes(database, have, head.version())
                  .thenApply(
                      changes ->
                          AcquireLeaseResponse.newBuilder()
                              .setOutcome(Outcome.OUTCOME_GRANTED)
                              .setEpoch(state.epoch())
                              .setHead(message(head))
                              .setChanges(message(changes))
                              .build());
            });
  }

  private static AcquireLeaseResponse notGranted(Outcome outcome, Snapshot head) {
    return AcquireLeaseResponse.newBuilder().setOutcome(outcome).setHead(message(head)).build();
  }

  @Override
  public void releaseLease(
      ReleaseLeaseRequest request, StreamObserver<ReleaseLeaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          return leases
              .release(session, Ids.database(request.getDatabaseId()), request.getEpoch())
              .handle(
                  (released, error) -> {
                    if (error != null && !isNoSuchDatabase(error)) {
                      throw Statuses.of(error);
                    }
                    return ReleaseLeaseResponse.getDefaultInstance();
                  });
        });
  }

  @Override
  public void stagePages(StagePagesRequest request, StreamObserver<StagePagesResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          StageId stage = Ids.stage(request.getStageId());
          int pageSize = Pages.checkedPageSize(request.getPageSize());
          List<PageImage> pages = Pages.incoming(request.getPagesList(), pageSize);
          long bytes = bytes(pages);
          return caller
              .require(store, database, Right.WRITE)
              .thenCompose(
                  allowed -> {
                    session.addStaged(database, stage, bytes, limits.stagedBytesPerSession());
                    return store.stage(
                        database, session.id(), request.getEpoch(), stage, pageSize, pages);
                  })
              .handle(
                  (staged, error) -> {
                    if (error != null) {
                      noteLost(session, database, request.getEpoch(), error);
                      throw Statuses.of(error);
                    }
                    noteHeld(session, database, request.getEpoch());
                    traffic.pagesWritten(pages.size(), bytes);
                    return StagePagesResponse.getDefaultInstance();
                  });
        });
  }

  @Override
  public void dropStage(DropStageRequest request, StreamObserver<DropStageResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          StageId stage = Ids.stage(request.getStageId());
          return store
              .dropStage(database, session.id(), stage)
              .thenApply(
                  dropped -> {
                    session.dropStaged(database, stage);
                    return DropStageResponse.getDefaultInstance();
                  });
        });
  }

  @Override
  public void commit(CommitRequest request, StreamObserver<CommitResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          Commit commit = checkedCommit(session, request);
          long floor = Fields.version(request.getFloorVersion());
          return caller
              .require(store, commit.database(), Right.WRITE)
              .thenCompose(allowed -> store.commit(commit))
              .handle(
                  (version, error) -> {
                    if (error != null) {
                      noteLost(session, commit.database(), commit.epoch(), error);
                      throw Statuses.of(error);
                    }
                    noteHeld(session, commit.database(), commit.epoch());
                    if (commit.stage() != null) {
                      session.dropStaged(commit.database(), commit.stage());
                    }
                    session.raiseFloor(commit.database(), LIVE_VIEW, floor);
                    traffic.pagesWritten(commit.pages().size(), bytes(commit.pages()));
                    traffic.committed();
                    return CommitResponse.newBuilder().setVersion(version).build();
                  });
        });
  }

  private static Commit checkedCommit(Session session, CommitRequest request) {
    int pageSize = Pages.checkedPageSize(request.getPageSize());
    long pageCount = Integer.toUnsignedLong(request.getPageCount());
    if (pageCount > Pages.MAX_PAGE_NUMBER) {
      throw invalid("page_count " + pageCount + " is more than a database can have");
    }
    List<PageImage> pages = Pages.incoming(request.getPagesList(), pageSize);
    for (PageImage page : pages) {
      if (page.number() > pageCount) {
        throw invalid("page " + page.number() + " is above the page_count " + pageCount);
      }
    }
    return new Commit(
        Ids.database(request.getDatabaseId()),
        session.id(),
        request.getEpoch(),
        Ids.commit(request.getCommitId()),
        Fields.version(request.getBaseVersion()),
        pageSize,
        pageCount,
        request.getStageId().isEmpty() ? null : Ids.stage(request.getStageId()),
        pages);
  }

  private static void noteLost(Session session, DatabaseId database, long epoch, Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    if (cause instanceof StoreException e && e.code() == Code.LEASE_LOST) {
      session.leaseLost(database, epoch);
    }
  }

  /** A server that restarted learns so of a lease that was granted before. */
  private void noteHeld(Session session, DatabaseId database, long epoch) {
    if (!session.leaseUsed(database, epoch)) {
      // The session ended in the meantime; what it staged goes with the lease.
      CompletableFuture<Void> unused = leases.release(session, database, epoch);
    }
  }

  @Override
  public void commitGroup(
      CommitGroupRequest request, StreamObserver<CommitGroupResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          throw unsupported("this server cannot commit several databases together");
        });
  }

  @Override
  public void watch(WatchRequest request, StreamObserver<WatchResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          throw unsupported("this server has nothing to watch");
        });
  }

  private static long bytes(List<PageImage> pages) {
    long bytes = 0;
    for (PageImage page : pages) {
      bytes += page.data().remaining();
    }
    return bytes;
  }

  private static RequestException invalid(String message) {
    return new RequestException(Reason.INVALID_REQUEST, message);
  }

  private static RequestException unsupported(String message) {
    return new RequestException(Reason.UNSUPPORTED, message);
  }

  private static <T> CompletableFuture<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }

  private static dev.grpsqlite.proto.v1.Snapshot message(Snapshot snapshot) {
    return dev.grpsqlite.proto.v1.Snapshot.newBuilder()
        .setVersion(snapshot.version())
        .setPageSize(snapshot.pageSize())
        .setPageCount((int) snapshot.pageCount())
        .build();
  }

  private static dev.grpsqlite.proto.v1.Changes message(Changes changes) {
    dev.grpsqlite.proto.v1.Changes.Builder message =
        dev.grpsqlite.proto.v1.Changes.newBuilder().setAll(changes.all());
    for (long page : changes.pages()) {
      message.addPages((int) page);
    }
    return message.build();
  }
}
