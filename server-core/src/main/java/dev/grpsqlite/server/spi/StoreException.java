package dev.grpsqlite.server.spi;

import java.io.Serial;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/**
 * The one exception that crosses the SPI. Its message is for people and may travel to the client:
 * it names the database and the numbers, never a file of the server.
 */
public final class StoreException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1L;

  /** What went wrong. The wire's reasons are made from these, in one place. */
  public enum Code {
    NO_SUCH_DATABASE,
    /** A database of that name exists. */
    ALREADY_EXISTS,
    /** The lease epoch is not current; nothing was applied (P3). */
    LEASE_LOST,
    /** The base version is not the head; nothing was applied (P4). */
    HEAD_MOVED,
    /** The stage that a commit or a read names does not exist; nothing was applied. */
    NO_SUCH_STAGE,
    /** The version is below what is retained (P6). */
    SNAPSHOT_TOO_OLD,
    /** The version is above the head, or there is none that old. */
    NO_SUCH_VERSION,
    /** The commit id is older than what the store remembers (P5, P8). */
    OUTCOME_UNKNOWN,
    /** The request breaks a rule that its documentation states. */
    INVALID_REQUEST,
    QUOTA,
    LIMIT,
    /** This store cannot; see {@link PageStore#capabilities}. */
    UNSUPPORTED,
    /** The storage has no room; nothing was applied. It takes writes again when it has some. */
    STORE_FULL,
    /** The storage takes no writes until its operator has mended it; nothing was applied. */
    STORE_READ_ONLY,
    /** The storage failed. Whether the operation took effect is not known. */
    STORE_FAILED
  }

  private final Code code;

  public StoreException(Code code, String message) {
    this(code, message, null);
  }

  public StoreException(Code code, String message, @Nullable Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /** What a future failed with, as far as a store says so; null: it is something else. */
  public static @Nullable Code codeOf(@Nullable Throwable failure) {
    Throwable cause = failure instanceof CompletionException ? failure.getCause() : failure;
    return cause instanceof StoreException e ? e.code() : null;
  }

  public static StoreException noSuchDatabase(String name) {
    return new StoreException(Code.NO_SUCH_DATABASE, "no database is called " + name);
  }

  public Code code() {
    return code;
  }
}
