package dev.grpsqlite.conformance;

/** There is nothing to look at; the message is one line. */
final class NoServerException extends Exception {
  NoServerException(String message) {
    super(message);
  }
}
