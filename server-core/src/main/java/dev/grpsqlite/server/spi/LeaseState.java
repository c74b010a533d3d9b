package dev.grpsqlite.server.spi;

import org.jspecify.annotations.Nullable;

/**
 * Who may commit to a database.
 *
 * @param epoch the fencing token: grows each time the holder changes, and is never reset (P3)
 * @param holder who has the lease, or had it when the server stopped; null if it is free
 */
public record LeaseState(long epoch, @Nullable SessionId holder) {}
