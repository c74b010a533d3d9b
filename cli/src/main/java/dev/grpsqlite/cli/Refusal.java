package dev.grpsqlite.cli;

/** The command cannot do what it was asked, and says why in a sentence. */
final class Refusal extends RuntimeException {
  /** What is wrong, for scripts: in {@code --json} by name, else by exit code. */
  enum Kind {
    /** Whatever no other kind says. */
    FAILED(1),
    USAGE(2),
    /** The server does not answer. */
    NO_SERVER(3),
    /** There is no such database, version or file. */
    NOT_FOUND(4),
    /** It exists already, or another is writing to it: nothing happened. */
    IN_THE_WAY(5),
    /** The server does not allow it: a token, a right, a quota, a limit. */
    NOT_ALLOWED(6),
    /** The file is no database, or is damaged, or not what it has to be. */
    NO_DATABASE(7),
    /** This server cannot do that. */
    UNSUPPORTED(8),
    /** A commit's outcome is not known. */
    UNKNOWN(9);

    final int exitCode;

    Kind(int exitCode) {
      this.exitCode = exitCode;
    }
  }

  private final Kind kind;

  Refusal(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  Kind kind() {
    return kind;
  }

  @Override
  public String getMessage() {
    return String.valueOf(super.getMessage());
  }
}
