package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.PageClient.at;
import static dev.grpsqlite.conformance.PageClient.page;
import static dev.grpsqlite.conformance.Rule.required;

import com.google.protobuf.Timestamp;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import dev.grpsqlite.proto.v1.ForkDatabaseRequest;
import dev.grpsqlite.proto.v1.ListDatabasesRequest;
import dev.grpsqlite.proto.v1.ListDatabasesResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.RestoreDatabaseRequest;
import dev.grpsqlite.proto.v1.VersionInfo;
import java.util.ArrayList;
import java.util.List;

/** Old versions, and the Admin service. */
final class PageVersionRules {
  /** How long a server may take to collect what need not be kept. */
  private static final long COLLECT_MS = 30_000;

  private PageVersionRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-95",
              Need.PAGE_TIME,
              "OpenDatabase at_version opens that version in a view of its own, with its pages and"
                  + " page count; one above the head is NO_SUCH_VERSION; view 0 is"
                  + " INVALID_REQUEST (P6).",
              PageVersionRules::opensVersions),
          required(
              "PAGE-96",
              Need.PAGE_NO_TIME,
              "OpenDatabase at_version or at_time of a server without time_travel is UNSUPPORTED.",
              PageVersionRules::cannotOpenVersions),
          required(
              "ADMIN-01",
              Need.ADMIN,
              "ListDatabases answers the databases with a prefix, in the order of their names'"
                  + " bytes, page_limit at a time, all of them once.",
              PageVersionRules::lists),
          required(
              "ADMIN-02",
              Need.ADMIN,
              "StatDatabase tells a database's id, head, page size and page count;"
                  + " NO_SUCH_DATABASE if there is none.",
              PageVersionRules::stats),
          required(
              "ADMIN-03",
              Need.ADMIN,
              "DropDatabase removes a database; LEASE_HELD while a client has its lease;"
                  + " NO_SUCH_DATABASE if there is none.",
              PageVersionRules::drops),
          required(
              "ADMIN-10",
              Need.ADMIN_TIME,
              "ListVersions answers each retained version once, newest first, page_limit at a time,"
                  + " with what it changed, and with a time later than that of the one before.",
              PageVersionRules::history),
          required(
              "ADMIN-11",
              Need.ADMIN_TIME,
              "OpenDatabase at_time opens the newest version committed at or before that time;"
                  + " NO_SUCH_VERSION if it is before the database was made.",
              PageVersionRules::opensTimes),
          required(
              "ADMIN-12",
              Need.ADMIN_TIME,
              "RestoreDatabase makes a new version with the content of an old one; what was the"
                  + " head stays in the history.",
              PageVersionRules::restores),
          required(
              "ADMIN-13",
              Need.ADMIN_TIME,
              "RestoreDatabase sent again with its commit_id answers the first outcome, whoever has"
                  + " the lease by then (P5).",
              PageVersionRules::restoresOnce),
          required(
              "ADMIN-14",
              Need.ADMIN_TIME,
              "RestoreDatabase is LEASE_HELD while a client has the lease, and changes nothing"
                  + " (P3).",
              PageVersionRules::restoreNeedsTheLease),
          required(
              "ADMIN-15",
              Need.ADMIN_TIME,
              "SetRetention lets versions go that no view needs: they are SNAPSHOT_TOO_OLD then,"
                  + " while a view keeps its own (P6).",
              PageVersionRules::retention),
          required(
              "ADMIN-16",
              Need.ADMIN_NO_TIME,
              "ListVersions, RestoreDatabase and SetRetention of a server without time_travel are"
                  + " UNSUPPORTED.",
              PageVersionRules::noVersions),
          required(
              "ADMIN-17",
              Need.ADMIN_TIME,
              "RestoreDatabase with a session_id and epoch is under the lease that the session has,"
                  + " and keeps; LEASE_LOST if it is not that lease (P3).",
              PageVersionRules::restoresUnderALease),
          required(
              "ADMIN-18",
              Need.ADMIN_TIME,
              "The mark of a version that RestoreDatabase makes is the first eight bytes of its"
                  + " commit_id, if versions have marks (PAGE-35); it is of the same history.",
              PageMarkRules::areOfRestores),
          required(
              "ADMIN-20",
              Need.ADMIN_FORK,
              "ForkDatabase makes a database whose version 0 has the content of another's version;"
                  + " neither sees the other's commits.",
              PageVersionRules::forks),
          required(
              "ADMIN-21",
              Need.ADMIN_FORK,
              "ForkDatabase to a name that is taken is ALREADY_EXISTS, from a version above the"
                  + " head NO_SUCH_VERSION; nothing is made then.",
              PageVersionRules::badForks),
          required(
              "ADMIN-22",
              Need.ADMIN_FORK,
              "A fork has all its pages also when the database that it was made from is dropped.",
              PageVersionRules::forksStay),
          required(
              "ADMIN-23",
              Need.ADMIN_NO_FORK,
              "ForkDatabase of a server without fork is UNSUPPORTED.",
              PageVersionRules::noForks),
          required(
              "ADMIN-24",
              Need.ADMIN_FORK,
              "ForkDatabase sent again with its commit_id answers with what it made, as long as"
                  + " that is there (P5).",
              PageVersionRules::forksOnce));

  private static OpenDatabaseRequest.Builder view(PageClient client, int view) {
    return client.openRequest().setReadOnly(true).setView(view);
  }

  private static void opensVersions(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    for (int i = 1; i <= 5; i++) {
      client.commit(i, i == 1 ? new dev.grpsqlite.proto.v1.Page[] {page(1, 1)} : grown(i));
    }
    PageClient reader = client.another();
    for (int i = 0; i <= 5; i++) {
      OpenDatabaseResponse opened = reader.open(view(reader, 1 + i).setAtVersion(i));
      Expect.equal((long) i, opened.getSnapshot().getVersion(), "the version that was opened");
      Expect.equal(i, opened.getSnapshot().getPageCount(), "the pages of version " + i);
      Expect.equal(5L, opened.getHeadVersion(), "the head");
      if (i > 0) {
        reader.expectRead(i, i, "the last page of version " + i, at(i, page(i, i)));
      }
    }
    reader.expectRead(2, 1, "page 1 of version 2", at(2, page(1, 2)));
    Expect.refused(
        Reason.NO_SUCH_VERSION,
        "OpenDatabase at version 6 of 5",
        () -> reader.open(view(reader, 9).setAtVersion(6)));
    Expect.refused(
        Reason.INVALID_REQUEST,
        "OpenDatabase at a version with view 0",
        () -> reader.open(view(reader, 0).setAtVersion(1)));
  }

  private static dev.grpsqlite.proto.v1.Page[] grown(int version) {
    return new dev.grpsqlite.proto.v1.Page[] {page(1, version), page(version, version)};
  }

  private static void cannotOpenVersions(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    Expect.refused(
        Reason.UNSUPPORTED,
        "OpenDatabase at a version",
        () -> client.open(view(client, 1).setAtVersion(1)));
    Expect.refused(
        Reason.UNSUPPORTED,
        "OpenDatabase at a time",
        () -> client.open(view(client, 1).setAtTime(Timestamp.newBuilder().setSeconds(1))));
  }

  private static void lists(Trial trial) throws Exception {
    String prefix = trial.name() + "/";
    PageClient client = trial.pages();
    List<String> names = new ArrayList<>();
    // In the order of their bytes; Java's strings have another.
    for (String last : List.of("B", "a", "a/1", "b", "\uFB01", "\uD83D\uDE00")) {
      names.add(prefix + last);
      PageClient unused = client.with(prefix + last);
    }
    trial.atEnd(() -> names.forEach(name -> Admins.drop(trial, name)));
    for (int limit : new int[] {1, 4, 0}) {
      List<String> seen = new ArrayList<>();
      String token = "";
      do {
        ListDatabasesResponse answer =
            trial
                .admin()
                .listDatabases(
                    ListDatabasesRequest.newBuilder()
                        .setPrefix(prefix)
                        .setPageLimit(limit)
                        .setPageToken(token)
                        .build());
        Expect.that(
            limit == 0 || answer.getDatabasesCount() <= limit,
            "ListDatabases answers more than page_limit databases");
        answer.getDatabasesList().forEach(info -> seen.add(info.getName()));
        token = answer.getNextPageToken();
      } while (!token.isEmpty() && seen.size() <= names.size());
      Expect.equal(names, seen, "the databases, with page_limit " + limit);
    }
  }

  private static void stats(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    DatabaseInfo info = Admins.stat(trial, client.name);
    Expect.equal(client.name, info.getName(), "its name");
    Expect.equal(client.database, info.getDatabaseId(), "its id");
    Expect.equal(1L, info.getHeadVersion(), "its head");
    Expect.equal(PageClient.PAGE, info.getPageSize(), "its page size");
    Expect.equal(2, info.getPageCount(), "its page count");
    Expect.that(info.getCommittedAt().getSeconds() > 0, "it has no committed_at");
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "StatDatabase of a name that nobody has",
        () -> Admins.stat(trial, trial.name()));
  }

  private static void drops(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    Expect.refused(
        Reason.LEASE_HELD,
        "DropDatabase while a client has the lease",
        () -> Admins.drop(trial, client.name));
    client.commit(1, page(1, 2));
    client.release();
    Admins.drop(trial, client.name);
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "OpenDatabase of a database that was dropped",
        () -> client.open(client.openRequest()));
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "DropDatabase of a database that was dropped",
        () -> Admins.drop(trial, client.name));
  }

  private static void history(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(3, page(1, 1), page(2, 1), page(3, 1));
    client.commit(3, page(2, 2));
    client.commit(4, page(1, 3), page(4, 3));
    List<VersionInfo> all = Admins.versions(trial, client.name, 0);
    Expect.equal(
        List.of(3L, 2L, 1L, 0L), all.stream().map(VersionInfo::getVersion).toList(), "versions");
    Expect.equal(
        List.of(2, 1, 3, 0),
        all.stream().map(VersionInfo::getPagesChanged).toList(),
        "how many pages each changed");
    Expect.equal(
        List.of(4, 3, 3, 0),
        all.stream().map(VersionInfo::getPageCount).toList(),
        "how many pages each has");
    for (int i = 1; i < all.size(); i++) {
      Expect.that(
          Admins.nanos(all.get(i - 1).getCommittedAt()) > Admins.nanos(all.get(i).getCommittedAt()),
          "version " + all.get(i - 1).getVersion() + " is not later than the one before");
    }
    for (int limit : new int[] {1, 3}) {
      Expect.equal(
          all, Admins.versions(trial, client.name, limit), "versions, with page_limit " + limit);
    }
  }

  private static void opensTimes(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    for (int i = 1; i <= 3; i++) {
      client.commit(1, page(1, i));
    }
    List<VersionInfo> history = Admins.versions(trial, client.name, 0);
    PageClient reader = client.another();
    for (VersionInfo info : history) {
      Expect.equal(
          info.getVersion(),
          reader.open(view(reader, 1).setAtTime(info.getCommittedAt())).getSnapshot().getVersion(),
          "the version that was opened at the time of version " + info.getVersion());
    }
    Timestamp newest = history.get(0).getCommittedAt();
    Expect.equal(
        3L,
        reader
            .open(
                view(reader, 1)
                    .setAtTime(newest.toBuilder().setSeconds(newest.getSeconds() + 3600)))
            .getSnapshot()
            .getVersion(),
        "the version that was opened an hour after the last commit");
    Expect.refused(
        Reason.NO_SUCH_VERSION,
        "OpenDatabase long before it was made",
        () -> reader.open(view(reader, 1).setAtTime(Timestamp.newBuilder().setSeconds(1))));
  }

  static RestoreDatabaseRequest restore(PageClient client, long version) {
    return RestoreDatabaseRequest.newBuilder()
        .setName(client.name)
        .setAtVersion(version)
        .setCommitId(PageClient.id())
        .build();
  }

  private static void restores(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    client.commit(3, page(1, 2), page(3, 2));
    client.release();
    Expect.equal(
        3L,
        trial.admin().restoreDatabase(restore(client, 1)).getVersion(),
        "the version that a restore makes");
    Expect.equal(
        PageClient.snapshot(3, 2),
        PageClient.shape(client.refresh(3).getHead()),
        "the head after it");
    Expect.equal(page(1, 1).getData(), client.read(3, 1, 1).get(0).getData(), "page 1 after it");
    Expect.equal(
        List.of(3L, 2L, 1L, 0L),
        Admins.versions(trial, client.name, 0).stream().map(VersionInfo::getVersion).toList(),
        "the history after it");
    client.expectRead(2, 3, "page 3 of what was the head", at(2, page(3, 2)));
    PageClient writer = client.acquire();
    Expect.equal(4L, writer.commit(2, page(1, 4)), "the version of the next commit");
  }

  private static void restoresOnce(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    client.commit(1, page(1, 2));
    client.release();
    RestoreDatabaseRequest request = restore(client, 1);
    Expect.equal(
        3L, trial.admin().restoreDatabase(request).getVersion(), "the version of a restore");
    Expect.equal(
        3L, trial.admin().restoreDatabase(request).getVersion(), "the version, asked again");
    PageClient holder = client.acquire();
    Expect.equal(
        3L,
        trial.admin().restoreDatabase(request).getVersion(),
        "the version, asked again while a client has the lease");
    Expect.equal(3L, holder.refresh(3).getHead().getVersion(), "the head");
  }

  private static void restoreNeedsTheLease(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    Expect.refused(
        Reason.LEASE_HELD,
        "RestoreDatabase while a client has the lease",
        () ->
            Expect.that(
                trial.admin().restoreDatabase(restore(client, 0)).getVersion() == 0,
                "RestoreDatabase while a client has the lease was answered"));
    Expect.equal(2L, client.commit(1, page(1, 2)), "the version of the holder's next commit");
  }

  private static void restoresUnderALease(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    client.commit(1, page(1, 2));
    RestoreDatabaseRequest request =
        restore(client, 1).toBuilder().setSessionId(client.session).setEpoch(client.epoch).build();
    Expect.equal(
        3L,
        trial.admin().restoreDatabase(request).getVersion(),
        "the version of a restore under a lease");
    Expect.equal(
        3L, trial.admin().restoreDatabase(request).getVersion(), "the version, asked again");
    Expect.equal(3L, client.refresh(3).getHead().getVersion(), "the head after it");
    Expect.refused(
        Reason.LEASE_LOST,
        "RestoreDatabase under another epoch",
        () ->
            trial
                .admin()
                .restoreDatabase(
                    request.toBuilder()
                        .setCommitId(PageClient.id())
                        .setEpoch(client.epoch + 1)
                        .build()));
    client.head = 3;
    Expect.equal(4L, client.commit(1, page(1, 4)), "the version of the holder's next commit");
  }

  private static void retention(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    PageClient reader = null;
    for (int i = 1; i <= 6; i++) {
      writer.head = writer.send(writer.request(1, page(1, i)).setFloorVersion(i));
      if (i == 3) {
        reader = writer.another();
      }
    }
    writer.head = writer.send(writer.request(1, page(1, 7)).setFloorVersion(7));
    PageClient old = java.util.Objects.requireNonNull(reader);
    Admins.keep(trial, writer.name, 0);
    Trial.await(
        COLLECT_MS,
        "no version was let go within " + COLLECT_MS + " ms",
        () -> Admins.stat(trial, writer.name).getOldestVersion() >= 3);
    old.expectRead(3, 1, "what a view keeps", at(3, page(1, 3)));
    old.expectRead(5, 1, "what is newer than what a view keeps", at(5, page(1, 5)));
    Expect.refused(
        Reason.SNAPSHOT_TOO_OLD,
        "OpenDatabase at a version that was let go",
        () -> old.open(view(old, 1).setAtVersion(1)));
    Expect.refused(
        Reason.SNAPSHOT_TOO_OLD, "ReadPages at a version that was let go", () -> old.read(1, 1, 1));
    writer.expectRead(7, 1, "the head", at(7, page(1, 7)));
  }

  private static void noVersions(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Expect.refused(
        Reason.UNSUPPORTED, "ListVersions", () -> Admins.versions(trial, client.name, 0));
    Expect.refused(Reason.UNSUPPORTED, "SetRetention", () -> Admins.keep(trial, client.name, 1));
    Expect.refused(
        Reason.UNSUPPORTED,
        "RestoreDatabase",
        () ->
            Expect.that(
                trial.admin().restoreDatabase(restore(client, 0)).getVersion() == 0,
                "RestoreDatabase was answered"));
  }

  // ---- Forks

  private static DatabaseInfo fork(Trial trial, PageClient client, String to, long version) {
    return trial
        .admin()
        .forkDatabase(
            ForkDatabaseRequest.newBuilder()
                .setName(client.name)
                .setNewName(to)
                .setAtVersion(version)
                .setCommitId(PageClient.id())
                .build())
        .getDatabase();
  }

  private static void forks(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    client.commit(3, page(2, 2), page(3, 2));
    String name = trial.name();
    DatabaseInfo info = fork(trial, client, name, 1);
    Expect.equal(name, info.getName(), "the fork's name");
    Expect.equal(0L, info.getHeadVersion(), "the fork's head");
    Expect.equal(2, info.getPageCount(), "the fork's page count");
    Expect.equal(client.name, info.getForkedFrom(), "forked_from");
    Expect.equal(1L, info.getForkedAtVersion(), "forked_at_version");
    PageClient fork = client.with(name).acquire();
    Expect.that(!fork.database.equals(client.database), "a fork has the id of the other");
    content(fork, 0, 1, page(1, 1));
    content(fork, 0, 2, page(2, 1));
    fork.commit(2, page(1, 5));
    client.commit(3, page(1, 6));
    content(fork, 1, 1, page(1, 5));
    content(fork, 1, 2, page(2, 1));
    client.expectRead(3, 1, "page 1 of the other", at(3, page(1, 6)));
    client.expectRead(3, 2, "page 2 of the other", at(2, page(2, 2)));
  }

  private static void content(
      PageClient client, long version, int number, dev.grpsqlite.proto.v1.Page expected)
      throws Violation {
    Expect.bytes(
        expected.getData().toByteArray(),
        client.read(version, number, 1).get(0).getData().toByteArray(),
        "page " + number + " of the fork's version " + version);
  }

  private static void badForks(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    String taken = client.with(trial.name()).name;
    Expect.refused(
        Reason.ALREADY_EXISTS,
        "ForkDatabase to a name that is taken",
        () -> fork(trial, client, taken, 1));
    String free = trial.name();
    Expect.refused(
        Reason.NO_SUCH_VERSION,
        "ForkDatabase of version 2 of 1",
        () -> fork(trial, client, free, 2));
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "StatDatabase of a fork that was refused",
        () -> Admins.stat(trial, free));
  }

  private static void forksOnce(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    ForkDatabaseRequest request =
        ForkDatabaseRequest.newBuilder()
            .setName(client.name)
            .setNewName(trial.name())
            .setCommitId(PageClient.id())
            .build();
    DatabaseInfo made = trial.admin().forkDatabase(request).getDatabase();
    client.commit(1, page(1, 2));
    DatabaseInfo again = trial.admin().forkDatabase(request).getDatabase();
    Expect.equal(made.getDatabaseId(), again.getDatabaseId(), "the fork's id, asked again");
    Expect.equal(1L, again.getForkedAtVersion(), "forked_at_version, asked again");
    Expect.refused(
        Reason.ALREADY_EXISTS,
        "ForkDatabase to the same name with another commit_id",
        () -> fork(trial, client, request.getNewName(), 1));
  }

  private static void forksStay(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    String name = trial.name();
    DatabaseInfo unused = fork(trial, client, name, 1);
    client.release();
    Admins.drop(trial, client.name);
    PageClient fork = client.with(name);
    content(fork, 0, 1, page(1, 1));
    content(fork, 0, 2, page(2, 1));
  }

  private static void noForks(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Expect.refused(Reason.UNSUPPORTED, "ForkDatabase", () -> fork(trial, client, trial.name(), 0));
  }
}
