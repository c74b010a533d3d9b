package dev.grpsqlite.server.page;

import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitGroupResponse;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.CommitResponse;
import dev.grpsqlite.proto.v1.DropStageRequest;
import dev.grpsqlite.proto.v1.DropStageResponse;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.auth.Right;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitGroups;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StageId;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import dev.grpsqlite.server.wire.Fields;
import dev.grpsqlite.server.wire.Ids;
import dev.grpsqlite.server.wire.Pages;
import dev.grpsqlite.server.wire.RequestArrays;
import dev.grpsqlite.server.wire.RequestException;
import dev.grpsqlite.server.wire.Statuses;
import dev.grpsqlite.server.wire.Traffic;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * What changes a database's pages: stages, commits, and groups of them. Checks them, passes them on
 * to the store, and keeps the session's books of what it has staged and which leases it has.
 * Thread-safe; waits for nothing.
 */
final class Writes {
  /** What a staged page takes beside its content, which for a page of zeros is all. */
  private static final int STAGED_PAGE_BYTES = 64;

  private final PageStore store;
  private final Leases leases;
  private final PageServiceLimits limits;
  private final RequestArrays arrays;
  private final Traffic traffic;

  Writes(
      PageStore store,
      Leases leases,
      PageServiceLimits limits,
      RequestArrays arrays,
      Traffic traffic) {
    this.store = store;
    this.leases = leases;
    this.limits = limits;
    this.arrays = arrays;
    this.traffic = traffic;
  }

  CompletableFuture<StagePagesResponse> stage(
      Caller caller, Session session, StagePagesRequest request) {
    DatabaseId database = Ids.database(request.getDatabaseId());
    StageId stage = Ids.stage(request.getStageId());
    long call = Fields.call(request.getCall());
    int pageSize = Pages.checkedPageSize(request.getPageSize());
    List<PageImage> pages = Pages.incoming(request.getPagesList(), pageSize);
    long bytes = PageImage.bytes(pages);
    long counted = bytes + Math.max(1, pages.size()) * (long) STAGED_PAGE_BYTES;
    return caller
        .require(store, database, Right.WRITE)
        .thenCompose(
            allowed -> {
              session.addStaged(database, stage, counted, limits.stagedBytesPerSession());
              long epoch = request.getEpoch();
              return request.getBulk()
                  ? store.stageInBulk(database, session.id(), epoch, stage, call, pageSize, pages)
                  : store.stage(database, session.id(), epoch, stage, call, pageSize, pages);
            })
        .handle(
            (staged, error) -> {
              if (error != null) {
                if (isRefusal(error)) {
                  session.takeBackStaged(database, stage, counted);
                }
                noteLost(session, database, request.getEpoch(), error);
                throw Statuses.of(error);
              }
              noteHeld(session, database, request.getEpoch());
              traffic.pagesWritten(pages.size(), bytes);
              if (request.getBulk()) {
                arrays.giveBack(pages); // the store is done with them
              }
              return StagePagesResponse.getDefaultInstance();
            });
  }

  CompletableFuture<DropStageResponse> dropStage(Session session, DropStageRequest request) {
    DatabaseId database = Ids.database(request.getDatabaseId());
    StageId stage = Ids.stage(request.getStageId());
    return store
        .dropStage(database, session.id(), stage)
        .thenApply(
            dropped -> {
              session.dropStaged(database, stage);
              return DropStageResponse.getDefaultInstance();
            });
  }

  CompletableFuture<CommitResponse> commit(Caller caller, Session session, CommitRequest request) {
    Commit commit = checked(session, request);
    long floor = Fields.version(request.getFloorVersion());
    return caller
        .require(store, commit.database(), Right.WRITE)
        .thenCompose(allowed -> store.commit(commit))
        .handle(
            (version, error) -> {
              if (error != null) {
                noteLost(session, commit.database(), commit.epoch(), error);
                throw Statuses.of(error);
              }
              noteCommitted(session, commit, floor);
              return CommitResponse.newBuilder().setVersion(version).build();
            });
  }

  CompletableFuture<CommitGroupResponse> commitGroup(
      Caller caller, Session session, CommitGroupRequest request) {
    if (request.getCommitsCount() > CommitGroups.MAX_COMMITS) {
      throw RequestException.invalid(
          "a group of %d commits; %d are the most"
              .formatted(request.getCommitsCount(), CommitGroups.MAX_COMMITS));
    }
    List<Commit> commits = new ArrayList<>();
    List<Long> floors = new ArrayList<>();
    for (CommitRequest each : request.getCommitsList()) {
      if (!each.getSessionId().isEmpty() && !each.getSessionId().equals(request.getSessionId())) {
        throw RequestException.invalid("a group is of one session");
      }
      commits.add(checked(session, each));
      floors.add(Fields.version(each.getFloorVersion()));
    }
    return mayWriteAll(caller, commits)
        .thenCompose(allowed -> store.commitGroup(commits))
        .handle(
            (versions, error) -> {
              if (error != null) {
                if (isLeaseLost(error)) {
                  commits.forEach(commit -> noteIfLost(session, commit));
                }
                throw Statuses.of(error);
              }
              for (int i = 0; i < commits.size(); i++) {
                noteCommitted(session, commits.get(i), floors.get(i));
              }
              return CommitGroupResponse.newBuilder().addAllVersions(versions).build();
            });
  }

  private static Commit checked(Session session, CommitRequest request) {
    int pageSize = Pages.checkedPageSize(request.getPageSize());
    long pageCount = Integer.toUnsignedLong(request.getPageCount());
    if (pageCount > Pages.MAX_PAGE_NUMBER) {
      throw RequestException.invalid(
          "page_count " + pageCount + " is more than a database can have");
    }
    List<PageImage> pages = Pages.incoming(request.getPagesList(), pageSize);
    for (PageImage page : pages) {
      if (page.number() > pageCount) {
        throw RequestException.invalid(
            "page " + page.number() + " is above the page_count " + pageCount);
      }
    }
    return new Commit(
        Ids.database(request.getDatabaseId()),
        session.id(),
        request.getEpoch(),
        Ids.commit(request.getCommitId()),
        Fields.version(request.getBaseVersion()),
        pageSize,
        pageCount,
        request.getStageId().isEmpty() ? null : Ids.stage(request.getStageId()),
        pages);
  }

  /** Complete when it is clear that nothing in the group is of a database it may not write. */
  private CompletableFuture<Void> mayWriteAll(Caller caller, List<Commit> commits) {
    return CompletableFuture.allOf(
        commits.stream()
            .map(commit -> caller.require(store, commit.database(), Right.WRITE))
            .toArray(CompletableFuture<?>[]::new));
  }

  private void noteCommitted(Session session, Commit commit, long floor) {
    noteHeld(session, commit.database(), commit.epoch());
    if (commit.stage() != null) {
      session.dropStaged(commit.database(), commit.stage());
    }
    session.raiseFloor(commit.database(), Session.LIVE_VIEW, floor);
    traffic.pagesWritten(commit.pages().size(), PageImage.bytes(commit.pages()));
    traffic.committed();
  }

  /** A server that restarted learns so of a lease that was granted before. */
  private void noteHeld(Session session, DatabaseId database, long epoch) {
    if (!session.leaseUsed(database, epoch)) {
      // The session ended in the meantime; what it staged goes with the lease.
      CompletableFuture<Void> unused = leases.release(session, database, epoch);
    }
  }

  private static void noteLost(Session session, DatabaseId database, long epoch, Throwable error) {
    if (isLeaseLost(error)) {
      session.leaseLost(database, epoch);
    }
  }

  /** One of a group's leases is lost; looks whether it is this commit's. */
  private void noteIfLost(Session session, Commit commit) {
    CompletableFuture<Void> unused =
        store
            .lease(commit.database())
            .thenAccept(
                lease -> {
                  if (lease.epoch() != commit.epoch() || !session.id().equals(lease.holder())) {
                    session.leaseLost(commit.database(), commit.epoch());
                  }
                });
  }

  private static boolean isLeaseLost(Throwable error) {
    return StoreException.codeOf(error) == Code.LEASE_LOST;
  }

  /** The store says no, and has done nothing. */
  private static boolean isRefusal(Throwable error) {
    Code code = StoreException.codeOf(error);
    return code != null && code != Code.STORE_FAILED && code != Code.OUTCOME_UNKNOWN;
  }
}
