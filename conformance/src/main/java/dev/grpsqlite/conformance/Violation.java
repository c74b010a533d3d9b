package dev.grpsqlite.conformance;

/** A server did other than a rule says; the message tells what, and what was expected. */
final class Violation extends Exception {
  Violation(String message) {
    super(message);
  }
}
