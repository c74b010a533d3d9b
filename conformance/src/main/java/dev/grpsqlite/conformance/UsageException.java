package dev.grpsqlite.conformance;

/** The kit was asked for what it cannot do; the message is one line for whoever asked. */
final class UsageException extends Exception {
  UsageException(String message) {
    super(message);
  }
}
