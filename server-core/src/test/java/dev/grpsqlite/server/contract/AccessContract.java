package dev.grpsqlite.server.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.CloseRequest;
import dev.grpsqlite.proto.file.DeleteRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.file.HeartbeatLeaseRequest;
import dev.grpsqlite.proto.file.PragmaRequest;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.TruncateRequest;
import dev.grpsqlite.proto.file.WriteRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropStageRequest;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.proto.v1.ListDatabasesResponse;
import dev.grpsqlite.proto.v1.ListVersionsRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.SetRetentionRequest;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StatDatabaseRequest;
import dev.grpsqlite.proto.v1.View;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.auth.AccessRules;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.SnapshotPins;
import io.grpc.CallOptions;
import io.grpc.ClientInterceptors;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServiceDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.protobuf.StatusProto;
import io.grpc.reflection.v1.ServerReflectionGrpc;
import io.grpc.reflection.v1.ServerReflectionRequest;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Who may call what: every RPC of all services, by the tokens of several identities. */
@Timeout(120)
public abstract class AccessContract {
  private static final String NAME = "tenant-7/main.db";
  private static final String WATCH = "grpsqlite.v1.PageStore/Watch";

  /** What an RPC needs, the database being {@link #NAME}. */
  private enum Needs {
    /** To be known. */
    IDENTITY,
    /**
     * The session that it names. It may name any database: if it has nothing there, nothing is
     * done.
     */
    SESSION,
    /** Its session, and to read. */
    READ,
    /** Its session where it names one, and to write. */
    WRITE,
    ADMIN
  }

  private record Rpc(Needs needs, Message request) {}

  /** "bob" may do with another tenant's databases what "alice" may with hers. */
  private static final String RULES =
      """
      allow alice  write tenant-7/**
      allow bob    write tenant-8/**
      allow reader read  tenant-7/**
      allow root   admin **
      """;

  @TempDir protected @Nullable Path folder;
  private final Access access = Access.by(rules("alice", "bob", "reader", "root"));
  private @Nullable PageStore opened;
  private @Nullable SnapshotPins pins;
  private @Nullable ServedStore serving;

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  /** Each has as its token its own name, twice. */
  private static AccessRules rules(String... identities) {
    StringBuilder text = new StringBuilder(RULES);
    try {
      for (String identity : identities) {
        byte[] hash =
            MessageDigest.getInstance("SHA-256")
                .digest((identity + identity).getBytes(StandardCharsets.UTF_8));
        text.append("token " + HexFormat.of().formatHex(hash) + " " + identity + "\n");
      }
      return AccessRules.parse(text.toString());
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  @BeforeEach
  void serve() throws Exception {
    serving =
        new ServedStore(
            ServerOptions.DEFAULTS,
            access,
            given -> {
              try {
                pins = given;
                opened = open(given, Clock.systemUTC(), folder == null ? Path.of("") : folder);
                return opened;
              } catch (Exception e) {
                throw new AssertionError(e);
              }
            });
    serving.pass(10_001);
  }

  @AfterEach
  void stop() {
    if (serving != null) {
      serving.close();
    }
  }

  private ServedStore server() {
    if (serving == null) {
      throw new AssertionError("not serving");
    }
    return serving;
  }

  private PageStore store() {
    if (opened == null) {
      throw new AssertionError("not open");
    }
    return opened;
  }

  // ---- Calls

  private io.grpc.Channel as(@Nullable String token) {
    if (token == null) {
      return server().channel;
    }
    Metadata headers = new Metadata();
    headers.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + token);
    return ClientInterceptors.intercept(
        server().channel, MetadataUtils.newAttachHeadersInterceptor(headers));
  }

  private static List<ServiceDescriptor> services() {
    return List.of(
        PageStoreGrpc.getServiceDescriptor(),
        AdminGrpc.getServiceDescriptor(),
        GrpsqliteGrpc.getServiceDescriptor());
  }

  @SuppressWarnings("unchecked")
  private List<Message> call(@Nullable String token, String method, Message request) {
    for (ServiceDescriptor service : services()) {
      for (MethodDescriptor<?, ?> each : service.getMethods()) {
        if (each.getFullMethodName().equals(method)) {
          if (method.equals(WATCH)) {
            return watch(token, (WatchRequest) request);
          }
          Iterator<Message> answers =
              ClientCalls.blockingServerStreamingCall(
                  as(token),
                  (MethodDescriptor<Message, Message>) each,
                  CallOptions.DEFAULT.withDeadlineAfter(1, TimeUnit.MINUTES),
                  request);
          List<Message> all = new ArrayList<>();
          answers.forEachRemaining(all::add);
          return all;
        }
      }
    }
    throw new AssertionError("no method is called " + method);
  }

  /** A Watch ends by itself only if it is refused: else what it tells first is its answer. */
  private List<Message> watch(@Nullable String token, WatchRequest request) {
    Context.CancellableContext context = Context.current().withCancellation();
    try {
      return List.of(
          context.call(() -> PageStoreGrpc.newBlockingStub(as(token)).watch(request).next()));
    } catch (StatusRuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new AssertionError(e);
    } finally {
      context.cancel(null);
    }
  }

  /** "" if it was not refused for who called. */
  private String refusal(@Nullable String token, String method, Message request) {
    try {
      call(token, method, request);
      return "";
    } catch (StatusRuntimeException e) {
      String reason = reason(e);
      return switch (e.getStatus().getCode()) {
        case UNAUTHENTICATED -> {
          assertEquals("BAD_TOKEN", reason, method);
          yield reason;
        }
        case PERMISSION_DENIED -> {
          assertEquals("NOT_ALLOWED", reason, method);
          yield reason;
        }
        default -> "";
      };
    }
  }

  private static String reason(StatusRuntimeException e) {
    com.google.rpc.Status status = StatusProto.fromThrowable(e);
    try {
      return status == null || status.getDetailsCount() == 0
          ? ""
          : status.getDetails(0).unpack(ErrorInfo.class).getReason();
    } catch (com.google.protobuf.InvalidProtocolBufferException broken) {
      throw new AssertionError(broken);
    }
  }

  private static ByteString id(int number) {
    return ByteString.copyFrom(new byte[15])
        .concat(ByteString.copyFrom(new byte[] {(byte) number}));
  }

  private ByteString makeDatabase(String name) throws Exception {
    ByteBuffer bytes = ByteBuffer.allocate(16);
    store().findOrCreate(name).get().id().write(bytes);
    return ByteString.copyFrom(bytes.flip());
  }

  private static DatabaseId databaseId(ByteString id) {
    return DatabaseId.read(id.asReadOnlyByteBuffer());
  }

  private void openSession(String token, ByteString session) {
    call(
        token,
        "grpsqlite.v1.PageStore/OpenSession",
        OpenSessionRequest.newBuilder().setSessionId(session).build());
  }

  /** Every RPC, each with a request of one session about one database. */
  private static Map<String, Rpc> rpcs(ByteString session, ByteString database) {
    Map<String, Rpc> rpcs = new TreeMap<>();
    String pages = "grpsqlite.v1.PageStore/";
    String admin = "grpsqlite.v1.Admin/";
    String files = "grpc_vfs.Grpsqlite/";
    rpcs.put(
        pages + "OpenSession",
        new Rpc(Needs.SESSION, OpenSessionRequest.newBuilder().setSessionId(session).build()));
    rpcs.put(
        pages + "KeepAlive",
        new Rpc(
            Needs.SESSION,
            KeepAliveRequest.newBuilder()
                .setSessionId(session)
                .addViews(View.newBuilder().setDatabaseId(database))
                .build()));
    rpcs.put(
        pages + "CloseSession",
        new Rpc(Needs.SESSION, CloseSessionRequest.newBuilder().setSessionId(session).build()));
    rpcs.put(
        pages + "OpenDatabase",
        new Rpc(
            Needs.WRITE,
            OpenDatabaseRequest.newBuilder()
                .setSessionId(session)
                .setName(NAME)
                .setReadOnly(true)
                .setCreate(true)
                .build()));
    rpcs.put(
        pages + "Refresh",
        new Rpc(
            Needs.READ,
            RefreshRequest.newBuilder().setSessionId(session).setDatabaseId(database).build()));
    rpcs.put(
        pages + "ReadPages",
        new Rpc(
            Needs.READ,
            ReadPagesRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .addRanges(PageRange.newBuilder().setFirst(1).setCount(1))
                .build()));
    rpcs.put(
        pages + "AcquireLease",
        new Rpc(
            Needs.WRITE,
            AcquireLeaseRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .build()));
    rpcs.put(
        pages + "ReleaseLease",
        new Rpc(
            Needs.SESSION,
            ReleaseLeaseRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .build()));
    rpcs.put(
        pages + "StagePages",
        new Rpc(
            Needs.WRITE,
            StagePagesRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .setStageId(id(9))
                .setPageSize(512)
                .build()));
    rpcs.put(
        pages + "DropStage",
        new Rpc(
            Needs.SESSION,
            DropStageRequest.newBuilder()
                .setSessionId(session)
                .setDatabaseId(database)
                .setStageId(id(9))
                .build()));
    CommitRequest commit =
        CommitRequest.newBuilder()
            .setSessionId(session)
            .setDatabaseId(database)
            .setCommitId(id(8))
            .setPageSize(512)
            .build();
    rpcs.put(pages + "Commit", new Rpc(Needs.WRITE, commit));
    rpcs.put(
        pages + "CommitGroup",
        new Rpc(
            Needs.WRITE,
            CommitGroupRequest.newBuilder().setSessionId(session).addCommits(commit).build()));
    rpcs.put(
        pages + "Watch",
        new Rpc(
            Needs.READ,
            WatchRequest.newBuilder()
                .setSessionId(session)
                .addDatabases(WatchRequest.Database.newBuilder().setDatabaseId(database))
                .build()));

    rpcs.put(
        admin + "ListDatabases",
        new Rpc(Needs.IDENTITY, ListDatabasesRequest.getDefaultInstance()));
    rpcs.put(
        admin + "StatDatabase",
        new Rpc(Needs.READ, StatDatabaseRequest.newBuilder().setName(NAME).build()));
    rpcs.put(
        admin + "ListVersions",
        new Rpc(Needs.READ, ListVersionsRequest.newBuilder().setName(NAME).build()));
    rpcs.put(
        admin + "ForkDatabase",
        new Rpc(
            Needs.WRITE,
            ForkDatabaseRequest.newBuilder()
                .setName(NAME)
                .setNewName(NAME + "2")
                .setCommitId(id(9))
                .build()));
    rpcs.put(
        admin + "RestoreDatabase",
        new Rpc(
            Needs.WRITE,
            RestoreDatabaseRequest.newBuilder()
                .setName(NAME)
                .setAtVersion(0)
                .setCommitId(id(7))
                .build()));
    rpcs.put(
        admin + "DropDatabase",
        new Rpc(Needs.ADMIN, DropDatabaseRequest.newBuilder().setName(NAME + "3").build()));
    rpcs.put(
        admin + "SetRetention",
        new Rpc(Needs.ADMIN, SetRetentionRequest.newBuilder().setName(NAME).build()));

    // A lease id of the page service's session, as grpc_vfs.proto tells.
    String lease =
        HexFormat.of().formatHex(session.toByteArray())
            + "0".repeat(16)
            + HexFormat.of().formatHex(database.toByteArray());
    rpcs.put(
        files + "GetCapabilities",
        new Rpc(Needs.IDENTITY, GetCapabilitiesRequest.getDefaultInstance()));
    rpcs.put(
        files + "AcquireLease",
        new Rpc(
            Needs.WRITE,
            dev.grpsqlite.proto.file.AcquireLeaseRequest.newBuilder().setDatabase(NAME).build()));
    rpcs.put(
        files + "Close",
        new Rpc(
            Needs.SESSION, CloseRequest.newBuilder().setLeaseId(lease).setFileName(NAME).build()));
    rpcs.put(
        files + "HeartbeatLease",
        new Rpc(Needs.WRITE, HeartbeatLeaseRequest.newBuilder().setLeaseId(lease).build()));
    rpcs.put(
        files + "Read",
        new Rpc(Needs.READ, ReadRequest.newBuilder().setDatabase(NAME).setFileName(NAME).build()));
    rpcs.put(
        files + "Write",
        new Rpc(
            Needs.WRITE,
            WriteRequest.newBuilder()
                .setDatabase(NAME)
                .setFileName(NAME)
                .setLeaseId(lease)
                .build()));
    rpcs.put(
        files + "AtomicWriteBatch",
        new Rpc(
            Needs.WRITE,
            AtomicWriteBatchRequest.newBuilder()
                .setDatabase(NAME)
                .setFileName(NAME)
                .setLeaseId(lease)
                .build()));
    rpcs.put(
        files + "GetFileSize",
        new Rpc(
            Needs.READ,
            GetFileSizeRequest.newBuilder().setDatabase(NAME).setFileName(NAME).build()));
    rpcs.put(
        files + "Pragma",
        new Rpc(
            Needs.WRITE,
            PragmaRequest.newBuilder()
                .setDatabase(NAME)
                .setPragmaName("grpsqlite_fork")
                .setPragmaValue(NAME + "4")
                .build()));
    rpcs.put(
        files + "Truncate",
        new Rpc(
            Needs.WRITE, TruncateRequest.newBuilder().setDatabase(NAME).setFileName(NAME).build()));
    rpcs.put(
        files + "Delete",
        new Rpc(
            Needs.WRITE, DeleteRequest.newBuilder().setDatabase(NAME).setFileName(NAME).build()));
    return rpcs;
  }

  /** What a store cannot do is refused as that, before anything else is asked. */
  private boolean isServed(String method) {
    return switch (method) {
      case "grpsqlite.v1.Admin/ForkDatabase", "grpc_vfs.Grpsqlite/Pragma" ->
          store().capabilities().fork();
      case "grpsqlite.v1.Admin/ListVersions",
          "grpsqlite.v1.Admin/RestoreDatabase",
          "grpsqlite.v1.Admin/SetRetention" ->
          store().capabilities().timeTravel();
      case "grpsqlite.v1.PageStore/CommitGroup" -> store().capabilities().commitGroup();
      default -> true;
    };
  }

  // ---- Tests

  @Test
  void everyRpcIsInTheTable() {
    Set<String> methods = new TreeSet<>();
    for (ServiceDescriptor service : services()) {
      service.getMethods().forEach(method -> methods.add(method.getFullMethodName()));
    }
    assertEquals(methods, new TreeSet<>(rpcs(id(1), id(2)).keySet()));
  }

  @Test
  void withoutAKnownTokenNothingIsServed() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("alicealice", id(1));
    rpcs(id(1), database)
        .forEach(
            (method, rpc) -> {
              assertEquals("BAD_TOKEN", refusal(null, method, rpc.request), method);
              assertEquals("BAD_TOKEN", refusal("wrong", method, rpc.request), method);
              assertEquals("BAD_TOKEN", refusal("", method, rpc.request), method);
            });
    access.replace(rules("bob")); // Alice's token is revoked.
    rpcs(id(1), database)
        .forEach(
            (method, rpc) ->
                assertEquals("BAD_TOKEN", refusal("alicealice", method, rpc.request), method));
  }

  @Test
  void anotherTenantsTokenIsGoodForNothingHere() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("alicealice", id(1));
    rpcs(id(1), database)
        .forEach(
            (method, rpc) -> {
              if (isServed(method)) {
                assertEquals(
                    rpc.needs == Needs.IDENTITY ? "" : "NOT_ALLOWED",
                    refusal("bobbob", method, rpc.request),
                    method);
              }
            });
    call(
        "alicealice",
        "grpsqlite.v1.PageStore/KeepAlive",
        KeepAliveRequest.newBuilder().setSessionId(id(1)).build());
  }

  @Test
  void aSessionOfOnesOwnOpensNobodyElsesDatabases() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("bobbob", id(1));
    rpcs(id(1), database)
        .forEach(
            (method, rpc) -> {
              openSession("bobbob", id(1));
              if (isServed(method)) {
                assertEquals(
                    rpc.needs == Needs.IDENTITY || rpc.needs == Needs.SESSION ? "" : "NOT_ALLOWED",
                    refusal("bobbob", method, rpc.request),
                    method);
              }
            });
    // Nothing of the database is kept for who may not read it.
    assertEquals(Long.MAX_VALUE, pinned(database));
  }

  private long pinned(ByteString database) {
    SnapshotPins known = pins;
    if (known == null) {
      throw new AssertionError("no pins");
    }
    return known.oldestPinned(databaseId(database));
  }

  @Test
  void whoMayReadMayNotWrite() throws Exception {
    ByteString database = makeDatabase(NAME);
    rpcs(id(1), database)
        .forEach(
            (method, rpc) -> {
              openSession("readerreader", id(1));
              if (isServed(method)) {
                assertEquals(
                    rpc.needs.compareTo(Needs.WRITE) >= 0 ? "NOT_ALLOWED" : "",
                    refusal("readerreader", method, rpc.request),
                    method);
              }
            });
    assertEquals(
        "",
        refusal(
            "readerreader",
            "grpsqlite.v1.PageStore/OpenDatabase",
            OpenDatabaseRequest.newBuilder()
                .setSessionId(id(1))
                .setName(NAME)
                .setReadOnly(true)
                .build()));
    assertEquals(
        "NOT_ALLOWED",
        refusal(
            "readerreader",
            "grpsqlite.v1.PageStore/OpenDatabase",
            OpenDatabaseRequest.newBuilder().setSessionId(id(1)).setName(NAME).build()));
    assertEquals(
        "NOT_ALLOWED",
        refusal(
            "readerreader",
            "grpsqlite.v1.PageStore/OpenDatabase",
            OpenDatabaseRequest.newBuilder()
                .setSessionId(id(1))
                .setName(NAME)
                .setReadOnly(true)
                .setDropUnlessCommitted(true)
                .build()));
  }

  @Test
  void whoMayWriteMayNotDropAndWhoMayDoAllMay() throws Exception {
    ByteString database = makeDatabase(NAME);
    makeDatabase(NAME + "3");
    rpcs(id(1), database)
        .forEach(
            (method, rpc) -> {
              openSession("alicealice", id(1));
              if (isServed(method)) {
                assertEquals(
                    rpc.needs == Needs.ADMIN ? "NOT_ALLOWED" : "",
                    refusal("alicealice", method, rpc.request),
                    method);
              }
            });
    assertTrue(store().find(NAME + "3").get().isPresent());
    rpcs(id(2), database)
        .forEach(
            (method, rpc) -> {
              openSession("rootroot", id(2));
              assertEquals("", refusal("rootroot", method, rpc.request), method);
            });
    assertFalse(store().find(NAME + "3").get().isPresent());
  }

  @Test
  void newRulesHoldForSessionsThatAreOpen() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("alicealice", id(1));
    String acquire = "grpsqlite.v1.PageStore/AcquireLease";
    AcquireLeaseRequest request =
        AcquireLeaseRequest.newBuilder().setSessionId(id(1)).setDatabaseId(database).build();
    AcquireLeaseResponse granted =
        (AcquireLeaseResponse) call("alicealice", acquire, request).get(0);
    assertEquals(AcquireLeaseResponse.Outcome.OUTCOME_GRANTED, granted.getOutcome());
    access.replace(
        AccessRules.parse(
            """
            token %s alice
            allow alice read tenant-7/**
            """
                .formatted(hash("alicealice"))));
    CommitRequest commit =
        CommitRequest.newBuilder()
            .setSessionId(id(1))
            .setDatabaseId(database)
            .setEpoch(granted.getEpoch())
            .setCommitId(id(8))
            .setPageSize(512)
            .build();
    assertEquals("NOT_ALLOWED", refusal("alicealice", "grpsqlite.v1.PageStore/Commit", commit));
    assertEquals(
        "",
        refusal(
            "alicealice",
            "grpsqlite.v1.PageStore/Refresh",
            RefreshRequest.newBuilder().setSessionId(id(1)).setDatabaseId(database).build()));
    assertEquals(0, store().head(databaseId(database)).get().version());
  }

  @Test
  void aWatchEndsBeforeItTellsOfWhatMayNotBeReadAnyMore() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("readerreader", id(1));
    TestWatch watch =
        new TestWatch(
            as("readerreader"),
            WatchRequest.newBuilder()
                .setSessionId(id(1))
                .setConfirmEveryMs(10)
                .addDatabases(WatchRequest.Database.newBuilder().setDatabaseId(database))
                // What does not exist is nobody's.
                .addDatabases(WatchRequest.Database.newBuilder().setDatabaseId(id(77)))
                .build());
    assertEquals(id(77), watch.next(WatchResponse.EventCase.DROPPED).getDropped().getDatabaseId());
    watch.next(WatchResponse.EventCase.CONFIRMED);
    // Nothing happens in the database: the next confirmation would tell so.
    access.replace(
        AccessRules.parse(
            "token %s reader\nallow reader read tenant-8/**\n".formatted(hash("readerreader"))));
    assertEquals("NOT_ALLOWED", reason(assertThrows(StatusRuntimeException.class, watch::end)));
    assertEquals(
        "NOT_ALLOWED",
        refusal(
            "readerreader",
            WATCH,
            WatchRequest.newBuilder()
                .setSessionId(id(1))
                .addDatabases(WatchRequest.Database.newBuilder().setDatabaseId(database))
                .build()));
  }

  /** A refusal that has done it all the same would be none. */
  @Test
  void whoIsRefusedToCloseALeaseHasNotReleasedIt() throws Exception {
    ByteString database = makeDatabase(NAME);
    openSession("alicealice", id(1));
    AcquireLeaseResponse granted =
        (AcquireLeaseResponse)
            call(
                    "alicealice",
                    "grpsqlite.v1.PageStore/AcquireLease",
                    AcquireLeaseRequest.newBuilder()
                        .setSessionId(id(1))
                        .setDatabaseId(database)
                        .build())
                .get(0);
    String lease =
        HexFormat.of().formatHex(id(1).toByteArray())
            + "%016x".formatted(granted.getEpoch())
            + HexFormat.of().formatHex(database.toByteArray());
    CloseRequest close = CloseRequest.newBuilder().setLeaseId(lease).setFileName(NAME).build();
    String holder = leaseHolder(database);
    assertEquals("NOT_ALLOWED", refusal("bobbob", "grpc_vfs.Grpsqlite/Close", close));
    assertEquals(holder, leaseHolder(database));
    assertEquals("", refusal("alicealice", "grpc_vfs.Grpsqlite/Close", close));
    assertEquals("", leaseHolder(database));
  }

  /** Its allow lines stay, and so does whoever has another token of the same identity. */
  @Test
  void whatATokenOpenedEndsWithTheToken() throws Exception {
    String alices = "token " + hash("other-token") + " alice\n";
    String rest = RULES + "token " + hash("rootroot") + " root\n" + alices;
    access.replace(AccessRules.parse(rest + "token " + hash("alicealice") + " alice\n"));
    ByteString database = makeDatabase(NAME);
    openSession("alicealice", id(1));
    openSession("other-token", id(2));
    call(
        "alicealice",
        "grpsqlite.v1.PageStore/AcquireLease",
        AcquireLeaseRequest.newBuilder().setSessionId(id(1)).setDatabaseId(database).build());
    assertFalse(leaseHolder(database).isEmpty());
    TestWatch revoked = watchConfirmed("alicealice", id(1));
    TestWatch other = watchConfirmed("other-token", id(2));
    access.replace(AccessRules.parse(rest));
    assertEquals(
        "NO_SUCH_SESSION", reason(assertThrows(StatusRuntimeException.class, revoked::end)));
    assertEquals("", leaseHolder(database));
    other.next(WatchResponse.EventCase.CONFIRMED);
    other.cancel();
    KeepAliveRequest keepAlive = KeepAliveRequest.newBuilder().setSessionId(id(2)).build();
    assertEquals("", refusal("other-token", "grpsqlite.v1.PageStore/KeepAlive", keepAlive));
    assertEquals("BAD_TOKEN", refusal("alicealice", "grpsqlite.v1.PageStore/KeepAlive", keepAlive));
  }

  private String leaseHolder(ByteString database) throws Exception {
    SessionId holder = store().lease(databaseId(database)).get().holder();
    return holder == null ? "" : holder.toString();
  }

  /** A stream that is about no database at all. */
  private TestWatch watchConfirmed(String token, ByteString session) throws Exception {
    TestWatch watch =
        new TestWatch(
            as(token),
            WatchRequest.newBuilder().setSessionId(session).setConfirmEveryMs(10).build());
    watch.next(WatchResponse.EventCase.CONFIRMED);
    return watch;
  }

  @Test
  void aGroupNeedsToWriteAllOfItsDatabases() throws Exception {
    if (!store().capabilities().commitGroup()) {
      return;
    }
    ByteString mine = makeDatabase(NAME);
    ByteString theirs = makeDatabase("tenant-8/main.db");
    openSession("alicealice", id(1));
    CommitRequest.Builder commit = CommitRequest.newBuilder().setCommitId(id(8)).setPageSize(512);
    CommitGroupRequest group =
        CommitGroupRequest.newBuilder()
            .setSessionId(id(1))
            .addCommits(commit.setDatabaseId(mine).build())
            .addCommits(commit.setDatabaseId(theirs).build())
            .build();
    assertEquals("NOT_ALLOWED", refusal("alicealice", "grpsqlite.v1.PageStore/CommitGroup", group));
  }

  private static String hash(String token) throws Exception {
    return HexFormat.of()
        .formatHex(
            MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8)));
  }

  @Test
  void onlyWhatMayBeReadIsListedPageByPage() throws Exception {
    for (String name :
        List.of("a", "tenant-6/x", "tenant-7/a", "tenant-7/b", "tenant-7/c", "tenant-8/x", "z")) {
      makeDatabase(name);
    }
    assertEquals(List.of("tenant-7/a", "tenant-7/b", "tenant-7/c"), listed("alicealice", "", 1));
    assertEquals(List.of("tenant-7/b"), listed("alicealice", "tenant-7/b", 1000));
    assertEquals(List.of("tenant-8/x"), listed("bobbob", "ten", 2));
    assertEquals(List.of(), listed("bobbob", "tenant-7", 2));
    assertEquals(7, listed("rootroot", "", 3).size());
  }

  private List<String> listed(String token, String prefix, int limit) {
    List<String> names = new ArrayList<>();
    ListDatabasesRequest.Builder request =
        ListDatabasesRequest.newBuilder().setPrefix(prefix).setPageLimit(limit);
    do {
      ListDatabasesResponse page =
          (ListDatabasesResponse)
              call(token, "grpsqlite.v1.Admin/ListDatabases", request.build()).get(0);
      page.getDatabasesList().stream().map(DatabaseInfo::getName).forEach(names::add);
      request.setPageToken(page.getNextPageToken());
    } while (!request.getPageToken().isEmpty());
    return names;
  }

  @Test
  void aForkNeedsToReadTheOneAndWriteTheOther() throws Exception {
    if (!store().capabilities().fork()) {
      return;
    }
    makeDatabase(NAME);
    makeDatabase("tenant-8/main.db");
    String fork = "grpsqlite.v1.Admin/ForkDatabase";
    ForkDatabaseRequest.Builder request = ForkDatabaseRequest.newBuilder().setCommitId(id(9));
    assertEquals(
        "NOT_ALLOWED",
        refusal(
            "alicealice",
            fork,
            request.setName("tenant-8/main.db").setNewName("tenant-7/stolen").build()));
    assertEquals(
        "NOT_ALLOWED",
        refusal("alicealice", fork, request.setName(NAME).setNewName("tenant-8/given").build()));
    call("alicealice", fork, request.setNewName("tenant-7/fork").build());
  }

  @Test
  void aTokenInTheContextIsAsGoodAsOneInTheHeader() throws Exception {
    makeDatabase(NAME);
    String capabilities = "grpc_vfs.Grpsqlite/GetCapabilities";
    String read = "grpc_vfs.Grpsqlite/Read";
    GetCapabilitiesResponse answer =
        (GetCapabilitiesResponse)
            call(
                    null,
                    capabilities,
                    GetCapabilitiesRequest.newBuilder().setClientToken("readerreader").build())
                .get(0);
    ReadRequest.Builder request =
        ReadRequest.newBuilder()
            .setDatabase(NAME)
            .setFileName(NAME)
            .setContext(answer.getContext());
    assertEquals("", refusal(null, read, request.build()));
    assertEquals("NOT_ALLOWED", refusal(null, read, request.setDatabase("tenant-8/x").build()));
    assertEquals("BAD_TOKEN", refusal("wrong", read, request.build()), "the header comes first");
    assertEquals(
        "BAD_TOKEN",
        refusal(
            null,
            capabilities,
            GetCapabilitiesRequest.newBuilder().setClientToken("wrong").build()));
    access.replace(rules("alice"));
    assertEquals("BAD_TOKEN", refusal(null, read, request.setDatabase(NAME).build()));
  }

  @Test
  void healthIsForEverybodyAndReflectionIsNot() throws Exception {
    HealthGrpc.newBlockingStub(server().channel).check(HealthCheckRequest.getDefaultInstance());
    assertEquals(Status.Code.UNAUTHENTICATED, reflect(null));
    assertEquals(Status.Code.OK, reflect("readerreader"));
  }

  private Status.Code reflect(@Nullable String token) throws Exception {
    CompletableFuture<Status.Code> ended = new CompletableFuture<>();
    StreamObserver<ServerReflectionRequest> requests =
        ServerReflectionGrpc.newStub(as(token))
            .serverReflectionInfo(
                new StreamObserver<>() {
                  @Override
                  public void onNext(io.grpc.reflection.v1.ServerReflectionResponse answer) {}

                  @Override
                  public void onError(Throwable error) {
                    ended.complete(Status.fromThrowable(error).getCode());
                  }

                  @Override
                  public void onCompleted() {
                    ended.complete(Status.Code.OK);
                  }
                });
    requests.onNext(ServerReflectionRequest.newBuilder().setListServices("").build());
    requests.onCompleted();
    return ended.get(1, TimeUnit.MINUTES);
  }
}
