package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.auth.AccessException.Code;
import org.jspecify.annotations.Nullable;

/**
 * Whom a server lets in: everybody, or those whom its rules know. The rules can be replaced at any
 * time; calls that come after that are judged by the new ones. Thread-safe.
 */
public final class Access {
  private final DatabaseNames names = new DatabaseNames();
  private volatile @Nullable AccessRules rules;
  private volatile Runnable whenReplaced = () -> {};

  private Access(@Nullable AccessRules rules) {
    this.rules = rules;
  }

  /** Everybody may do everything. */
  public static Access open() {
    return new Access(null);
  }

  public static Access by(AccessRules rules) {
    return new Access(rules);
  }

  /** Whether anybody is asked who it is. */
  public boolean asks() {
    return rules != null;
  }

  public void replace(AccessRules newRules) {
    if (rules == null) {
      throw new IllegalStateException("an open server does not close");
    }
    rules = newRules;
    whenReplaced.run();
  }

  /** What is to be done each time that the rules were replaced, by who replaced them. Set once. */
  public void whenReplaced(Runnable action) {
    whenReplaced = action;
  }

  @Nullable AccessRules rules() {
    return rules;
  }

  DatabaseNames names() {
    return names;
  }

  /**
   * Who calls. A token says so before a certificate does. Fails with BAD_TOKEN, and with
   * NOT_ALLOWED if there is nothing at all that it may do.
   *
   * @param certificate the identity in the certificate of the connection
   */
  public Caller caller(@Nullable String token, @Nullable String certificate) {
    AccessRules current = rules;
    if (current == null) {
      return new Caller(this, certificate == null ? "" : certificate, null);
    }
    String identity = certificate;
    Token known = token == null ? null : Token.of(token);
    if (known != null) {
      identity =
          current
              .identityOf(known)
              .orElseThrow(
                  () -> new AccessException(Code.BAD_TOKEN, "the server does not know the token"));
    }
    if (identity == null) {
      throw new AccessException(
          Code.BAD_TOKEN,
          "the server asks for a token, and there is none (GRPSQLITE_TOKEN, or token= in the name)");
    }
    if (!current.knows(identity)) {
      throw new AccessException(
          Code.NOT_ALLOWED, "there is nothing that " + identity + " may do here");
    }
    return new Caller(this, identity, known);
  }
}
