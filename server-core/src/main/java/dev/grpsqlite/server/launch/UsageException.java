package dev.grpsqlite.server.launch;

import java.io.Serial;

/** A setting is wrong. The message is one line for the operator. */
final class UsageException extends Exception {
  @Serial private static final long serialVersionUID = 1L;

  UsageException(String message) {
    super(message);
  }
}
