package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.Rule.recommended;
import static dev.grpsqlite.conformance.Rule.required;
import static dev.grpsqlite.conformance.Rule.requiredInTime;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.Changes;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.View;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.ToIntFunction;

/** Sessions, databases and leases of the page service. */
final class PageSessionRules {
  /** Longer lives are not waited for. */
  private static final long MAX_TTL_MS = 30_000;

  private PageSessionRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-01",
              Need.PAGE,
              "OpenSession answers a ttl_ms above 0, what the server can do, a max_message_bytes"
                  + " that a page of 64 KiB fits in, and a server_name; the same when it is sent"
                  + " again.",
              PageSessionRules::opened),
          required(
              "PAGE-02",
              Need.PAGE,
              "Every call of a session that was never opened, or was closed, is NO_SUCH_SESSION;"
                  + " but CloseSession, which succeeds.",
              PageSessionRules::noSession),
          required(
              "PAGE-03",
              Need.PAGE,
              "CloseSession frees the session's leases at once, and drops what it staged.",
              PageSessionRules::closed),
          requiredInTime(
              "PAGE-04",
              Need.PAGE,
              "A session that sends KeepAlive each third of ttl_ms lives, and has its leases, for"
                  + " as long as it likes.",
              PageSessionRules::keptAlive),
          requiredInTime(
              "PAGE-05",
              Need.PAGE,
              "A session without KeepAlive keeps its leases for ttl_ms, and ends soon after: its"
                  + " leases are free within twice that time, and it is NO_SUCH_SESSION (P3).",
              PageSessionRules::expired),
          required(
              "PAGE-10",
              Need.PAGE,
              "OpenDatabase with create makes a database: version 0, no pages, an id of 16 bytes."
                  + " Whoever opens the name gets that id. Without create, a name that nobody has"
                  + " is NO_SUCH_DATABASE.",
              PageSessionRules::databases),
          required(
              "PAGE-11",
              Need.PAGE,
              "Names are 1 to 512 bytes of UTF-8, without NUL, without a leading '/', without a"
                  + " component \"..\"; others are INVALID_NAME, and all such are taken.",
              PageSessionRules::names),
          required(
              "PAGE-12",
              Need.PAGE,
              "OpenDatabase brings the head's version, page size and page count, and page 1 as it"
                  + " is there.",
              PageSessionRules::openBringsPageOne),
          required(
              "PAGE-13",
              Need.ADMIN,
              "A database that was dropped and made again by the same name has another id; the old"
                  + " id is NO_SUCH_DATABASE.",
              PageSessionRules::idsAreNotUsedAgain),
          recommended(
              "PAGE-14",
              Need.PAGE,
              "A database that is opened with drop_unless_committed is gone when the session has"
                  + " ended, if nothing was ever committed to it and no other session has it open.",
              PageSessionRules::unusedOnesGo),
          required(
              "PAGE-20",
              Need.PAGE,
              "Refresh answers the head, and the numbers of the pages that changed since"
                  + " have_version, ascending and each once, or \"all\"; none if nothing changed,"
                  + " \"all\" for a version that is not there yet.",
              PageSessionRules::refreshed),
          required(
              "PAGE-21",
              Need.PAGE,
              "Refresh, OpenDatabase and AcquireLease that begin after a commit was acknowledged"
                  + " see it, in whatever session (P7).",
              PageSessionRules::fresh),
          required(
              "PAGE-22",
              Need.PAGE,
              "A read delegation of OpenDatabase or Refresh is no longer than was asked for; before it"
                  + " is over, no commit of another session is acknowledged; while another session has"
                  + " the lease there is none (P7). A server need not give any.",
              PageSessionRules::delegated),
          required(
              "PAGE-30",
              Need.PAGE,
              "One session has a database's lease; to another, AcquireLease answers OUTCOME_HELD,"
                  + " which is no error.",
              PageSessionRules::oneHolder),
          required(
              "PAGE-31",
              Need.PAGE,
              "AcquireLease by the holder is granted with the same epoch; to another one, after"
                  + " it was released, with a greater one (P3).",
              PageSessionRules::epochs),
          required(
              "PAGE-32",
              Need.PAGE,
              "AcquireLease with a have_version that is not the head is OUTCOME_HEAD_MOVED and"
                  + " grants nothing; with at_any_version it is granted, with the head and what"
                  + " changed.",
              PageSessionRules::headMoved),
          required(
              "PAGE-33",
              Need.PAGE,
              "ReleaseLease frees the lease; sent again, or with an epoch that is not current, it"
                  + " succeeds and frees nobody else's.",
              PageSessionRules::released),
          required(
              "PAGE-34",
              Need.PAGE,
              "A view keeps the versions from the one that it was opened at, until its floor rises"
                  + " or it is closed, whatever is committed meanwhile (P6).",
              PageSessionRules::viewsKeep));

  private static void opened(Trial trial) throws Exception {
    PageClient client = trial.pages();
    OpenSessionResponse first = client.openSession();
    Expect.equal(first, client.openSession(), "OpenSession, sent again");
    Expect.that(first.getTtlMs() > 0, "ttl_ms is " + first.getTtlMs());
    Expect.that(
        first.getMaxMessageBytes() > 65_536 + 1024,
        "max_message_bytes is " + first.getMaxMessageBytes());
    Expect.that(!first.getServerName().isEmpty(), "server_name is empty");
  }

  private static void gone(PageClient client) throws Exception {
    Expect.refused(Reason.NO_SUCH_SESSION, "KeepAlive", client::keepAlive);
    Expect.refused(Reason.NO_SUCH_SESSION, "OpenDatabase", () -> client.open(client.openRequest()));
    Expect.refused(Reason.NO_SUCH_SESSION, "Refresh", () -> client.refresh(0));
    Expect.refused(Reason.NO_SUCH_SESSION, "ReadPages", () -> client.read(1, 1, 1));
    Expect.refused(
        Reason.NO_SUCH_SESSION, "AcquireLease", () -> client.ask(client.leaseRequest(1)));
    Expect.refused(
        Reason.NO_SUCH_SESSION,
        "StagePages",
        () -> client.stage(PageClient.id(), PageClient.page(1, 2)));
    Expect.refused(Reason.NO_SUCH_SESSION, "Commit", () -> client.commit(1, PageClient.page(1, 2)));
    client.closeSession();
  }

  private static void noSession(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, PageClient.page(1, 1));
    client.closeSession();
    gone(client);
    PageClient next = client.another();
    next.expectRead(1, 1, "what was committed before", PageClient.at(1, PageClient.page(1, 1)));
  }

  private static void closed(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    ByteString stage = PageClient.id();
    client.stage(stage, PageClient.page(1, 1));
    long epoch = client.epoch;
    client.closeSession();
    PageClient next = client.another().acquire();
    Expect.that(next.epoch > epoch, "the next holder's epoch is not greater");
    OpenSessionResponse again = client.openSession();
    Expect.that(again.getTtlMs() > 0, "the session cannot be opened again");
    next.release();
    PageClient same = client.acquire();
    Expect.refused(
        Reason.NO_SUCH_STAGE,
        "Commit of what was staged before the session was closed",
        () -> same.send(same.request(1).setStageId(stage)));
  }

  private static void unusedOnesGo(Trial trial) throws Exception {
    PageClient client = trial.pages();
    PageClient unused = client.another();
    PageClient open = unused.with(trial.name());
    PageClient committed = unused.with(trial.name());
    PageClient never = unused.with(trial.name()).acquire();
    never.stage(PageClient.id(), PageClient.page(1, 1));
    for (PageClient each : List.of(open, committed, never)) {
      OpenDatabaseResponse again = each.open(each.openRequest().setDropUnlessCommitted(true));
      Expect.equal(each.database, again.getDatabaseId(), "the id of a database opened again");
    }
    committed.acquire().commit(1, PageClient.page(1, 1));
    PageClient other = client.with(open.name);
    unused.closeSession();
    PageClient reader = client.with(committed.name);
    reader.expectRead(1, 1, "what was committed", PageClient.at(1, PageClient.page(1, 1)));
    PageClient writer = other.acquire();
    writer.commit(1, PageClient.page(1, 2));
    Trial.await(
        Target.CALL_SECONDS * 1000L,
        "a database that was opened with drop_unless_committed is there without a commit",
        () -> isGone(client, never.name));
  }

  private static boolean isGone(PageClient client, String name) {
    try {
      OpenDatabaseResponse there = client.open(client.openRequest().setName(name));
      return there.getDatabaseId().isEmpty();
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode() == Code.NOT_FOUND;
    }
  }

  private static long ttlMs(Trial trial) throws NotShown {
    long ttl = trial.offer().pages().getTtlMs();
    if (ttl > MAX_TTL_MS) {
      throw new NotShown("sessions live for " + ttl + " ms, too long to wait for");
    }
    return ttl;
  }

  private static void keptAlive(Trial trial) throws Exception {
    long ttl = ttlMs(trial);
    PageClient client = trial.pages().acquire().silent();
    PageClient other = client.another();
    Punctual punctual = new Punctual(ttl * 3 / 4);
    for (int third = 0; third < 5; third++) {
      Trial.pause(ttl / 3);
      punctual.renew(
          () ->
              Expect.equal(
                  List.of(), client.keepAlive().getLostLeasesList(), "the leases that were lost"));
      punctual.expect(
          () ->
              Expect.equal(
                  Outcome.OUTCOME_HELD,
                  other.outcome(),
                  "AcquireLease of a lease that is kept alive"));
    }
    punctual.expect(() -> client.commit(1, PageClient.page(1, 1)));
  }

  private static void expired(Trial trial) throws Exception {
    long ttl = ttlMs(trial);
    PageClient silent = trial.pages().silent();
    PageClient other = silent.another();
    KeepAliveResponse first = silent.keepAlive();
    long kept = System.nanoTime();
    PageClient unused = silent.acquire();
    Expect.that(first.getTtlMs() > 0, "KeepAlive answers no ttl_ms");
    Trial.await(
        2 * ttl + 1000,
        "the lease is held after twice ttl_ms without KeepAlive",
        () -> other.outcome() == Outcome.OUTCOME_GRANTED);
    long millis = (System.nanoTime() - kept) / 1_000_000;
    // The server's time began when it received the KeepAlive, before we had its answer.
    Expect.that(
        millis >= ttl - 500, "the lease was given away after " + millis + " ms, ttl_ms is " + ttl);
    gone(silent);
  }

  private static void databases(Trial trial) throws Exception {
    PageClient client = trial.pages();
    OpenDatabaseResponse opened = client.open(client.openRequest());
    Expect.equal(16, client.database.size(), "the length of database_id");
    Expect.equal(client.database, opened.getDatabaseId(), "the id of a database, opened again");
    Expect.equal(0L, opened.getHeadVersion(), "the head of a new database");
    Expect.equal(0, opened.getSnapshot().getPageCount(), "the pages of a new database");
    Expect.equal(0, opened.getPagesCount(), "the pages that came along with a new database");
    Expect.equal(client.database, client.another().database, "the id in another session");
    String nobodys = trial.name();
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "OpenDatabase of a name that nobody has",
        () -> client.open(client.openRequest().setName(nobodys)));
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "the same again: asking does not make it",
        () -> client.open(client.openRequest().setName(nobodys)));
    Expect.that(
        !client.with(nobodys).database.equals(client.database), "two databases have the same id");
  }

  private static void names(Trial trial) throws Exception {
    PageClient client = trial.pages();
    for (String wrong :
        List.of("", "/main.db", "..", "../main.db", "a/../b", "a/..", "a\0b", "é".repeat(257))) {
      Expect.refused(
          Reason.INVALID_NAME,
          "OpenDatabase of \"" + (wrong.length() > 100 ? "514 bytes" : wrong) + "\"",
          () -> client.open(client.openRequest().setName(wrong).setCreate(true)));
    }
    for (String suffix : List.of("/..a/b..c/.../é", "/main.db", "?*%_ \"'")) {
      PageClient other = client.with(trial.names().next(suffix));
      Expect.equal(16, other.database.size(), "the length of database_id");
    }
    String longest = trial.names().next("");
    PageClient other =
        client.with(trial.names().next("/" + "x".repeat(512 - longest.length() - 9)));
    Expect.equal(16, other.database.size(), "the length of database_id");
  }

  private static void openBringsPageOne(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, PageClient.page(1, 1), PageClient.page(2, 1));
    client.commit(2, PageClient.page(2, 2));
    OpenDatabaseResponse opened = client.another().open(client.openRequest());
    Expect.equal(PageClient.snapshot(2, 2), PageClient.shape(opened.getSnapshot()), "the snapshot");
    Expect.equal(2L, opened.getHeadVersion(), "the head");
    Expect.equal(
        List.of(PageClient.shown(PageClient.at(1, PageClient.page(1, 1)))),
        opened.getPagesList().stream()
            .filter(page -> page.getNumber() == 1)
            .map(PageClient::shown)
            .toList(),
        "page 1");
  }

  private static void idsAreNotUsedAgain(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Admins.drop(trial, client.name);
    PageClient again = client.with(client.name);
    Expect.that(!again.database.equals(client.database), "it has the id of the one before");
    Expect.refused(Reason.NO_SUCH_DATABASE, "Refresh of the one before", () -> client.refresh(0));
  }

  private static void refreshed(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(3, PageClient.page(1, 1), PageClient.page(2, 1), PageClient.page(3, 1));
    client.commit(3, PageClient.page(3, 2), PageClient.page(2, 2));
    client.commit(3, PageClient.page(3, 3));
    Expect.equal(
        PageClient.snapshot(3, 3), PageClient.shape(client.refresh(1).getHead()), "the head");
    changes(client.refresh(1).getChanges(), "since version 1", 2, 3);
    changes(client.refresh(2).getChanges(), "since version 2", 3);
    Expect.equal(
        Changes.getDefaultInstance(),
        client.refresh(3).getChanges(),
        "what changed since the head");
    Expect.that(
        client.refresh(77).getChanges().getAll(), "have_version is above the head: not \"all\"");
  }

  /** What changed, as a list; or the server says "all", which is always right. */
  static void changes(Changes changes, String what, Integer... pages) throws Violation {
    if (!changes.getAll()) {
      Expect.equal(List.of(pages), changes.getPagesList(), "what changed " + what);
    }
  }

  private static void fresh(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    PageClient reader = writer.another();
    for (int i = 1; i <= 20; i++) {
      writer.commit(1, PageClient.page(1, i));
      String when = "the head after version " + i + " was acknowledged, by ";
      Expect.equal((long) i, reader.refresh(i - 1).getHead().getVersion(), when + "Refresh");
      Expect.equal(
          (long) i, reader.open(reader.openRequest()).getHeadVersion(), when + "OpenDatabase");
    }
    writer.release();
    Expect.equal(
        20L,
        reader.ask(reader.leaseRequest(0).setAtAnyVersion(true)).getHead().getVersion(),
        "the head, by AcquireLease");
  }

  private static final int DELEGATION_MS = 60;

  private static void delegated(Trial trial) throws Exception {
    delegated(
        trial.pages(),
        "OpenDatabase",
        reader ->
            reader
                .open(reader.openRequest().setReadDelegationMs(DELEGATION_MS))
                .getReadDelegationMs());
    delegated(
        trial.pages(),
        "Refresh",
        reader ->
            reader
                .refresh(reader.refreshRequest(0).setReadDelegationMs(DELEGATION_MS))
                .getReadDelegationMs());
  }

  private static void delegated(PageClient reader, String what, ToIntFunction<PageClient> ask)
      throws Exception {
    PageClient writer = reader.another();
    long sent = System.nanoTime();
    int given = ask.applyAsInt(reader);
    Expect.that(
        given >= 0 && given <= DELEGATION_MS,
        what
            + " gave a read delegation of "
            + given
            + " ms where "
            + DELEGATION_MS
            + " were asked for");
    writer.acquire();
    writer.commit(1, PageClient.page(1, 1));
    long acknowledged = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - sent);
    Expect.that(
        acknowledged >= given,
        what
            + " gave a read delegation of "
            + given
            + " ms, and another session's commit was acknowledged after "
            + acknowledged);
    Expect.equal(0, ask.applyAsInt(reader), what + ", the delegation beside another's lease");
  }

  private static void oneHolder(Trial trial) throws Exception {
    PageClient holder = trial.pages().acquire();
    PageClient other = holder.another();
    Expect.equal(Outcome.OUTCOME_HELD, other.outcome(), "AcquireLease by another session");
    holder.commit(1, PageClient.page(1, 1));
    Expect.equal(Outcome.OUTCOME_HELD, other.outcome(), "AcquireLease by another session");
  }

  private static void epochs(Trial trial) throws Exception {
    PageClient first = trial.pages().acquire();
    long epoch = first.epoch;
    Expect.equal(
        epoch, first.acquire().epoch, "the epoch when the holder asks for the lease again");
    first.release();
    PageClient second = first.another().acquire();
    Expect.that(
        Long.compareUnsigned(second.epoch, epoch) > 0,
        "the epoch was " + epoch + ", and is " + second.epoch + " with the next holder");
    second.release();
    Expect.that(
        Long.compareUnsigned(first.acquire().epoch, second.epoch) > 0,
        "the epoch does not grow when the lease goes back");
  }

  private static void headMoved(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    writer.commit(2, PageClient.page(1, 1), PageClient.page(2, 1));
    writer.commit(2, PageClient.page(2, 2));
    writer.release();
    PageClient other = writer.another();
    AcquireLeaseResponse moved = other.ask(other.leaseRequest(1));
    Expect.equal(
        Outcome.OUTCOME_HEAD_MOVED, moved.getOutcome(), "AcquireLease with an old have_version");
    Expect.equal(
        PageClient.snapshot(2, 2), PageClient.shape(moved.getHead()), "the head in that answer");
    AcquireLeaseResponse any = other.ask(other.leaseRequest(1).setAtAnyVersion(true));
    Expect.equal(Outcome.OUTCOME_GRANTED, any.getOutcome(), "AcquireLease at any version");
    Expect.equal(
        PageClient.snapshot(2, 2), PageClient.shape(any.getHead()), "the head when it is granted");
    changes(any.getChanges(), "since version 1, by AcquireLease", 2);
    other.release();
    PageClient third = writer.another();
    Expect.equal(
        Outcome.OUTCOME_GRANTED,
        third.ask(third.leaseRequest(2)).getOutcome(),
        "AcquireLease with the head as have_version");
  }

  private static void released(Trial trial) throws Exception {
    PageClient first = trial.pages().acquire();
    first.release();
    first.release();
    PageClient second = first.another().acquire();
    first.release();
    Expect.equal(Outcome.OUTCOME_HELD, first.outcome(), "AcquireLease after a late ReleaseLease");
    second.commit(1, PageClient.page(1, 1));
    second.epoch--;
    second.release();
    second.epoch++;
    second.commit(1, PageClient.page(1, 2));
  }

  private static void viewsKeep(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    writer.commit(1, PageClient.page(1, 1));
    PageClient reader = writer.another();
    OpenDatabaseResponse opened = reader.open(reader.openRequest());
    Expect.equal(1L, opened.getSnapshot().getVersion(), "the version that was opened");
    for (int i = 2; i <= 20; i++) {
      writer.head = writer.send(writer.request(1, PageClient.page(1, i)).setFloorVersion(i - 1));
    }
    reader.expectRead(1, 1, "page 1 of an open view", PageClient.at(1, PageClient.page(1, 1)));
    KeepAliveResponse unused =
        reader
            .stub()
            .keepAlive(
                KeepAliveRequest.newBuilder()
                    .setSessionId(reader.session)
                    .addViews(View.newBuilder().setDatabaseId(reader.database).setFloorVersion(15))
                    .build());
    reader.expectRead(
        15, 1, "page 1 at the floor of a view", PageClient.at(15, PageClient.page(1, 15)));
  }
}
