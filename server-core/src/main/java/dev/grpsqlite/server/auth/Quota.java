package dev.grpsqlite.server.auth;

/**
 * How much the databases whose names match may be together, and each of them. What they are is the
 * size of their newest versions. {@link Long#MAX_VALUE} is no limit.
 */
public record Quota(NamePattern pattern, long databases, long bytes, long databaseBytes) {
  /** For all databases of a server. */
  public static Quota ofAll(long bytes, long databaseBytes) {
    return new Quota(NamePattern.parse("**"), Long.MAX_VALUE, bytes, databaseBytes);
  }

  boolean limits() {
    return databases != Long.MAX_VALUE
        || bytes != Long.MAX_VALUE
        || databaseBytes != Long.MAX_VALUE;
  }
}
