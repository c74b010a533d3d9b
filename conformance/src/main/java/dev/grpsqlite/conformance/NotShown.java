package dev.grpsqlite.conformance;

/** A rule cannot be checked with this server, for the reason in the message. */
final class NotShown extends Exception {
  NotShown(String reason) {
    super(reason);
  }
}
