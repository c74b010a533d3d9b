package dev.grpsqlite.server.wire;

import java.io.Serial;

/** A request that is refused. The message is for the client's people. */
public final class RequestException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  private final Reason reason;

  public RequestException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  public Reason reason() {
    return reason;
  }

  public static RequestException invalid(String message) {
    return new RequestException(Reason.INVALID_REQUEST, message);
  }
}
