package dev.grpsqlite.server.auth;

import java.io.Serial;
import org.jspecify.annotations.Nullable;

/** A file is not what it should be. The message says what it lacks, without its name. */
public final class PemException extends Exception {
  @Serial private static final long serialVersionUID = 1L;

  PemException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
