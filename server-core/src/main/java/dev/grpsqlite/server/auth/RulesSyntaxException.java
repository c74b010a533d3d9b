package dev.grpsqlite.server.auth;

import java.io.Serial;

/** A rules file says something that is none. The message names the line. */
public final class RulesSyntaxException extends Exception {
  @Serial private static final long serialVersionUID = 1L;

  RulesSyntaxException(int line, String problem) {
    super("line " + line + ": " + problem);
  }
}
