package dev.grpsqlite.server.spi;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * Databases as versioned sequences of pages, in one engine.
 *
 * <h2>Threads</h2>
 *
 * Every method may be called from any thread, many at once, and none blocks: what has to wait for a
 * disk or a network completes its future from a thread of the store's. A future that is complete on
 * return is answered on the caller's thread, so an operation on what is in memory should not be
 * moved to another. No method throws; a future fails with {@link StoreException} and nothing else.
 * The caller may complete long chains on the store's threads but does not block them.
 *
 * <h2>What the server has done before it calls</h2>
 *
 * Names are valid, sizes are within the limits of one message, page sizes are powers of two from
 * 512 to 65536, page numbers are at least 1 and each appears once in a list, checksums are
 * verified. Everything else is for the store to check.
 *
 * <h2>Liveness</h2>
 *
 * The store keeps who has a lease, durably if it is durable, and judges it by epoch alone. Whether
 * a holder is still alive is for the caller to say (see {@link #acquireLease}).
 */
public interface PageStore extends AutoCloseable {

  StoreCapabilities capabilities();

  /** Finds a database by name. */
  CompletableFuture<Optional<DatabaseInfo>> find(String name);

  /** Finds a database by name and makes it at version 0 if there is none. Durable. */
  CompletableFuture<DatabaseInfo> findOrCreate(String name);

  /** A database by id. Fails with NO_SUCH_DATABASE. */
  CompletableFuture<DatabaseInfo> info(DatabaseId database);

  /**
   * Databases whose name begins with a prefix, in the order of the UTF-8 bytes of their names.
   *
   * @param after only names behind this one; empty for all
   * @param limit how many at most, from 1
   */
  CompletableFuture<List<DatabaseInfo>> list(String prefix, String after, int limit);

  /** Removes a database with all its versions. Fails with NO_SUCH_DATABASE. */
  CompletableFuture<Void> drop(DatabaseId database);

  /** The newest version. Fails with NO_SUCH_DATABASE. */
  CompletableFuture<Snapshot> head(DatabaseId database);

  /**
   * One version. Fails with NO_SUCH_DATABASE, SNAPSHOT_TOO_OLD, NO_SUCH_VERSION.
   *
   * <p>A store without {@link StoreCapabilities#timeTravel} must have every version from the oldest
   * pinned one on, and may say SNAPSHOT_TOO_OLD of others.
   */
  CompletableFuture<Snapshot> snapshot(DatabaseId database, long version);

  /**
   * The mark of a version (see {@link Snapshot}), also of one that can't be read any more: as long
   * as {@link #changes} tells what changed since then. 0 if that is too long ago, and of a version
   * that there is not. Fails with NO_SUCH_DATABASE.
   */
  CompletableFuture<Long> mark(DatabaseId database, long version);

  /**
   * What changed in the versions after {@code after}, up to and including {@code upTo}.
   *
   * @param limit more pages than this are answered with {@link Changes#ALL}; so is an {@code after}
   *     that is too old to tell, and a changed page size
   */
  CompletableFuture<Changes> changes(DatabaseId database, long after, long upTo, int limit);

  /**
   * Reads pages as of a version (P6), in the order asked for.
   *
   * @param pages at most what fits a message; each from 1 to the page count of that version, else
   *     INVALID_REQUEST
   * @return one image for each, with the version that last wrote it. Fails with NO_SUCH_DATABASE,
   *     SNAPSHOT_TOO_OLD, NO_SUCH_VERSION
   */
  CompletableFuture<List<PageImage>> read(DatabaseId database, long version, long[] pages);

  /**
   * Reads pages of a transaction that is still running: those of the stage first, with version 0;
   * else as {@link #read}; a page above that version's page count and not staged is of zeros.
   */
  CompletableFuture<List<PageImage>> readStaged(
      DatabaseId database, SessionId session, StageId stage, long version, long[] pages);

  /** Who has the lease. Fails with NO_SUCH_DATABASE. */
  CompletableFuture<LeaseState> lease(DatabaseId database);

  /**
   * Gives the lease to a session: if it is free, or if the current state is {@code displaced},
   * whose holder the caller knows to be gone (the epoch grows, and what the session had staged for
   * the database is dropped), or if it has it already (the epoch stays). A session displaces itself
   * too: it has the lease of an earlier session of its id. Checked and done as one. Durable before
   * it is answered.
   *
   * @return the state afterwards; the lease was granted if its holder is {@code session}. Fails
   *     with NO_SUCH_DATABASE
   */
  CompletableFuture<LeaseState> acquireLease(
      DatabaseId database, SessionId session, Optional<LeaseState> displaced);

  /**
   * Frees the lease if this session has it with this epoch; else does nothing. What the session had
   * staged for the database is dropped. Fails with NO_SUCH_DATABASE.
   */
  CompletableFuture<Void> releaseLease(DatabaseId database, SessionId session, long epoch);

  /**
   * Stores pages ahead of a commit. A page that is staged again replaces the earlier one. Nobody
   * sees them but {@link #readStaged} with the same session and stage; no promise is made of their
   * durability until the commit. Fails with NO_SUCH_DATABASE, LEASE_LOST (P3), LIMIT, NO_SUCH_STAGE
   * as {@link StageCalls} says, and INVALID_REQUEST if the stage has another page size.
   *
   * @param call its number, or {@link StageCalls#UNCOUNTED}
   */
  CompletableFuture<Void> stage(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages);

  /**
   * As {@link #stage}, for a stage to which all pages come so: very many, in a few runs that
   * ascend. A store may lose it when it is closed or killed, if its lease then ends, so that no
   * part of it can be taken for the whole. Once it has answered without a failure, the pages' bytes
   * are the caller's again, who may overwrite them.
   */
  default CompletableFuture<Void> stageInBulk(
      DatabaseId database,
      SessionId session,
      long epoch,
      StageId stage,
      long call,
      int pageSize,
      List<PageImage> pages) {
    return stage(database, session, epoch, stage, call, pageSize, pages);
  }

  /** Drops what was staged. Succeeds also if there is nothing. */
  CompletableFuture<Void> dropStage(DatabaseId database, SessionId session, StageId stage);

  /** Drops whatever a session has staged in any database: it has ended. */
  CompletableFuture<Void> dropStages(SessionId session);

  /**
   * Applies a commit: whole or not at all (P1), durably before it is answered (P2), if the epoch is
   * current (P3) and the base version is the head (P4), all checked in the transaction that applies
   * it. If the commit id was applied already, answers as then, before any other check (P5): that
   * can be only as the version after its base.
   *
   * @return the new version. Fails with NO_SUCH_DATABASE, LEASE_LOST, HEAD_MOVED, NO_SUCH_STAGE,
   *     QUOTA, INVALID_REQUEST (nothing was applied, and never will be), STORE_FULL,
   *     STORE_READ_ONLY (nothing was applied by this call), OUTCOME_UNKNOWN, and STORE_FAILED (not
   *     known)
   */
  CompletableFuture<Long> commit(Commit commit);

  /**
   * Applies commits of several databases together: all of them or none (P1), durably before it is
   * answered (P2), each under its own lease and on its own base (P3, P4), all checked in the
   * transaction that applies them. If the group was applied already, answers as then, before any
   * other check (P5), which {@link CommitGroups} helps to find out.
   *
   * @param commits at most {@link CommitGroups#MAX_COMMITS}
   * @return the new versions, in the order of the commits. Fails as {@link #commit} does, for any
   *     of them; INVALID_REQUEST if there is none, or two are of one database, or one was applied
   *     without the others; UNSUPPORTED without {@link StoreCapabilities#commitGroup}
   */
  default CompletableFuture<List<Long>> commitGroup(List<Commit> commits) {
    return unsupported("committing several databases together");
  }

  /**
   * The newest version committed at or before a time. Fails with NO_SUCH_DATABASE, NO_SUCH_VERSION
   * (it was created later), SNAPSHOT_TOO_OLD; UNSUPPORTED without {@link
   * StoreCapabilities#timeTravel}.
   */
  default CompletableFuture<Snapshot> snapshotAt(DatabaseId database, Instant time) {
    return unsupported("opening a database as of a time");
  }

  /**
   * Retained versions, newest first. Fails with NO_SUCH_DATABASE; UNSUPPORTED without {@link
   * StoreCapabilities#timeTravel}.
   *
   * @param below only versions below this one; {@link Long#MAX_VALUE} for all
   * @param limit how many at most, from 1
   */
  default CompletableFuture<List<VersionInfo>> history(DatabaseId database, long below, int limit) {
    return unsupported("the history of a database");
  }

  /**
   * Makes a database whose version 0 has the content of a retained version of another. In constant
   * time; neither sees what is committed to the other, and either can be dropped. Durable. Fails
   * with NO_SUCH_DATABASE, NO_SUCH_VERSION, SNAPSHOT_TOO_OLD, and ALREADY_EXISTS if there is a
   * database of that name; UNSUPPORTED without {@link StoreCapabilities#fork}.
   *
   * @param id of whoever asks, who can tell by it, from {@link DatabaseInfo#forkedFrom}, that a
   *     database is what this made
   */
  default CompletableFuture<DatabaseInfo> fork(
      DatabaseId parent, long version, String newName, CommitId id) {
    return unsupported("forking a database");
  }

  /**
   * Commits the content of a retained version as the next one: as {@link #commit} in every respect,
   * but that the pages come from {@code version}. Fails as commit does, and with NO_SUCH_VERSION,
   * SNAPSHOT_TOO_OLD; UNSUPPORTED without {@link StoreCapabilities#timeTravel}.
   */
  default CompletableFuture<Long> restore(
      DatabaseId database, SessionId holder, long epoch, CommitId id, long version) {
    return unsupported("restoring a version");
  }

  /**
   * Sets how far back this database's versions are kept; empty: as the store's setting says.
   * Durable. Fails with NO_SUCH_DATABASE; UNSUPPORTED without {@link StoreCapabilities#timeTravel}.
   */
  default CompletableFuture<Void> setRetention(DatabaseId database, Optional<Retention> retention) {
    return unsupported("setting the retention of a database");
  }

  private static <T> CompletableFuture<T> unsupported(String what) {
    return CompletableFuture.failedFuture(
        new StoreException(
            StoreException.Code.UNSUPPORTED, what + " is not supported by this server's store"));
  }

  /** What is worth watching of the engine. The same ones at any time, and cheap to look at. */
  default List<EngineFigure> figures() {
    return List.of();
  }

  /** Why no writes are taken at present, for the operator; empty: they are. Cheap to look at. */
  default Optional<String> refusesWrites() {
    return Optional.empty();
  }

  /** The other servers that have the same engine open. */
  default Neighbours neighbours() {
    return Neighbours.NONE;
  }

  /** The files of the file service's clients. */
  SideFiles sideFiles();

  /**
   * Waits for what is under way and closes the engine. Idempotent. Calls after it fail with
   * STORE_FAILED.
   */
  @Override
  void close();
}
