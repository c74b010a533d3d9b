package dev.grpsqlite.server.page;

/**
 * How much one client may ask for (P9).
 *
 * @param messageBytes the largest message that the server receives
 * @param stagedBytesPerSession of all transactions of a session that are under way
 * @param pagesPerRead pages asked for in one ReadPages
 */
public record PageServiceLimits(int messageBytes, long stagedBytesPerSession, int pagesPerRead) {}
