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
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.KnownVersion;
import dev.grpsqlite.server.session.LeaseAnswer;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.Session.PendingView;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
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
import dev.grpsqlite.server.wire.RequestArrays;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Statuses;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * The page service over a {@link PageStore}. Checks what came over the wire, keeps the session's
 * books, and passes on to the store. Thread-safe; waits for nothing.
 */
public final class PageStoreService extends PageStoreGrpc.PageStoreImplBase {
  private static final int MAX_CLIENT_NAME_BYTES = 256;

  /** Who wants to wait longer asks again and has its place still. */
  private static final long MAX_LEASE_WAIT_MS = 10_000;

  /** What is left of a call's deadline for its answer to arrive. */
  private static final long ANSWER_MS = 20;

  private final PageStore store;
  private final SessionTable sessions;
  private final Leases leases;
  private final Heads heads;
  private final Watches watches;
  private final PageServiceLimits limits;
  private final Traffic traffic;
  private final OpenAnswers openAnswers;
  private final Writes writes;
  private final String serverName;

  public PageStoreService(
      PageStore store,
      SessionTable sessions,
      Leases leases,
      Heads heads,
      Watches watches,
      PageServiceLimits limits,
      RequestArrays arrays,
      Traffic traffic,
      String serverName) {
    this.store = store;
    this.sessions = sessions;
    this.leases = leases;
    this.heads = heads;
    this.watches = watches;
    this.limits = limits;
    this.traffic = traffic;
    this.openAnswers = new OpenAnswers(store, traffic);
    this.writes = new Writes(store, leases, limits, arrays, traffic);
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
            throw RequestException.invalid(
                "client_name has more than " + MAX_CLIENT_NAME_BYTES + " bytes");
          }
          Caller caller = Callers.current();
          return sessions
              .openForAll(
                  Ids.session(request.getSessionId()),
                  name,
                  caller.identity(),
                  caller::isKnown,
                  Callers.countedAs(caller))
              .thenApply(this::sessionAnswer);
        });
  }

  private OpenSessionResponse sessionAnswer(Session session) {
    return OpenSessionResponse.newBuilder()
        .setIncarnation(session.incarnation())
        .setTtlMs((int) sessions.ttl().toMillis())
        .setCapabilities(
            Capabilities.newBuilder()
                .setCommitGroup(store.capabilities().commitGroup())
                .setWatch(true)
                .setTimeTravel(store.capabilities().timeTravel())
                .setPrefetch(true)
                .setLz4(true)
                .setFork(store.capabilities().fork()))
        .setMaxMessageBytes(limits.messageBytes())
        .setServerName(serverName)
        .build();
  }

  @Override
  public void keepAlive(KeepAliveRequest request, StreamObserver<KeepAliveResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          return sessions
              .keepAliveForAll(Ids.session(request.getSessionId()), caller.identity())
              .thenCompose(session -> keptAlive(caller, session, request));
        });
  }

  private CompletableFuture<KeepAliveResponse> keptAlive(
      Caller caller, Session session, KeepAliveRequest request) {
    List<CompletableFuture<Boolean>> views = new ArrayList<>();
    for (View view : request.getViewsList()) {
      views.add(moveView(caller, session, view));
    }
    KeepAliveResponse.Builder answer =
        KeepAliveResponse.newBuilder()
            .setTtlMs((int) sessions.ttl().toMillis())
            .setIncarnation(session.incarnation());
    session.lostLeases().keySet().forEach(database -> answer.addLostLeases(Ids.bytes(database)));
    return CompletableFuture.allOf(views.toArray(new CompletableFuture<?>[0]))
        .thenApply(moved -> answer.build());
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
          boolean reads =
              request.getReadOnly() && !request.getCreate() && !request.getDropUnlessCommitted();
          caller.require(name, reads ? Right.READ : Right.WRITE);
          switch (request.getAtCase()) {
            case AT_VERSION, AT_TIME -> {
              if (!store.capabilities().timeTravel()) {
                throw unsupported("this server's storage keeps no old versions to open");
              }
              if (request.getView() == Session.LIVE_VIEW) {
                throw RequestException.invalid(
                    "view 0 is the live one; a fixed version needs another");
              }
            }
            case AT_NOT_SET -> {}
          }
          // An old version is of a database that is there.
          boolean create = request.getCreate() && request.getAtCase() == AtCase.AT_NOT_SET;
          return findAndOpen(session, name, create, request)
              .exceptionallyCompose(
                  error ->
                      // It was dropped in between: then there is none, and one is made.
                      create && isNoSuchDatabase(error)
                          ? findAndOpen(session, name, create, request)
                          : CompletableFuture.failedFuture(error));
        });
  }

  private CompletableFuture<OpenDatabaseResponse> findAndOpen(
      Session session, String name, boolean create, OpenDatabaseRequest request) {
    return find(name, create)
        .thenCompose(
            info -> {
              if (request.getDropUnlessCommitted()) {
                session.dropUnlessCommitted(info.id());
              }
              return open(session, info.id(), request);
            });
  }

  private CompletableFuture<DatabaseInfo> find(String name, boolean create) {
    return create
        ? store.findOrCreate(name)
        : store
            .find(name)
            .thenApply(found -> found.orElseThrow(() -> StoreException.noSuchDatabase(name)));
  }

  private CompletableFuture<OpenDatabaseResponse> open(
      Session session, DatabaseId database, OpenDatabaseRequest request) {
    PendingView view = session.enterView(database, request.getView());
    int wishedMs = request.getView() == Session.LIVE_VIEW ? request.getReadDelegationMs() : 0;
    CompletableFuture<OpenDatabaseResponse> answer =
        leases
            .whenNotBeingDropped(database)
            .thenCompose(stays -> leases.delegateReads(session, database, wishedMs))
            .thenCompose(
                delegatedMs ->
                    store
                        .info(database)
                        .thenCompose(
                            info ->
                                openAnswers.of(session::predictor, info, request, delegatedMs)));
    return answer.whenComplete(
        (opened, error) -> {
          if (error != null) {
            view.failed();
          } else {
            view.established(opened.getSnapshot().getVersion());
          }
        });
  }

  @Override
  public void refresh(RefreshRequest request, StreamObserver<RefreshResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          KnownVersion have =
              new KnownVersion(Fields.version(request.getHaveVersion()), request.getHaveMark());
          long floor = Fields.version(request.getFloorVersion());
          return caller
              .require(store, database, Right.READ)
              .thenCompose(
                  allowed -> {
                    session.raiseFloor(database, Session.LIVE_VIEW, floor);
                    return leases.delegateReads(session, database, request.getReadDelegationMs());
                  })
              .thenCompose(
                  delegatedMs ->
                      heads
                          .since(database, have)
                          .thenApply(move -> begun(session, database, move))
                          .thenApply(
                              move ->
                                  RefreshResponse.newBuilder()
                                      .setHead(Messages.of(move.head()))
                                      .setChanges(Messages.changes(move))
                                      .setReadDelegationMs(delegatedMs)
                                      .build()))
              .whenComplete((answer, error) -> forgetViewIfGone(session, database, error));
        });
  }

  /** Who goes on in another history reads from its head on, whatever floor it told before. */
  private static Heads.Move begun(Session session, DatabaseId database, Heads.Move move) {
    if (move.otherHistory()) {
      session.lowerFloor(database, Session.LIVE_VIEW, move.head().version());
    }
    return move;
  }

  /** A floor that was told for a database that does not exist is not kept. */
  private static void forgetViewIfGone(
      Session session, DatabaseId database, @Nullable Throwable error) {
    if (isNoSuchDatabase(error)) {
      session.closeView(database, Session.LIVE_VIEW);
    }
  }

  private static boolean isNoSuchDatabase(@Nullable Throwable error) {
    return StoreException.codeOf(error) == Code.NO_SUCH_DATABASE;
  }

  @Override
  public void readPages(ReadPagesRequest request, StreamObserver<ReadPagesResponse> observer) {
    ServerCallStreamObserver<ReadPagesResponse> call =
        (ServerCallStreamObserver<ReadPagesResponse>) observer;
    PageStream stream = new PageStream(call, traffic, request.getAcceptLz4());
    try {
      Caller caller = Callers.current();
      Session session = session(caller, request.getSessionId());
      DatabaseId database = Ids.database(request.getDatabaseId());
      long version = Fields.version(request.getVersion());
      KnownVersion wanted = new KnownVersion(version, request.getMark());
      StageId stage = request.getStageId().isEmpty() ? null : Ids.stage(request.getStageId());
      PageRanges ranges = PageRanges.of(request.getRangesList(), limits.pagesPerRead());
      long credit = Ahead.credit(request.getPrefetchCreditBytes());
      CompletableFuture<Snapshot> unused =
          caller
              .require(store, database, Right.READ)
              .thenCompose(allowed -> store.snapshot(database, version))
              .whenComplete(
                  (snapshot, error) -> {
                    if (error != null) {
                      stream.fail(error);
                    } else if (!wanted.is(snapshot)) {
                      stream.fail(otherHistory(database, version));
                    } else if (stage == null && ranges.highest() > snapshot.pageCount()) {
                      stream.fail(
                          RequestException.invalid(
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
                          pages -> store.read(database, version, pages),
                          pages ->
                              credit == 0
                                  ? null
                                  : session
                                      .predictor(database)
                                      .demanded(Ahead.shape(snapshot), pages, credit));
                    } else {
                      // The stage may be of larger pages than the version.
                      stream.start(
                          ranges,
                          Pages.MAX_PAGE_SIZE,
                          pages -> store.readStaged(database, session.id(), stage, version, pages),
                          pages -> null);
                    }
                  });
    } catch (RuntimeException e) {
      stream.fail(e);
    }
  }

  private static StoreException otherHistory(DatabaseId database, long version) {
    return new StoreException(
        Code.NO_SUCH_VERSION,
        "version %d of database %s is another one than the client knows: the server's data were"
                .formatted(version, database)
            + " replaced by an older copy");
  }

  @Override
  public void acquireLease(
      AcquireLeaseRequest request, StreamObserver<AcquireLeaseResponse> observer) {
    Calls.answer(
        observer,
        cancelled -> {
          Caller caller = Callers.current();
          Session session = session(caller, request.getSessionId());
          DatabaseId database = Ids.database(request.getDatabaseId());
          KnownVersion have =
              new KnownVersion(Fields.version(request.getHaveVersion()), request.getHaveMark());
          long floor = Fields.version(request.getFloorVersion());
          Duration wait = leaseWait(request);
          LeaseWish wish = new LeaseWish(Optional.of(have), request.getAtAnyVersion());
          return caller
              .require(store, database, Right.WRITE)
              .thenCompose(allowed -> store.head(database))
              .thenCompose(
                  head -> {
                    session.raiseFloor(database, Session.LIVE_VIEW, floor);
                    if (!have.is(head) && !request.getAtAnyVersion()) {
                      return done(notGranted(Outcome.OUTCOME_HEAD_MOVED, head));
                    }
                    session.checkRoomForLease(database);
                    return leases
                        .acquire(session, database, wish, wait, cancelled)
                        .thenCompose(answer -> answer(session, database, answer));
                  });
        });
  }

  private static Duration leaseWait(AcquireLeaseRequest request) {
    long millis = Math.min(Integer.toUnsignedLong(request.getWaitMs()), MAX_LEASE_WAIT_MS);
    Deadline deadline = Context.current().getDeadline();
    if (deadline != null) {
      long left = deadline.timeRemaining(TimeUnit.MILLISECONDS);
      millis = Math.min(millis, Math.max(0, left - ANSWER_MS));
    }
    return Duration.ofMillis(millis);
  }

  private CompletableFuture<AcquireLeaseResponse> answer(
      Session session, DatabaseId database, LeaseAnswer answer) {
    Heads.Move move = answer.move();
    if (move == null) {
      return store.head(database).thenApply(head -> notGranted(Outcome.OUTCOME_HELD, head));
    }
    if (!answer.isGranted()) {
      return done(notGranted(Outcome.OUTCOME_HEAD_MOVED, move.head()));
    }
    return done(
        AcquireLeaseResponse.newBuilder()
            .setOutcome(Outcome.OUTCOME_GRANTED)
            .setEpoch(answer.state().epoch())
            .setHead(Messages.of(move.head()))
            .setChanges(Messages.changes(begun(session, database, move)))
            .build());
  }

  private static AcquireLeaseResponse notGranted(Outcome outcome, Snapshot head) {
    return AcquireLeaseResponse.newBuilder().setOutcome(outcome).setHead(Messages.of(head)).build();
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
          return writes.stage(caller, session(caller, request.getSessionId()), request);
        });
  }

  @Override
  public void dropStage(DropStageRequest request, StreamObserver<DropStageResponse> observer) {
    Calls.answer(
        observer,
        () -> writes.dropStage(session(Callers.current(), request.getSessionId()), request));
  }

  @Override
  public void commit(CommitRequest request, StreamObserver<CommitResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = Callers.current();
          return writes.commit(caller, session(caller, request.getSessionId()), request);
        });
  }

  @Override
  public void commitGroup(
      CommitGroupRequest request, StreamObserver<CommitGroupResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          if (!store.capabilities().commitGroup()) {
            throw unsupported("this server's storage cannot commit several databases together");
          }
          Caller caller = Callers.current();
          return writes.commitGroup(caller, session(caller, request.getSessionId()), request);
        });
  }

  @Override
  public void watch(WatchRequest request, StreamObserver<WatchResponse> observer) {
    new WatchCall((ServerCallStreamObserver<WatchResponse>) observer, store, watches)
        .open(request, sessions);
  }

  private static RequestException unsupported(String message) {
    return new RequestException(Reason.UNSUPPORTED, message);
  }

  private static <T> CompletableFuture<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }
}
