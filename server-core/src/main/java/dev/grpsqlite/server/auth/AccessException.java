package dev.grpsqlite.server.auth;

import java.io.Serial;

/** A caller is not who may do this. The message travels to the client. */
public final class AccessException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /** What is wrong. */
  public enum Code {
    /** It is not known who calls. */
    BAD_TOKEN,
    /** It is known, and it may not. */
    NOT_ALLOWED
  }

  private final Code code;

  AccessException(Code code, String message) {
    super(message);
    this.code = code;
  }

  public Code code() {
    return code;
  }
}
