package dev.grpsqlite.server.session;

/**
 * How much there can be of what sessions have, so that one client cannot take what all need (P9).
 * Where nobody is asked who it is, the clients of one address are one identity.
 *
 * @param sessions of all clients
 * @param sessionsPerIdentity of one identity
 * @param leasesPerSession leases that one session has
 * @param stagedBytes of all sessions together, ahead of their commits
 * @param stagedBytesPerIdentity of the sessions of one identity
 * @param views of all sessions together; one identity has half of them at most
 */
public record SessionLimits(
    int sessions,
    int sessionsPerIdentity,
    int leasesPerSession,
    long stagedBytes,
    long stagedBytesPerIdentity,
    int views) {
  public static final SessionLimits DEFAULTS =
      new SessionLimits(10_000, 5_000, 65_536, 1L << 40, 1L << 38, 200_000);
}
