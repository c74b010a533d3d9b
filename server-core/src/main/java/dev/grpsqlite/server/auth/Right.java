package dev.grpsqlite.server.auth;

/** What an identity may do with a database. Each right includes those before it. */
public enum Right {
  NONE,
  /** See that it exists, read any version of it, fork it to a name that may be written. */
  READ,
  /** Make it, commit to it, restore a version of it. */
  WRITE,
  /** Drop it, set how far back its versions are kept. */
  ADMIN
}
