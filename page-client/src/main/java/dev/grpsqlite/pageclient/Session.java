package dev.grpsqlite.pageclient;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Parser;
import com.google.protobuf.Timestamp;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.Capabilities;
import dev.grpsqlite.proto.v1.CloseSessionRequest;
import dev.grpsqlite.proto.v1.CommitResponse;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.ReleaseLeaseRequest;
import dev.grpsqlite.proto.v1.Snapshot;
import dev.grpsqlite.proto.v1.StatDatabaseResponse;
import io.grpc.StatusRuntimeException;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * A session, kept alive until it is closed: what it has open stays readable, and its leases stay
 * its own. Thread-safe; to be closed before its connection.
 */
public final class Session implements AutoCloseable {
  private static final SecureRandom RANDOM = new SecureRandom();
  private static final int ID_BYTES = 16;

  /** Of PageStore.AcquireLease. Who asks again soon has its place still. */
  private static final long LONGEST_WAIT_MS = 10_000;

  private static final int LIVE_VIEW = 0;
  private static final int FIXED_VIEW = 1;

  private final ServerConnection connection;
  private final ByteString id;
  private final String clientName;
  private final OpenSessionResponse opened;
  private final ScheduledExecutorService heart;

  private Session(
      ServerConnection connection, ByteString id, String clientName, OpenSessionResponse opened) {
    this.connection = connection;
    this.id = id;
    this.clientName = clientName;
    this.opened = opened;
    this.heart =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "session");
              thread.setDaemon(true);
              return thread;
            });
    connection.closeIfKilled(closing());
    long everyMs = Math.max(1, opened.getTtlMs() / 3);
    ScheduledFuture<?> unused =
        heart.scheduleWithFixedDelay(this::beat, everyMs, everyMs, TimeUnit.MILLISECONDS);
  }

  /**
   * Opens a session.
   *
   * @param clientName for the server's logs
   * @throws RemoteException with UNIMPLEMENTED if the server has no page service
   */
  public static Session open(ServerConnection connection, String clientName) {
    ByteString id = randomId();
    return new Session(connection, id, clientName, open(connection, id, clientName));
  }

  private static OpenSessionResponse open(
      ServerConnection connection, ByteString id, String clientName) {
    OpenSessionRequest request =
        OpenSessionRequest.newBuilder().setSessionId(id).setClientName(clientName).build();
    return connection.call(() -> connection.pages().openSession(request));
  }

  /** See {@link Relay#load}. */
  static void load(ServerConnection nobody) {
    try {
      open(nobody, "").close();
    } catch (RemoteException e) {
      // As it has to.
    }
    List<Parser<?>> answers =
        List.of(
            OpenSessionResponse.parser(),
            StatDatabaseResponse.parser(),
            OpenDatabaseResponse.parser(),
            AcquireLeaseResponse.parser(),
            CommitResponse.parser());
    for (Parser<?> parser : answers) {
      try {
        Object unused = parser.parseFrom(ByteString.EMPTY);
      } catch (InvalidProtocolBufferException e) {
        throw new IllegalStateException(e); // nothing is a message
      }
    }
  }

  static ByteString randomId() {
    byte[] id = new byte[ID_BYTES];
    RANDOM.nextBytes(id);
    return ByteString.copyFrom(id);
  }

  private void beat() {
    try {
      roundTrip();
    } catch (RemoteException e) {
      // The next beat, or the next call, says it again.
    }
  }

  /** The smallest call that there is. */
  public void roundTrip() {
    KeepAliveRequest request = KeepAliveRequest.newBuilder().setSessionId(id).build();
    call(() -> connection.pages().keepAlive(request));
  }

  public Capabilities capabilities() {
    return opened.getCapabilities();
  }

  /** The largest message that the server receives. */
  public int maxMessageBytes() {
    return opened.getMaxMessageBytes();
  }

  /** The server's name and version. */
  public String serverName() {
    return opened.getServerName();
  }

  ByteString id() {
    return id;
  }

  public ServerConnection connection() {
    return connection;
  }

  /** As {@link ServerConnection#call}; a server that restarted is told of the session again. */
  <T> T call(Supplier<T> call) {
    try {
      return connection.call(call);
    } catch (RemoteException e) {
      if (!e.is("NO_SUCH_SESSION")) {
        throw e;
      }
    }
    open(connection, id, clientName);
    return connection.call(call);
  }

  /**
   * A database at a version.
   *
   * @param firstPage the bytes of page 1; empty if there is none
   */
  public record Opened(
      ByteString database, String name, Snapshot snapshot, long headVersion, ByteString firstPage) {
    public long pageCount() {
      return Integer.toUnsignedLong(snapshot.getPageCount());
    }
  }

  /** Which version to open: one of these, or neither for the newest. */
  public record At(@Nullable Long version, @Nullable Instant time) {
    public static final At HEAD = new At(null, null);

    public boolean isHead() {
      return version == null && time == null;
    }
  }

  /** Opens a database to read it at a version, which stays readable while the session lasts. */
  public Opened openToRead(String name, At at) {
    OpenDatabaseRequest.Builder request =
        OpenDatabaseRequest.newBuilder()
            .setSessionId(id)
            .setName(name)
            .setReadOnly(true)
            .setView(at.isHead() ? LIVE_VIEW : FIXED_VIEW);
    if (at.version() != null) {
      request.setAtVersion(at.version());
    } else if (at.time() != null) {
      request.setAtTime(timestamp(at.time()));
    }
    return open(request.build());
  }

  /**
   * Opens a database to write to it; makes it if it is not there. If nothing was ever committed to
   * it when the session ends, also by a kill, it is gone then.
   */
  public Opened openToWrite(String name) {
    return open(
        OpenDatabaseRequest.newBuilder()
            .setSessionId(id)
            .setName(name)
            .setCreate(true)
            .setDropUnlessCommitted(true)
            .build());
  }

  private Opened open(OpenDatabaseRequest request) {
    OpenDatabaseResponse answer = call(() -> connection.pages().openDatabase(request));
    ByteString first =
        answer.getPagesList().stream()
            .filter(page -> page.getNumber() == 1)
            .map(
                page -> {
                  byte[] bytes = new byte[answer.getSnapshot().getPageSize()];
                  PageData.incoming(page, bytes.length, bytes, 0);
                  return ByteString.copyFrom(bytes);
                })
            .findFirst()
            .orElse(ByteString.EMPTY);
    return new Opened(
        answer.getDatabaseId(),
        request.getName(),
        answer.getSnapshot(),
        answer.getHeadVersion(),
        first);
  }

  /** The right to write, and what is to be written to. */
  public record Lease(ByteString database, long epoch, Snapshot head) {
    /** The same right, after a commit of its own. */
    public Lease at(long version) {
      return new Lease(database, epoch, head.toBuilder().setVersion(version).build());
    }
  }

  /**
   * Takes the lease of a database, at whatever version it is.
   *
   * @param patience how long to wait for another that has it
   * @return empty if another still has it
   */
  public Optional<Lease> acquire(Opened database, Duration patience) {
    long deadline = System.nanoTime() + patience.toNanos();
    while (true) {
      long leftMs = Math.max(0, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
      AcquireLeaseRequest request =
          AcquireLeaseRequest.newBuilder()
              .setSessionId(id)
              .setDatabaseId(database.database())
              .setHaveVersion(database.snapshot().getVersion())
              .setAtAnyVersion(true)
              .setWaitMs(capabilities().getWatch() ? (int) Math.min(leftMs, LONGEST_WAIT_MS) : 0)
              .build();
      AcquireLeaseResponse answer = call(() -> connection.pages().acquireLease(request));
      if (answer.getOutcome() == AcquireLeaseResponse.Outcome.OUTCOME_GRANTED) {
        return Optional.of(new Lease(database.database(), answer.getEpoch(), answer.getHead()));
      }
      if (leftMs == 0 || !capabilities().getWatch()) {
        return Optional.empty();
      }
    }
  }

  public void release(Lease lease) {
    ReleaseLeaseRequest request =
        ReleaseLeaseRequest.newBuilder()
            .setSessionId(id)
            .setDatabaseId(lease.database())
            .setEpoch(lease.epoch())
            .build();
    call(() -> connection.pages().releaseLease(request));
  }

  static Timestamp timestamp(Instant time) {
    return Timestamp.newBuilder()
        .setSeconds(time.getEpochSecond())
        .setNanos(time.getNano())
        .build();
  }

  private CloseSessionRequest closing() {
    return CloseSessionRequest.newBuilder().setSessionId(id).build();
  }

  @Override
  public void close() {
    heart.shutdownNow();
    try {
      connection.pages().closeSession(closing());
    } catch (StatusRuntimeException e) {
      // It ends by itself then.
    }
  }
}
