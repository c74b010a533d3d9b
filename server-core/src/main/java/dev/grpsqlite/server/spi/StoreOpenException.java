package dev.grpsqlite.server.spi;

import java.io.Serial;
import org.jspecify.annotations.Nullable;

/** A store cannot be opened. The message says what was tried, on what, and what to do. */
public final class StoreOpenException extends Exception {
  @Serial private static final long serialVersionUID = 1L;

  public StoreOpenException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
