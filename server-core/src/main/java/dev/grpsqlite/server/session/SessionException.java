package dev.grpsqlite.server.session;

import java.io.Serial;

/** A session cannot do what was asked. The message may travel to the client. */
public final class SessionException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /** What went wrong. */
  public enum Code {
    /** It expired, was closed, or was never opened. */
    NO_SUCH_SESSION,
    /** There are too many of something. */
    LIMIT,
    /** A newer stream of the same session took the place of this one. */
    SUPERSEDED,
    /** This server is about to stop. */
    SHUTTING_DOWN,
    /** It belongs to somebody else. */
    NOT_OWNER
  }

  private final Code code;

  SessionException(Code code, String message) {
    super(message);
    this.code = code;
  }

  public Code code() {
    return code;
  }

  static SessionException superseded() {
    return new SessionException(
        Code.SUPERSEDED, "the session has a newer Watch, which tells what this one told");
  }

  static SessionException shuttingDown() {
    return new SessionException(Code.SHUTTING_DOWN, "the server is shutting down; try again");
  }

  static SessionException notOwner() {
    return new SessionException(Code.NOT_OWNER, "the session belongs to another identity");
  }

  static SessionException noSuchSession() {
    return new SessionException(
        Code.NO_SUCH_SESSION, "the session expired, was closed, or was never opened here");
  }
}
