package dev.grpsqlite.server.spi;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All that makes the next version.
 *
 * <p>Every page that the database grows by is in the commit, staged or inline; if {@code pageSize}
 * is not that of the base version, every page is. Hence the newest image of a page at or below a
 * version is its content at that version, and no store needs to remember truncations.
 *
 * @param epoch of the lease, as granted to {@code holder}
 * @param baseVersion the version that the transaction read
 * @param pageSize in bytes
 * @param pageCount of the new version
 * @param stage what was staged, if anything; its pages above {@code pageCount} are ignored
 * @param pages those sent with the commit; they come before staged ones of the same number; at most
 *     one message's worth
 */
public record Commit(
    DatabaseId database,
    SessionId holder,
    long epoch,
    CommitId id,
    long baseVersion,
    int pageSize,
    long pageCount,
    @Nullable StageId stage,
    List<PageImage> pages) {}
