package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Relay;
import dev.grpsqlite.pageclient.RemoteException;

/** What a server's errors mean to a person. */
final class Errors {
  /** What is said already if the extension's code had no server. */
  private static final String START_ONE = "start one with";

  private Errors() {}

  static Kind kind(RemoteException e) {
    return switch (e.reason()) {
      case "NO_SUCH_DATABASE", "NO_SUCH_VERSION", "SNAPSHOT_TOO_OLD" -> Kind.NOT_FOUND;
      case "ALREADY_EXISTS", "LEASE_HELD", "LEASE_LOST", "HEAD_MOVED" -> Kind.IN_THE_WAY;
      case "INVALID_NAME", Relay.BAD_URL -> Kind.USAGE;
      case "OUTCOME_UNKNOWN" -> Kind.UNKNOWN;
      case "STORE_FULL" -> Kind.FAILED;
      default ->
          switch (e.code()) {
            case UNAVAILABLE, DEADLINE_EXCEEDED -> Kind.NO_SERVER;
            case UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED -> Kind.NOT_ALLOWED;
            case UNIMPLEMENTED -> Kind.UNSUPPORTED;
            default -> Kind.FAILED;
          };
    };
  }

  static String sentence(RemoteException e) {
    String message = e.getMessage();
    return switch (e.reason()) {
      case "LEASE_HELD" -> message + "; try again when it is done";
      case "LEASE_LOST" -> "another has taken over the right to write; nothing was committed";
      case "BAD_TOKEN" -> message + "; set GRPSQLITE_TOKEN, or give --token-file";
      default ->
          switch (e.code()) {
            case UNIMPLEMENTED ->
                e.reason().isEmpty() ? "this server does not offer that: " + message : message;
            case UNAVAILABLE ->
                message.startsWith("no server at") && !message.contains(START_ONE)
                    ? message + "; " + START_ONE + " grpsqlite serve, or set GRPSQLITE_URL"
                    : message;
            default -> message;
          };
    };
  }
}
