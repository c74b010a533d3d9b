package dev.grpsqlite.server.wire;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import dev.grpsqlite.server.auth.AccessException;
import dev.grpsqlite.server.session.SessionException;
import dev.grpsqlite.server.spi.StoreException;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** From errors to gRPC statuses: the one place. No stack trace goes over the wire. */
public final class Statuses {
  public static final String DOMAIN = "grpsqlite";

  private static final Logger log = LoggerFactory.getLogger(Statuses.class);

  private Statuses() {}

  public static StatusRuntimeException of(Throwable error) {
    Throwable cause = error;
    while (cause instanceof CompletionException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    if (cause instanceof RequestException e) {
      return of(e.reason(), message(e));
    }
    if (cause instanceof AccessException e) {
      return of(reason(e.code()), message(e));
    }
    if (cause instanceof SessionException e) {
      return switch (e.code()) {
        case NO_SUCH_SESSION -> of(Reason.NO_SUCH_SESSION, message(e));
        case LIMIT -> of(Reason.LIMIT, message(e));
        case NOT_OWNER -> of(Reason.NOT_ALLOWED, message(e));
        case SHUTTING_DOWN -> of(Reason.SHUTTING_DOWN, message(e));
        // Of Watch alone, where the code says it all.
        case SUPERSEDED -> Status.ABORTED.withDescription(message(e)).asRuntimeException();
      };
    }
    if (cause instanceof StoreException e) {
      if (e.code() == StoreException.Code.STORE_FAILED) {
        String incident = incident();
        log.error("incident {}: {}", incident, e.getMessage(), e);
        return of(Reason.STORE_FAILED, "the storage failed (incident " + incident + ")");
      }
      return of(reason(e.code()), message(e));
    }
    if (cause instanceof StatusRuntimeException e) {
      return e;
    }
    String incident = incident();
    log.error("incident {}", incident, cause);
    return of(Reason.STORE_FAILED, "internal error (incident " + incident + ")");
  }

  /**
   * For an answer in which NOT_FOUND and UNIMPLEMENTED mean something else: with these codes it is
   * FAILED_PRECONDITION, the reason unchanged.
   */
  public static StatusRuntimeException ofPragma(Throwable error) {
    StatusRuntimeException status = of(error);
    com.google.rpc.Status told = StatusProto.fromThrowable(status);
    return switch (status.getStatus().getCode()) {
      case NOT_FOUND, UNIMPLEMENTED ->
          StatusProto.toStatusRuntimeException(
              (told == null ? com.google.rpc.Status.newBuilder() : told.toBuilder())
                  .setCode(Status.Code.FAILED_PRECONDITION.value())
                  .build());
      default -> status;
    };
  }

  private static StatusRuntimeException of(Reason reason, String message) {
    return StatusProto.toStatusRuntimeException(
        com.google.rpc.Status.newBuilder()
            .setCode(reason.code().value())
            .setMessage(header(message))
            .addDetails(
                Any.pack(ErrorInfo.newBuilder().setDomain(DOMAIN).setReason(reason.name()).build()))
            .build());
  }

  /** A header has no blank at either end, but a name in a message may: HTTP/2 would refuse it. */
  private static String header(String message) {
    return message.equals(message.strip()) ? message : '"' + message + '"';
  }

  private static String message(RuntimeException e) {
    String message = e.getMessage();
    return message == null ? "" : message;
  }

  private static String incident() {
    return Integer.toHexString(ThreadLocalRandom.current().nextInt());
  }

  private static Reason reason(AccessException.Code code) {
    return switch (code) {
      case BAD_TOKEN -> Reason.BAD_TOKEN;
      case NOT_ALLOWED -> Reason.NOT_ALLOWED;
    };
  }

  private static Reason reason(StoreException.Code code) {
    return switch (code) {
      case NO_SUCH_DATABASE -> Reason.NO_SUCH_DATABASE;
      case ALREADY_EXISTS -> Reason.ALREADY_EXISTS;
      case LEASE_LOST -> Reason.LEASE_LOST;
      case HEAD_MOVED -> Reason.HEAD_MOVED;
      case NO_SUCH_STAGE -> Reason.NO_SUCH_STAGE;
      case SNAPSHOT_TOO_OLD -> Reason.SNAPSHOT_TOO_OLD;
      case NO_SUCH_VERSION -> Reason.NO_SUCH_VERSION;
      case OUTCOME_UNKNOWN -> Reason.OUTCOME_UNKNOWN;
      case INVALID_REQUEST -> Reason.INVALID_REQUEST;
      case QUOTA -> Reason.QUOTA;
      case LIMIT -> Reason.LIMIT;
      case UNSUPPORTED -> Reason.UNSUPPORTED;
      case STORE_FULL -> Reason.STORE_FULL;
      case STORE_READ_ONLY -> Reason.STORE_READ_ONLY;
      case STORE_FAILED -> Reason.STORE_FAILED;
    };
  }
}
