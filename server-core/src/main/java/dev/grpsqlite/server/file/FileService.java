package dev.grpsqlite.server.file;

import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.file.AcquireLeaseRequest;
import dev.grpsqlite.proto.file.AcquireLeaseResponse;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.CloseRequest;
import dev.grpsqlite.proto.file.DeleteRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.GetFileSizeResponse;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.file.HeartbeatLeaseRequest;
import dev.grpsqlite.proto.file.PragmaRequest;
import dev.grpsqlite.proto.file.PragmaResponse;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.ReadResponse;
import dev.grpsqlite.proto.file.TruncateRequest;
import dev.grpsqlite.proto.file.WriteRequest;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Versions;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.wire.Callers;
import dev.grpsqlite.server.wire.Calls;
import dev.grpsqlite.server.wire.Names;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.Reason;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.stub.StreamObserver;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.function.BiFunction;

/**
 * The file service over a {@link PageStore}. The file that is called as its database is the
 * database itself ({@link MainFile}), the same that the page service shows; any other is a side
 * file of it. Thread-safe; waits for nothing.
 */
public final class FileService extends GrpsqliteGrpc.GrpsqliteImplBase {
  /** What is left of a message for its other fields. */
  private static final int MESSAGE_SLACK = 64 << 10;

  /** SQLite's own limit is below this. */
  private static final long MAX_FILE_BYTES = 1L << 48;

  private static final int MAX_FILE_NAME_BYTES = 1024;

  /** What SQLite takes for granted of a disk. */
  private static final int SECTOR_BYTES = 4096;

  private static final String NO_TOKEN = "none";

  /** What a context begins with that has a token in it. */
  private static final String TOKEN = "token ";

  private final PageStore store;
  private final SessionTable sessions;
  private final FileLeases leases;
  private final MainFile mainFile;
  private final ServerPragmas pragmas;
  private final Traffic traffic;
  private final boolean atomicBatch;
  private final int maxReadBytes;
  private final SecureRandom random = new SecureRandom();

  /**
   * @param atomicBatch whether AtomicWriteBatch is served
   * @param messageBytes the largest message
   */
  public FileService(
      PageStore store,
      SessionTable sessions,
      Leases leases,
      Versions versions,
      Traffic traffic,
      boolean atomicBatch,
      int messageBytes) {
    this.store = store;
    this.sessions = sessions;
    this.leases = new FileLeases(store, sessions, leases);
    this.mainFile = new MainFile(store, random);
    this.pragmas = new ServerPragmas(store, this.leases, versions, random);
    this.traffic = traffic;
    this.atomicBatch = atomicBatch;
    this.maxReadBytes = messageBytes - MESSAGE_SLACK;
  }

  @Override
  public void getCapabilities(
      GetCapabilitiesRequest request, StreamObserver<GetCapabilitiesResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          String context =
              request.getClientToken().isEmpty() ? NO_TOKEN : TOKEN + request.getClientToken();
          Caller unused = caller(context);
          return done(
              GetCapabilitiesResponse.newBuilder()
                  .setContext(context)
                  .setAtomicBatch(atomicBatch)
                  .setPointInTimeReads(pointInTimeReads())
                  .setSectorSize(SECTOR_BYTES)
                  .setHeartbeatIntervalMillis(Math.max(1, sessions.ttl().toMillis() / 3))
                  .build());
        });
  }

  /**
   * The context that a client sends with each request is the token that it came with: so it needs
   * no table, is good after a restart of the server, and is good for nothing when the token is.
   */
  private static Caller caller(String context) {
    return Callers.currentOr(context.startsWith(TOKEN) ? context.substring(TOKEN.length()) : null);
  }

  /** Without batches a version is no transaction, and there is nothing worth reading at. */
  private boolean pointInTimeReads() {
    return atomicBatch && store.capabilities().timeTravel();
  }

  @Override
  public void acquireLease(
      AcquireLeaseRequest request, StreamObserver<AcquireLeaseResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(request.getContext());
          String countedAs = Callers.countedAs(caller);
          String database = Names.checked(request.getDatabase());
          caller.require(database, Right.WRITE);
          return store
              .findOrCreate(database)
              .thenCompose(info -> leases.acquire(info.id(), caller, countedAs))
              .thenApply(
                  lease ->
                      AcquireLeaseResponse.newBuilder()
                          .setLeaseId(
                              lease
                                  .orElseThrow(
                                      () ->
                                          new RequestException(
                                              Reason.LEASE_HELD,
                                              "another client has the lease of " + database))
                                  .encode())
                          .build());
        });
  }

  @Override
  public void close(CloseRequest request, StreamObserver<Empty> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(request.getContext());
          Optional<FileLease> lease = FileLease.decode(request.getLeaseId());
          if (lease.isEmpty()) {
            return done(Empty.getDefaultInstance());
          }
          return store
              .info(lease.get().database())
              .thenCompose(
                  info ->
                      isMain(request.getFileName(), info.name())
                          ? leases.release(lease.get(), caller)
                          : CompletableFuture.<Void>completedFuture(null))
              .handle(
                  (closed, error) -> {
                    if (error != null && !isNoSuchDatabase(error)) {
                      throw rethrown(error);
                    }
                    return Empty.getDefaultInstance();
                  });
        });
  }

  private static boolean isNoSuchDatabase(Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    return cause instanceof StoreException e && e.code() == StoreException.Code.NO_SUCH_DATABASE;
  }

  private static RuntimeException rethrown(Throwable error) {
    return error instanceof RuntimeException e ? e : new CompletionException(error);
  }

  @Override
  public void heartbeatLease(HeartbeatLeaseRequest request, StreamObserver<Empty> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(request.getContext());
          return FileLease.decode(request.getLeaseId())
              .map(lease -> renewed(caller, lease))
              .orElse(done(false))
              .thenApply(
                  renewed -> {
                    if (!renewed) {
                      throw new RequestException(
                          Reason.NO_SUCH_SESSION, "the lease expired or was released");
                    }
                    return Empty.getDefaultInstance();
                  });
        });
  }

  /** A lease is for writing; who may do so no longer loses it. */
  private CompletableFuture<Boolean> renewed(Caller caller, FileLease lease) {
    return caller
        .require(store, lease.database(), Right.WRITE)
        .thenCompose(allowed -> leases.renew(lease, caller));
  }

  @Override
  public void read(ReadRequest request, StreamObserver<ReadResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(request.getContext());
          String database = Names.checked(request.getDatabase());
          String file = checkedFile(request.getFileName());
          caller.require(database, Right.READ);
          long offset = checkedOffset(request.getOffset());
          int length = checkedLength(request.getLength());
          long time = checkedTime(request.getTimeMillis());
          leases.touch(request.getLeaseId(), caller);
          return store
              .find(database)
              .thenCompose(
                  found ->
                      found
                          .map(
                              info ->
                                  isMain(file, database)
                                      ? mainFile.read(info, time, offset, length)
                                      : store
                                          .sideFiles()
                                          .read(info.id(), sideName(file), offset, length)
                                          .thenApply(UnsafeByteOperations::unsafeWrap)
                                          .thenApply(data -> new MainFile.Part(data, time)))
                          .orElse(done(new MainFile.Part(ByteString.EMPTY, time))))
              .thenApply(part -> answer(part, request.getChecksum()));
        });
  }

  private long checkedTime(long millis) {
    if (millis < 0) {
      throw RequestException.invalid("time_millis is " + millis);
    }
    if (millis != 0 && !pointInTimeReads()) {
      throw new RequestException(
          Reason.UNSUPPORTED, "this server's storage keeps no old snapshots to read");
    }
    return millis;
  }

  private ReadResponse answer(MainFile.Part part, long copyChecksum) {
    ByteString data = part.data();
    traffic.pagesRead(1, data.size());
    long checksum = Pages.checksum(data);
    ReadResponse.Builder answer = ReadResponse.newBuilder().setChecksum(checksum);
    if (pointInTimeReads()) {
      answer.setTimeMillis(part.timeMillis());
    }
    if (copyChecksum == 0 || checksum != copyChecksum) {
      answer.setData(data);
    }
    return answer.build();
  }

  @Override
  public void getFileSize(
      GetFileSizeRequest request, StreamObserver<GetFileSizeResponse> observer) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(request.getContext());
          String database = Names.checked(request.getDatabase());
          String file = checkedFile(request.getFileName());
          caller.require(database, Right.READ);
          leases.touch(request.getLeaseId(), caller);
          return store
              .find(database)
              .thenCompose(
                  found ->
                      found
                          .map(
                              info ->
                                  isMain(file, database)
                                      ? done(MainFile.size(info.head()))
                                      : store.sideFiles().size(info.id(), sideName(file)))
                          .orElse(done(0L)))
              .thenApply(size -> GetFileSizeResponse.newBuilder().setSize(size).build());
        });
  }

  @Override
  public void write(WriteRequest request, StreamObserver<Empty> observer) {
    change(
        observer,
        request.getContext(),
        request.getDatabase(),
        request.getFileName(),
        request.getLeaseId(),
        () -> {
          checkedOffset(request.getOffset());
          checkChecksum(request.getData(), request.getChecksum());
        },
        (lease, file) -> {
          traffic.pagesWritten(1, request.getData().size());
          if (file.isEmpty()) {
            return mainFile.write(
                lease, List.of(new MainFile.Write(request.getOffset(), request.getData())));
          }
          return store
              .sideFiles()
              .write(
                  lease.database(),
                  lease.epoch(),
                  file,
                  request.getOffset(),
                  request.getData().asReadOnlyByteBuffer());
        });
  }

  @Override
  public void atomicWriteBatch(AtomicWriteBatchRequest request, StreamObserver<Empty> observer) {
    change(
        observer,
        request.getContext(),
        request.getDatabase(),
        request.getFileName(),
        request.getLeaseId(),
        () -> {
          if (!atomicBatch) {
            throw new RequestException(
                Reason.UNSUPPORTED, "this server was started without atomic batches");
          }
          request
              .getWritesList()
              .forEach(
                  write -> {
                    checkedOffset(write.getOffset());
                    checkChecksum(write.getData(), write.getChecksum());
                  });
        },
        (lease, file) -> {
          if (!file.isEmpty()) {
            throw RequestException.invalid("a batch is for the database's own file, not " + file);
          }
          List<MainFile.Write> writes =
              request.getWritesList().stream()
                  .map(write -> new MainFile.Write(write.getOffset(), write.getData()))
                  .toList();
          traffic.pagesWritten(
              writes.size(), writes.stream().mapToLong(write -> write.data().size()).sum());
          return mainFile.write(lease, writes);
        });
  }

  @Override
  public void truncate(TruncateRequest request, StreamObserver<Empty> observer) {
    change(
        observer,
        request.getContext(),
        request.getDatabase(),
        request.getFileName(),
        request.getLeaseId(),
        () -> checkedOffset(request.getSize()),
        (lease, file) ->
            file.isEmpty()
                ? mainFile.truncate(lease, request.getSize())
                : store
                    .sideFiles()
                    .truncate(lease.database(), lease.epoch(), file, request.getSize()));
  }

  @Override
  public void delete(DeleteRequest request, StreamObserver<Empty> observer) {
    change(
        observer,
        request.getContext(),
        request.getDatabase(),
        request.getFileName(),
        request.getLeaseId(),
        () -> {},
        (lease, file) ->
            file.isEmpty()
                ? mainFile.truncate(lease, 0)
                : store.sideFiles().delete(lease.database(), lease.epoch(), file));
  }

  /**
   * A request that changes a file.
   *
   * @param checks of its own fields
   * @param action given the lease, and the side file's name, empty for the main file
   */
  private void change(
      StreamObserver<Empty> observer,
      String context,
      String database,
      String fileName,
      String leaseId,
      Runnable checks,
      BiFunction<FileLease, String, CompletableFuture<Void>> action) {
    Calls.answer(
        observer,
        () -> {
          Caller caller = caller(context);
          caller.require(Names.checked(database), Right.WRITE);
          String file = checkedFile(fileName);
          checks.run();
          return store
              .find(database)
              .thenCompose(found -> leases.require(leaseId, idOf(found, database), caller))
              .thenCompose(
                  lease -> action.apply(lease, isMain(file, database) ? "" : sideName(file)))
              .thenApply(changed -> Empty.getDefaultInstance());
        });
  }

  private static DatabaseId idOf(Optional<DatabaseInfo> found, String database) {
    return found
        .orElseThrow(
            () ->
                new StoreException(
                    StoreException.Code.NO_SUCH_DATABASE, "no database is called " + database))
        .id();
  }

  @Override
  public void pragma(PragmaRequest request, StreamObserver<PragmaResponse> observer) {
    Calls.answer(observer, () -> pragmas.answer(request, caller(request.getContext())));
  }

  private static boolean isMain(String file, String database) {
    return file.equals(database) || sideName(file).equals(database);
  }

  /** Clients give the path that they were given; what is before the last component may differ. */
  private static String sideName(String file) {
    return file.substring(file.lastIndexOf('/') + 1);
  }

  private static String checkedFile(String name) {
    if (sideName(name).isEmpty()
        || name.indexOf('\0') >= 0
        || name.getBytes(StandardCharsets.UTF_8).length > MAX_FILE_NAME_BYTES) {
      throw new RequestException(Reason.INVALID_NAME, "file_name is not the name of a file");
    }
    return name;
  }

  private static long checkedOffset(long bytes) {
    if (bytes < 0 || bytes > MAX_FILE_BYTES) {
      throw RequestException.invalid(bytes + " is no offset or size of a file");
    }
    return bytes;
  }

  private int checkedLength(long length) {
    if (length < 0) {
      throw RequestException.invalid("length is " + length);
    }
    if (length > maxReadBytes) {
      throw new RequestException(
          Reason.LIMIT, length + " bytes at once are more than the limit of " + maxReadBytes);
    }
    return (int) length;
  }

  private static void checkChecksum(ByteString data, long checksum) {
    if (checksum != 0 && checksum != Pages.checksum(data)) {
      throw new RequestException(
          Reason.CHECKSUM_MISMATCH, "the data of a write does not have its checksum");
    }
  }

  private static <T> CompletableFuture<T> done(T value) {
    return CompletableFuture.completedFuture(value);
  }
}
