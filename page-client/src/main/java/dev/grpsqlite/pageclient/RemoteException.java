package dev.grpsqlite.pageclient;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.netty.handler.ssl.NotSslRecordException;
import io.grpc.protobuf.StatusProto;
import java.security.cert.CertificateException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** A call that failed, in the words of {@code page_store.proto}. */
public final class RemoteException extends RuntimeException {
  private static final String DOMAIN = "grpsqlite";

  /** Netty quotes what it could not understand, all of it. */
  private static final int MOST_OF_A_CAUSE = 160;

  private final Status.Code code;
  private final String reason;

  RemoteException(Status.Code code, String reason, String message) {
    super(message);
    this.code = code;
    this.reason = reason;
  }

  /** See {@link ServerConnection#load}: details come with protobuf's descriptors. */
  static void load() {
    RemoteException unused =
        of(
            StatusProto.toStatusRuntimeException(
                com.google.rpc.Status.newBuilder()
                    .setCode(Status.Code.NOT_FOUND.value())
                    .addDetails(Any.pack(ErrorInfo.getDefaultInstance()))
                    .build()));
  }

  static RemoteException of(StatusRuntimeException error) {
    Status status = error.getStatus();
    String reason = "";
    Metadata trailers = error.getTrailers();
    String relayed = trailers == null ? null : trailers.get(Relay.REASON);
    com.google.rpc.Status details = relayed == null ? StatusProto.fromThrowable(error) : null;
    if (relayed != null) {
      reason = relayed;
    } else if (details != null) {
      for (Any detail : details.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          try {
            ErrorInfo info = detail.unpack(ErrorInfo.class);
            reason = info.getDomain().equals(DOMAIN) ? info.getReason() : reason;
          } catch (InvalidProtocolBufferException e) {
            // Then the code alone has to do.
          }
        }
      }
    }
    Throwable cause = status.getCause();
    Optional<String> insecure = problemOfTls(cause);
    if (insecure.isPresent()) {
      return new RemoteException(Status.Code.INTERNAL, reason, insecure.get());
    }
    String text = status.getDescription();
    String message =
        (text == null ? status.getCode().name() : text.lines().findFirst().orElse(""))
            + (cause == null ? "" : " (" + deepest(cause) + ")");
    return new RemoteException(status.getCode(), reason, message);
  }

  /**
   * What is wrong with the server's TLS, if that is why there was no answer. It is reached then, so
   * to try again is no use. The code is what the relay says.
   */
  private static Optional<String> problemOfTls(@Nullable Throwable cause) {
    for (Throwable at = cause; at != null; at = at.getCause()) {
      if (at instanceof CertificateException) {
        return Optional.of(
            "the server's certificate is not trusted ("
                + deepest(at)
                + "); if it is right, name a file with its CA's in GRPSQLITE_CA_FILE");
      }
      if (at instanceof NotSslRecordException) {
        return Optional.of("the server answers, but not with TLS; is it an http:// server?");
      }
    }
    return Optional.empty();
  }

  private static String deepest(Throwable cause) {
    Throwable at = cause;
    while (at.getCause() != null) {
      at = at.getCause();
    }
    String message = at.getMessage() == null ? at.getClass().getSimpleName() : at.getMessage();
    return message.length() <= MOST_OF_A_CAUSE
        ? message
        : message.substring(0, MOST_OF_A_CAUSE) + "…";
  }

  public Status.Code code() {
    return code;
  }

  /** The machine-readable reason; empty if the server gave none. */
  public String reason() {
    return reason;
  }

  /** Whether what was asked for may be done all the same: the error does not say that it is not. */
  public boolean mayBeDone() {
    return is("OUTCOME_UNKNOWN")
        || switch (code) {
          case UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN -> true;
          default -> false;
        };
  }

  public boolean is(String wanted) {
    return reason.equals(wanted);
  }

  @Override
  public String getMessage() {
    String message = super.getMessage();
    return message == null ? code.name() : message;
  }
}
