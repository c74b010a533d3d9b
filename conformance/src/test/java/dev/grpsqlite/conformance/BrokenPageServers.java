package dev.grpsqlite.conformance;

import com.google.protobuf.ByteString;
import dev.grpsqlite.conformance.Broken.Base;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.AdminGrpc;
import dev.grpsqlite.proto.v1.CloseSessionResponse;
import dev.grpsqlite.proto.v1.CommitGroupResponse;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.CommitResponse;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.DropDatabaseRequest;
import dev.grpsqlite.proto.v1.DropDatabaseResponse;
import dev.grpsqlite.proto.v1.DropStageResponse;
import dev.grpsqlite.proto.v1.ForkDatabaseResponse;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.ListVersionsResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.proto.v1.RefreshRequest;
import dev.grpsqlite.proto.v1.RefreshResponse;
import dev.grpsqlite.proto.v1.RestoreDatabaseResponse;
import dev.grpsqlite.proto.v1.Snapshot;
import dev.grpsqlite.proto.v1.StagePagesResponse;
import dev.grpsqlite.proto.v1.VersionInfo;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import io.grpc.Status;
import io.grpc.Status.Code;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/** For each rule of the page and Admin services, a server that does not keep it. */
final class BrokenPageServers {
  private BrokenPageServers() {}

  static final List<Broken> SESSIONS =
      List.of(
          Broken.of(
              "PAGE-01",
              "sessions without a life",
              f ->
                  f.told(
                      PageStoreGrpc.getOpenSessionMethod(),
                      answer -> answer.toBuilder().setTtlMs(0).build())),
          Broken.of(
              "PAGE-02",
              "Refresh asks for no session",
              f ->
                  f.swallow(
                      PageStoreGrpc.getRefreshMethod(),
                      RefreshResponse.getDefaultInstance(),
                      Code.NOT_FOUND)),
          Broken.of("PAGE-03", "CloseSession does nothing", BrokenPageServers::closeDoesNothing),
          Broken.of(
              "PAGE-04",
              Base.HASTY,
              "KeepAlive keeps nothing",
              f ->
                  f.on(
                      PageStoreGrpc.getKeepAliveMethod(),
                      (request, next) -> KeepAliveResponse.newBuilder().setTtlMs(1000).build())),
          Broken.of(
              "PAGE-05",
              Base.HASTY,
              "a lease is for ever",
              f -> {
                Set<ByteString> given = ConcurrentHashMap.newKeySet();
                f.on(
                    PageStoreGrpc.getAcquireLeaseMethod(),
                    (request, next) ->
                        given.add(request.getDatabaseId())
                            ? next.apply(request)
                            : outcome(Outcome.OUTCOME_HELD));
              }),
          Broken.of(
              "PAGE-10",
              "whatever is opened is made",
              f ->
                  f.asked(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      request -> request.toBuilder().setCreate(true).build())),
          Broken.of(
              "PAGE-11",
              "names with .. are taken",
              f ->
                  f.asked(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      request ->
                          request.toBuilder()
                              .setName(request.getName().replace("..", "dots"))
                              .build())),
          Broken.of(
              "PAGE-12",
              "no page comes along",
              f ->
                  f.told(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      answer -> answer.toBuilder().clearPages().build())),
          Broken.of(
              "PAGE-14",
              "what was made for one commit stays",
              f ->
                  f.asked(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      request -> request.toBuilder().clearDropUnlessCommitted().build())),
          Broken.of(
              "PAGE-13",
              "an id for each name",
              f -> {
                Map<String, ByteString> ids = new ConcurrentHashMap<>();
                f.on(
                    PageStoreGrpc.getOpenDatabaseMethod(),
                    (request, next) -> {
                      var answer = next.apply(request);
                      return answer.toBuilder()
                          .setDatabaseId(
                              ids.computeIfAbsent(
                                  request.getName(), name -> answer.getDatabaseId()))
                          .build();
                    });
              }),
          Broken.of(
              "PAGE-20",
              "Refresh forgets a page",
              f ->
                  f.told(
                      PageStoreGrpc.getRefreshMethod(),
                      answer -> {
                        List<Integer> pages = answer.getChanges().getPagesList();
                        var fewer = answer.toBuilder();
                        fewer
                            .getChangesBuilder()
                            .clearPages()
                            .addAllPages(pages.subList(0, Math.max(0, pages.size() - 1)));
                        return fewer.build();
                      })),
          Broken.of(
              "PAGE-21",
              "nothing is ever new",
              f ->
                  f.on(
                      PageStoreGrpc.getRefreshMethod(),
                      (request, next) ->
                          RefreshResponse.newBuilder()
                              .setHead(Snapshot.newBuilder().setVersion(request.getHaveVersion()))
                              .build())),
          Broken.of(
              "PAGE-22",
              "a read delegation is given and not kept",
              f ->
                  f.on(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      (request, next) ->
                          next.apply(request.toBuilder().setReadDelegationMs(0).build()).toBuilder()
                              .setReadDelegationMs(request.getReadDelegationMs())
                              .build())),
          Broken.of(
              "PAGE-22",
              "a read delegation is longer than was asked for",
              f ->
                  f.told(
                      PageStoreGrpc.getRefreshMethod(),
                      answer -> answer.toBuilder().setReadDelegationMs(10_000).build())),
          Broken.of(
              "PAGE-30",
              "the lease is given to everybody",
              f ->
                  f.told(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      answer -> answer.toBuilder().setOutcome(Outcome.OUTCOME_GRANTED).build())),
          Broken.of(
              "PAGE-31",
              "every epoch is 1",
              f ->
                  f.told(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      answer -> answer.toBuilder().setEpoch(1).build())),
          Broken.of(
              "PAGE-32",
              "have_version is not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      request -> request.toBuilder().setAtAnyVersion(true).build())),
          Broken.of(
              "PAGE-33",
              "whoever releases a lease releases the holder's",
              f -> {
                Map<ByteString, CommitRequest> holders = holders(f);
                f.asked(
                    PageStoreGrpc.getReleaseLeaseMethod(),
                    request -> {
                      CommitRequest holder = holder(holders, request.getDatabaseId());
                      return request.toBuilder()
                          .setSessionId(holder.getSessionId())
                          .setEpoch(holder.getEpoch())
                          .build();
                    });
              }),
          Broken.of("PAGE-34", "reads are of the head", BrokenPageServers::readsTheHead));

  static final List<Broken> MARKS =
      List.of(
          Broken.of(
              "PAGE-35",
              "Refresh tells the number of a version as its mark",
              f ->
                  f.told(
                      PageStoreGrpc.getRefreshMethod(),
                      answer -> {
                        var changed = answer.toBuilder();
                        changed.getHeadBuilder().setMark(answer.getHead().getVersion());
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-35",
              "OpenDatabase tells no mark",
              f ->
                  f.told(
                      PageStoreGrpc.getOpenDatabaseMethod(),
                      answer -> {
                        var changed = answer.toBuilder();
                        changed.getSnapshotBuilder().clearMark();
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-35",
              "who is not granted a lease is told no mark",
              f ->
                  f.told(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      answer -> {
                        var changed = answer.toBuilder();
                        if (answer.getOutcome() != Outcome.OUTCOME_GRANTED) {
                          changed.getHeadBuilder().clearMark();
                        }
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-36",
              "have_mark is not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getRefreshMethod(),
                      request -> request.toBuilder().clearHaveMark().build())),
          Broken.of(
              "PAGE-36",
              "have_mark is looked at if have_version is the head",
              f ->
                  f.asked(
                      PageStoreGrpc.getRefreshMethod(),
                      request ->
                          head(f, request.getSessionId(), request.getDatabaseId()).getVersion()
                                  == request.getHaveVersion()
                              ? request
                              : request.toBuilder().clearHaveMark().build())),
          Broken.of(
              "PAGE-36",
              "whoever knows no mark is of another history",
              f ->
                  f.asked(
                      PageStoreGrpc.getRefreshMethod(),
                      request ->
                          request.getHaveMark() == 0
                              ? request.toBuilder().setHaveMark(1).build()
                              : request)),
          Broken.of(
              "PAGE-37",
              "have_mark is not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      request -> request.toBuilder().clearHaveMark().build())),
          Broken.of(
              "PAGE-37",
              "who gets the lease at any version is told that nothing changed",
              f ->
                  f.told(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      answer -> answer.toBuilder().clearChanges().build())),
          Broken.of(
              "PAGE-38",
              "mark is not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getReadPagesMethod(),
                      request -> request.toBuilder().clearMark().build())),
          Broken.of("PAGE-39", "have_mark is not looked at", f -> watchedFrom(f, 0)),
          Broken.of("PAGE-39", "everybody is of another history", f -> watchedFrom(f, 1)),
          Broken.of(
              "PAGE-39",
              "a head that is told has no mark",
              f -> told(f, event -> event.getHeadMovedBuilder().getHeadBuilder().clearMark())),
          Broken.of(
              "PAGE-39",
              "that it is another history is not told",
              f ->
                  told(
                      f,
                      event ->
                          event.getHeadMovedBuilder().getChangesBuilder().clearOtherHistory())));

  static final List<Broken> COMMITS =
      List.of(
          Broken.of(
              "PAGE-40",
              "pages come in the order of their numbers",
              f ->
                  f.told(
                      PageStoreGrpc.getReadPagesMethod(),
                      answer -> {
                        List<Page> pages = new ArrayList<>(answer.getPagesList());
                        pages.sort(Comparator.comparing(Page::getNumber));
                        return answer.toBuilder().clearPages().addAllPages(pages).build();
                      })),
          Broken.of("PAGE-41", "reads are of the head", BrokenPageServers::readsTheHead),
          Broken.of(
              "PAGE-42",
              "page 0 is page 1",
              f ->
                  f.asked(
                      PageStoreGrpc.getReadPagesMethod(),
                      request -> {
                        ReadPagesRequest.Builder changed = request.toBuilder();
                        changed
                            .getRangesBuilderList()
                            .forEach(range -> range.setFirst(Math.max(1, range.getFirst())));
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-43",
              "a long read lacks a page",
              f ->
                  f.told(
                      PageStoreGrpc.getReadPagesMethod(),
                      answer ->
                          answer.toBuilder()
                              .clearPages()
                              .addAllPages(
                                  answer.getPagesList().stream()
                                      .filter(page -> page.getNumber() != 50)
                                      .toList())
                              .build())),
          Broken.of(
              "PAGE-44",
              "what comes ahead is of another version",
              f ->
                  f.told(
                      PageStoreGrpc.getReadPagesMethod(),
                      answer ->
                          answer.getPagesCount() != 1 || answer.getPages(0).getNumber() > 2
                              ? answer
                              : answer.toBuilder()
                                  .addPages(answer.getPages(0).toBuilder().setNumber(3))
                                  .build())),
          Broken.of(
              "PAGE-50",
              "a commit skips a version",
              f ->
                  f.told(
                      PageStoreGrpc.getCommitMethod(),
                      answer -> answer.toBuilder().setVersion(answer.getVersion() + 1).build())),
          Broken.of(
              "PAGE-51",
              "late commits are applied",
              f -> {
                Map<ByteString, CommitRequest> holders = holders(f);
                f.asked(
                    PageStoreGrpc.getCommitMethod(),
                    request -> {
                      CommitRequest holder = holder(holders, request.getDatabaseId());
                      return request.toBuilder()
                          .setSessionId(holder.getSessionId())
                          .setEpoch(holder.getEpoch())
                          .build();
                    });
              }),
          Broken.of(
              "PAGE-52",
              "every base is good",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitMethod(),
                      request ->
                          request.toBuilder()
                              .setBaseVersion(
                                  head(f, request.getSessionId(), request.getDatabaseId())
                                      .getVersion())
                              .build())),
          Broken.of(
              "PAGE-53",
              "commit ids are not remembered",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitMethod(),
                      request -> request.toBuilder().setCommitId(PageClient.id()).build())),
          Broken.of(
              "PAGE-54",
              "checksums are not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitMethod(),
                      request -> {
                        CommitRequest.Builder changed = request.toBuilder();
                        changed
                            .getPagesBuilderList()
                            .forEach(
                                page ->
                                    page.setChecksum(
                                        page.getData().isEmpty()
                                            ? 0
                                            : Bytes.checksum(page.getData().toByteArray())));
                        return changed.build();
                      })),
          Broken.of("PAGE-55", "a hole is not noticed", BrokenPageServers::badCommitsAreAnswered),
          Broken.of("PAGE-56", "sizes may be mixed", BrokenPageServers::badCommitsAreAnswered),
          Broken.of(
              "PAGE-57",
              "a database never shrinks",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitMethod(),
                      request ->
                          request.toBuilder()
                              .setPageCount(
                                  Math.max(
                                      request.getPageCount(),
                                      head(f, request.getSessionId(), request.getDatabaseId())
                                          .getPageCount()))
                              .build())),
          Broken.of("PAGE-58", "any commit is good", BrokenPageServers::badCommitsAreAnswered),
          Broken.of(
              "PAGE-60",
              "stages cannot be read",
              f ->
                  f.asked(
                      PageStoreGrpc.getReadPagesMethod(),
                      request -> request.toBuilder().clearStageId().build())),
          Broken.of(
              "PAGE-61",
              "staged pages come before inline ones",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitMethod(),
                      request ->
                          request.getStageId().isEmpty()
                              ? request
                              : request.toBuilder().clearPages().build())),
          Broken.of(
              "PAGE-62",
              "DropStage does nothing",
              f ->
                  f.on(
                      PageStoreGrpc.getDropStageMethod(),
                      (request, next) -> DropStageResponse.getDefaultInstance())),
          Broken.of(
              "PAGE-63",
              "whoever likes may stage",
              f ->
                  f.swallow(
                      PageStoreGrpc.getStagePagesMethod(),
                      StagePagesResponse.getDefaultInstance(),
                      Code.DATA_LOSS,
                      Code.FAILED_PRECONDITION)),
          Broken.of(
              "PAGE-64",
              "two messages are staged at most",
              f -> {
                AtomicInteger count = new AtomicInteger();
                f.on(
                    PageStoreGrpc.getStagePagesMethod(),
                    (request, next) ->
                        count.incrementAndGet() > 2
                            ? StagePagesResponse.getDefaultInstance()
                            : next.apply(request));
              }),
          Broken.of(
              "PAGE-67",
              "of what is staged in bulk, one message is kept",
              f -> {
                Set<ByteString> begun = ConcurrentHashMap.newKeySet();
                f.on(
                    PageStoreGrpc.getStagePagesMethod(),
                    (request, next) ->
                        request.getBulk() && !begun.add(request.getStageId())
                            ? StagePagesResponse.getDefaultInstance()
                            : next.apply(request));
              }),
          Broken.of(
              "PAGE-67",
              "nobody hears that a stage is lost",
              f ->
                  f.swallow(
                      PageStoreGrpc.getStagePagesMethod(),
                      StagePagesResponse.getDefaultInstance(),
                      Code.FAILED_PRECONDITION)),
          Broken.of(
              "PAGE-68",
              "what comes late is applied",
              f ->
                  f.asked(
                      PageStoreGrpc.getStagePagesMethod(),
                      request -> request.toBuilder().clearCall().build())),
          Broken.of(
              "PAGE-65",
              "garbage is answered",
              f -> {
                closeDoesNothing(f);
                f.lenient();
              }),
          Broken.of(
              "PAGE-66",
              "messages of any size",
              f ->
                  f.on(
                      PageStoreGrpc.getCommitMethod(),
                      (request, next) ->
                          request.getSerializedSize() > 4 << 20
                              ? CommitResponse.getDefaultInstance()
                              : next.apply(request))),
          Broken.of(
              "PAGE-70",
              "commit ids of groups are not remembered",
              f ->
                  f.asked(
                      PageStoreGrpc.getCommitGroupMethod(),
                      request -> {
                        var changed = request.toBuilder();
                        changed
                            .getCommitsBuilderList()
                            .forEach(commit -> commit.setCommitId(PageClient.id()));
                        return changed.build();
                      })),
          Broken.of("PAGE-71", "a group is many commits", f -> groupsOneByOne(f)),
          Broken.of(
              "PAGE-72",
              "any group is good",
              f ->
                  f.swallow(
                      PageStoreGrpc.getCommitGroupMethod(),
                      CommitGroupResponse.getDefaultInstance(),
                      Code.INVALID_ARGUMENT)),
          Broken.of(
              "PAGE-73",
              "groups that it says it has not",
              f ->
                  f.told(
                      PageStoreGrpc.getOpenSessionMethod(),
                      answer -> {
                        var changed = answer.toBuilder();
                        changed.getCapabilitiesBuilder().setCommitGroup(false);
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-75",
              "pages are compressed, asked or not",
              f ->
                  f.asked(
                      PageStoreGrpc.getReadPagesMethod(),
                      request -> request.toBuilder().setAcceptLz4(true).build())),
          Broken.of(
              "PAGE-76",
              "compressed pages lack their end",
              f ->
                  f.told(
                      PageStoreGrpc.getReadPagesMethod(),
                      BrokenPageServers::shortCompressedPages)));

  static final List<Broken> WATCH =
      List.of(
          Broken.of(
              "PAGE-80",
              "nobody knows what changed",
              f -> told(f, event -> event.getHeadMovedBuilder().clearChanges())),
          Broken.of("PAGE-81", "heads are not told", f -> dropsHeads(f)),
          Broken.of(
              "PAGE-82",
              "have_version is not looked at",
              f ->
                  f.asked(
                      PageStoreGrpc.getWatchMethod(),
                      request -> {
                        WatchRequest.Builder changed = request.toBuilder();
                        changed
                            .getDatabasesBuilderList()
                            .forEach(database -> database.setHaveVersion(2));
                        return changed.build();
                      })),
          Broken.of(
              "PAGE-83",
              "moments that are yet to come",
              f ->
                  f.told(
                      PageStoreGrpc.getWatchMethod(),
                      answer -> {
                        if (!answer.hasConfirmed()) {
                          return answer;
                        }
                        WatchResponse.Builder later = answer.toBuilder();
                        later
                            .getConfirmedBuilder()
                            .setElapsedMs(answer.getConfirmed().getElapsedMs() + 100_000);
                        return later.build();
                      })),
          Broken.of(
              "PAGE-84",
              "the older stream is said to be cancelled",
              f -> f.ends(status -> status.getCode() == Code.ABORTED ? Status.CANCELLED : status)),
          Broken.of(
              "PAGE-85",
              "streams end well",
              f -> f.ends(status -> status.getCode() == Code.NOT_FOUND ? Status.OK : status)),
          Broken.of(
              "PAGE-86",
              "the wrong one was dropped",
              f ->
                  f.told(
                      PageStoreGrpc.getWatchMethod(),
                      answer -> {
                        if (!answer.hasDropped()) {
                          return answer;
                        }
                        WatchResponse.Builder other = answer.toBuilder();
                        other.getDroppedBuilder().setDatabaseId(PageClient.id());
                        return other.build();
                      })),
          Broken.of(
              "PAGE-90",
              "another lease is wanted",
              f ->
                  f.told(
                      PageStoreGrpc.getWatchMethod(),
                      answer -> {
                        if (!answer.hasLeaseWanted()) {
                          return answer;
                        }
                        WatchResponse.Builder other = answer.toBuilder();
                        other
                            .getLeaseWantedBuilder()
                            .setEpoch(answer.getLeaseWanted().getEpoch() + 1);
                        return other.build();
                      })),
          Broken.of(
              "PAGE-91",
              "who does not wait comes first",
              f ->
                  f.on(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      (request, next) -> {
                        AcquireLeaseResponse answer = next.apply(request);
                        return request.getWaitMs() == 0
                                && answer.getOutcome() == Outcome.OUTCOME_HELD
                            ? outcome(Outcome.OUTCOME_GRANTED)
                            : answer;
                      })),
          Broken.of(
              "PAGE-92",
              "nobody can wait",
              f ->
                  f.asked(
                      PageStoreGrpc.getAcquireLeaseMethod(),
                      request -> request.toBuilder().clearWaitMs().build())),
          Broken.of("PAGE-93", "CloseSession does nothing", BrokenPageServers::closeDoesNothing));

  static final List<Broken> VERSIONS =
      List.of(
          Broken.of("PAGE-95", "the head is opened", BrokenPageServers::opensTheHead),
          Broken.of("PAGE-96", Base.MEMORY, "the head is opened", BrokenPageServers::opensTheHead),
          Broken.of(
              "ADMIN-01",
              "the list is backwards",
              f ->
                  f.told(
                      AdminGrpc.getListDatabasesMethod(),
                      answer -> {
                        List<DatabaseInfo> all = new ArrayList<>(answer.getDatabasesList());
                        Collections.reverse(all);
                        return answer.toBuilder().clearDatabases().addAllDatabases(all).build();
                      })),
          Broken.of(
              "ADMIN-02",
              "a page too many",
              f ->
                  f.told(
                      AdminGrpc.getStatDatabaseMethod(),
                      answer -> {
                        var changed = answer.toBuilder();
                        changed
                            .getDatabaseBuilder()
                            .setPageCount(answer.getDatabase().getPageCount() + 1);
                        return changed.build();
                      })),
          Broken.of(
              "ADMIN-03",
              "DropDatabase does nothing",
              f ->
                  f.on(
                      AdminGrpc.getDropDatabaseMethod(),
                      (request, next) -> DropDatabaseResponse.getDefaultInstance())),
          Broken.of(
              "ADMIN-10",
              "oldest first",
              f ->
                  f.told(
                      AdminGrpc.getListVersionsMethod(),
                      answer -> {
                        List<VersionInfo> all = new ArrayList<>(answer.getVersionsList());
                        Collections.reverse(all);
                        return answer.toBuilder().clearVersions().addAllVersions(all).build();
                      })),
          Broken.of("ADMIN-11", "the head is opened", BrokenPageServers::opensTheHead),
          Broken.of(
              "ADMIN-12",
              "version 0 is restored",
              f ->
                  f.asked(
                      AdminGrpc.getRestoreDatabaseMethod(),
                      request -> request.toBuilder().setAtVersion(0).build())),
          Broken.of(
              "ADMIN-13",
              "commit ids of restores are not remembered",
              f ->
                  f.asked(
                      AdminGrpc.getRestoreDatabaseMethod(),
                      request -> request.toBuilder().setCommitId(PageClient.id()).build())),
          Broken.of(
              "ADMIN-14",
              "a restore beside a writer is said to be done",
              f ->
                  f.swallow(
                      AdminGrpc.getRestoreDatabaseMethod(),
                      RestoreDatabaseResponse.getDefaultInstance(),
                      Code.FAILED_PRECONDITION)),
          Broken.of("ADMIN-15", "reads are of the head", BrokenPageServers::readsTheHead),
          Broken.of(
              "ADMIN-16",
              Base.MEMORY,
              "an empty history",
              f ->
                  f.swallow(
                      AdminGrpc.getListVersionsMethod(),
                      ListVersionsResponse.getDefaultInstance(),
                      Code.UNIMPLEMENTED)),
          Broken.of(
              "ADMIN-17",
              "a restore does not look at whose lease it is",
              f ->
                  f.asked(
                      AdminGrpc.getRestoreDatabaseMethod(),
                      request -> request.toBuilder().clearSessionId().clearEpoch().build())),
          Broken.of(
              "ADMIN-18",
              "a restore is given an id of the server's",
              f ->
                  f.asked(
                      AdminGrpc.getRestoreDatabaseMethod(),
                      request -> request.toBuilder().setCommitId(PageClient.id()).build())),
          Broken.of(
              "ADMIN-20",
              "the head is forked",
              f ->
                  f.asked(
                      AdminGrpc.getForkDatabaseMethod(),
                      request -> request.toBuilder().clearAt().build())),
          Broken.of(
              "ADMIN-21",
              "a fork to a name that is taken is said to be made",
              f ->
                  f.swallow(
                      AdminGrpc.getForkDatabaseMethod(),
                      ForkDatabaseResponse.getDefaultInstance(),
                      Code.ALREADY_EXISTS)),
          Broken.of("ADMIN-22", "forks go with their parents", BrokenPageServers::dropsForks),
          Broken.of(
              "ADMIN-23",
              Base.MEMORY,
              "a fork of nothing",
              f ->
                  f.swallow(
                      AdminGrpc.getForkDatabaseMethod(),
                      ForkDatabaseResponse.getDefaultInstance(),
                      Code.UNIMPLEMENTED)),
          Broken.of(
              "ADMIN-24",
              "ids of forks are not remembered",
              f ->
                  f.asked(
                      AdminGrpc.getForkDatabaseMethod(),
                      request -> request.toBuilder().setCommitId(PageClient.id()).build())));

  // ---- Faults

  private static AcquireLeaseResponse outcome(Outcome outcome) {
    return AcquireLeaseResponse.newBuilder().setOutcome(outcome).build();
  }

  private static void closeDoesNothing(Faults f) {
    f.on(
        PageStoreGrpc.getCloseSessionMethod(),
        (request, next) -> CloseSessionResponse.getDefaultInstance());
  }

  /** Who was last given the lease of each database. */
  private static Map<ByteString, CommitRequest> holders(Faults f) {
    Map<ByteString, CommitRequest> holders = new ConcurrentHashMap<>();
    f.on(
        PageStoreGrpc.getAcquireLeaseMethod(),
        (request, next) -> {
          AcquireLeaseResponse answer = next.apply(request);
          if (answer.getOutcome() == Outcome.OUTCOME_GRANTED) {
            holders.put(
                request.getDatabaseId(),
                CommitRequest.newBuilder()
                    .setSessionId(request.getSessionId())
                    .setEpoch(answer.getEpoch())
                    .build());
          }
          return answer;
        });
    return holders;
  }

  private static CommitRequest holder(Map<ByteString, CommitRequest> holders, ByteString database) {
    return holders.getOrDefault(database, CommitRequest.getDefaultInstance());
  }

  private static Snapshot head(Faults f, ByteString session, ByteString database) {
    return PageStoreGrpc.newBlockingStub(f.good())
        .refresh(RefreshRequest.newBuilder().setSessionId(session).setDatabaseId(database).build())
        .getHead();
  }

  private static ReadPagesResponse shortCompressedPages(ReadPagesResponse answer) {
    ReadPagesResponse.Builder changed = answer.toBuilder();
    for (Page.Builder page : changed.getPagesBuilderList()) {
      page.setLz4(page.getLz4().substring(0, Math.max(0, page.getLz4().size() - 1)));
    }
    return changed.build();
  }

  private static void readsTheHead(Faults f) {
    f.asked(
        PageStoreGrpc.getReadPagesMethod(),
        request ->
            request.toBuilder()
                .setVersion(head(f, request.getSessionId(), request.getDatabaseId()).getVersion())
                .build());
  }

  private static void opensTheHead(Faults f) {
    f.asked(
        PageStoreGrpc.getOpenDatabaseMethod(), request -> request.toBuilder().clearAt().build());
  }

  private static void badCommitsAreAnswered(Faults f) {
    f.swallow(
        PageStoreGrpc.getCommitMethod(),
        CommitResponse.getDefaultInstance(),
        Code.INVALID_ARGUMENT);
  }

  private static void groupsOneByOne(Faults f) {
    f.on(
        PageStoreGrpc.getCommitGroupMethod(),
        (request, next) -> {
          CommitGroupResponse.Builder answer = CommitGroupResponse.newBuilder();
          for (CommitRequest commit : request.getCommitsList()) {
            answer.addVersions(
                PageStoreGrpc.newBlockingStub(f.good())
                    .commit(commit.toBuilder().setSessionId(request.getSessionId()).build())
                    .getVersion());
          }
          return answer.build();
        });
  }

  /** Whatever mark a watch says that its client has. */
  private static void watchedFrom(Faults f, long mark) {
    f.asked(
        PageStoreGrpc.getWatchMethod(),
        request -> {
          WatchRequest.Builder changed = request.toBuilder();
          changed.getDatabasesBuilderList().forEach(database -> database.setHaveMark(mark));
          return changed.build();
        });
  }

  private interface HeadChange {
    void on(WatchResponse.Builder event);
  }

  private static void told(Faults f, HeadChange change) {
    f.told(
        PageStoreGrpc.getWatchMethod(),
        answer -> {
          if (!answer.hasHeadMoved()) {
            return answer;
          }
          WatchResponse.Builder event = answer.toBuilder();
          change.on(event);
          return event.build();
        });
  }

  private static void dropsHeads(Faults f) {
    f.told(PageStoreGrpc.getWatchMethod(), answer -> answer.hasHeadMoved() ? null : answer);
  }

  private static void dropsForks(Faults f) {
    Map<String, String> forks = new ConcurrentHashMap<>();
    f.on(
            AdminGrpc.getForkDatabaseMethod(),
            (request, next) -> {
              forks.put(request.getName(), request.getNewName());
              return next.apply(request);
            })
        .on(
            AdminGrpc.getDropDatabaseMethod(),
            (request, next) -> {
              DropDatabaseResponse answer = next.apply(request);
              String fork = forks.get(request.getName());
              return fork == null
                  ? answer
                  : next.apply(DropDatabaseRequest.newBuilder().setName(fork).build());
            });
  }
}
