package dev.grpsqlite.server.session;

/**
 * How much there can be of what sessions have, so that one client cannot take what all need (P9).
 *
 * @param sessions of all clients
 * @param sessionsPerIdentity of one identity; where nobody is asked who it is, all are of one
 * @param leasesPerSession leases that one session has
 * @param stagedBytes of all sessions together, ahead of their commits
 */
public record SessionLimits(
    int sessions, int sessionsPerIdentity, int leasesPerSession, long stagedBytes) {}
