package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.PageClient.page;
import static dev.grpsqlite.conformance.Rule.required;

import com.google.common.util.concurrent.ListenableFuture;
import dev.grpsqlite.proto.v1.AcquireLeaseRequest;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.proto.v1.WatchResponse.HeadMoved;
import dev.grpsqlite.proto.v1.WatchResponse.LeaseWanted;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** What sessions are told by themselves, and who waits for a lease. */
final class PageWatchRules {
  private static final int WAIT_MS = 8000;

  private PageWatchRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-80",
              Need.PAGE_WATCH,
              "Watch tells of each new head of a watched database: from which version, to which,"
                  + " and what changed.",
              PageWatchRules::heads),
          required(
              "PAGE-81",
              Need.PAGE_WATCH,
              "Watch tells of a commit before it Confirms any moment after that commit was"
                  + " acknowledged (P7).",
              PageWatchRules::confirmed),
          required(
              "PAGE-82",
              Need.PAGE_WATCH,
              "Watch tells at once of a head that is newer than have_version, and of a database"
                  + " that is gone.",
              PageWatchRules::behind),
          required(
              "PAGE-83",
              Need.PAGE_WATCH,
              "Watch Confirms about as often as confirm_every_ms asks for, with an elapsed_ms that"
                  + " never falls and is no later than the moment at which it arrives.",
              PageWatchRules::confirmedOften),
          required(
              "PAGE-84",
              Need.PAGE_WATCH,
              "A newer stream of a session ends the older with ABORTED.",
              PageWatchRules::newerStream),
          required(
              "PAGE-85",
              Need.PAGE_WATCH,
              "Watch of a session that is not open is NO_SUCH_SESSION; a stream ends so when its"
                  + " session does.",
              PageWatchRules::endsWithSession),
          required(
              "PAGE-86",
              Need.ADMIN_WATCH,
              "Watch tells that a watched database was dropped.",
              PageWatchRules::dropped),
          required(
              "PAGE-90",
              Need.PAGE_WATCH,
              "When somebody waits for a lease (wait_ms), its holder is told LeaseWanted; when it"
                  + " gives the lease back, the one who waits is granted it at once.",
              PageWatchRules::wanted),
          required(
              "PAGE-91",
              Need.PAGE_WATCH,
              "Who waits for a lease is served in the order of asking; who does not wait never"
                  + " comes before.",
              PageWatchRules::inOrder),
          required(
              "PAGE-92",
              Need.PAGE_WATCH,
              "AcquireLease with wait_ms answers OUTCOME_HELD when that time is over, not sooner"
                  + " and not much later.",
              PageWatchRules::waitsSoLong),
          required(
              "PAGE-93",
              Need.PAGE_WATCH,
              "A session that ends hands its lease to the one who waits for it.",
              PageWatchRules::endHandsOver));

  private static void heads(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    PageClient reader = writer.another();
    Watching watching = Watching.begun(trial, reader);
    long told = 0;
    for (int i = 1; i <= 10; i++) {
      writer.commit(2, page(1, i), page(2, i));
      HeadMoved moved = watching.next("HeadMoved", WatchResponse::hasHeadMoved).getHeadMoved();
      Expect.equal(reader.database, moved.getDatabaseId(), "the database in HeadMoved");
      Expect.equal(told, moved.getFromVersion(), "from_version of HeadMoved");
      Expect.equal(
          PageClient.snapshot(i, 2), PageClient.shape(moved.getHead()), "the head in HeadMoved");
      PageSessionRules.changes(moved.getChanges(), "by HeadMoved", 1, 2);
      told = moved.getHead().getVersion();
    }
  }

  private static void confirmed(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    Watching watching = Watching.begun(trial, writer.another());
    long told = 0;
    for (int i = 1; i <= 10; i++) {
      writer.commit(1, page(1, i));
      long acknowledged = watching.elapsedMs() + 1;
      WatchResponse event = watching.next();
      while (!event.hasConfirmed() || event.getConfirmed().getElapsedMs() < acknowledged) {
        if (event.hasHeadMoved()) {
          told = event.getHeadMoved().getHead().getVersion();
        }
        event = watching.next();
      }
      Expect.that(
          told >= i,
          "a moment after version "
              + i
              + " was acknowledged is confirmed, but only version "
              + told
              + " was told");
    }
  }

  private static void behind(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    writer.commit(2, page(1, 1), page(2, 1));
    writer.commit(2, page(2, 2));
    var nobodys = PageClient.id();
    PageClient reader = writer.with(trial.name());
    WatchRequest.Builder request =
        Watching.request(reader)
            .addDatabases(
                WatchRequest.Database.newBuilder().setDatabaseId(writer.database).setHaveVersion(1))
            .addDatabases(WatchRequest.Database.newBuilder().setDatabaseId(nobodys));
    Watching watching = Watching.start(trial, request);
    HeadMoved moved = HeadMoved.getDefaultInstance();
    var gone = com.google.protobuf.ByteString.EMPTY;
    WatchResponse event = watching.next();
    while (!event.hasConfirmed()) {
      if (event.hasHeadMoved()) {
        moved = event.getHeadMoved();
      } else if (event.hasDropped()) {
        gone = event.getDropped().getDatabaseId();
      }
      event = watching.next();
    }
    Expect.equal(
        PageClient.snapshot(2, 2),
        PageClient.shape(moved.getHead()),
        "the head that was told before Confirmed");
    Expect.equal(1L, moved.getFromVersion(), "from_version of that");
    PageSessionRules.changes(moved.getChanges(), "by that", 2);
    Expect.equal(nobodys, gone, "the id that was told to be gone");
  }

  private static void confirmedOften(Trial trial) throws Exception {
    Watching watching = Watching.begun(trial, trial.pages());
    long before = 0;
    for (int i = 0; i < 10; i++) {
      WatchResponse event = watching.next("Confirmed", WatchResponse::hasConfirmed);
      long moment = event.getConfirmed().getElapsedMs();
      long now = watching.elapsedMs();
      Expect.that(moment >= before, "elapsed_ms fell from " + before + " to " + moment);
      Expect.that(
          moment <= now,
          "elapsed_ms is " + moment + ", but the request was sent " + now + " ms ago");
      before = moment;
    }
    long now = watching.elapsedMs();
    Expect.that(
        now < 5000, "ten Confirmed, wanted every 50 ms, took " + now + " ms instead of some 500");
    Expect.that(before > 0, "ten Confirmed were all of the moment 0");
  }

  private static void newerStream(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Watching older = Watching.begun(trial, client);
    Watching newer = Watching.begun(trial, client);
    StatusRuntimeException unused =
        Expect.refused(Set.of(Code.ABORTED), "the older stream", older::end);
    WatchResponse event = newer.next("Confirmed", WatchResponse::hasConfirmed);
    Expect.that(event.hasConfirmed(), "the newer stream goes on");
  }

  private static void endsWithSession(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Watching watching = Watching.begun(trial, client);
    client.closeSession();
    Expect.refused(Reason.NO_SUCH_SESSION, "the Watch of a session that was closed", watching::end);
    Watching again = Watching.start(trial, Watching.of(client));
    Expect.refused(Reason.NO_SUCH_SESSION, "Watch of a session that is not open", again::end);
  }

  private static void dropped(Trial trial) throws Exception {
    PageClient client = trial.pages();
    Watching watching = Watching.begun(trial, client);
    Admins.drop(trial, client.name);
    WatchResponse event = watching.next("Dropped", WatchResponse::hasDropped);
    Expect.equal(
        client.database, event.getDropped().getDatabaseId(), "the id of the dropped database");
  }

  // ---- Waiting for a lease

  private static ListenableFuture<AcquireLeaseResponse> asking(Trial trial, PageClient client) {
    AcquireLeaseRequest request =
        client.leaseRequest(0).setAtAnyVersion(true).setWaitMs(WAIT_MS).build();
    return PageStoreGrpc.newFutureStub(trial.channel())
        .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS)
        .acquireLease(request);
  }

  private static void granted(ListenableFuture<AcquireLeaseResponse> asked, PageClient client)
      throws Exception {
    try {
      // Shorter than it waits at the server: it is to be granted at once.
      AcquireLeaseResponse answer = asked.get(WAIT_MS / 2, TimeUnit.MILLISECONDS);
      Expect.equal(Outcome.OUTCOME_GRANTED, answer.getOutcome(), "the answer to who waited");
      client.epoch = answer.getEpoch();
      client.head = answer.getHead().getVersion();
    } catch (TimeoutException e) {
      throw new Violation("the lease was given back, but who waits for it was not granted it");
    } catch (ExecutionException e) {
      throw new Violation("AcquireLease of who waits failed: " + e.getCause());
    }
  }

  private static void toldWanted(Watching watching, PageClient holder) throws Exception {
    LeaseWanted wanted =
        watching.next("LeaseWanted", WatchResponse::hasLeaseWanted).getLeaseWanted();
    Expect.equal(holder.database, wanted.getDatabaseId(), "the database in LeaseWanted");
    Expect.equal(holder.epoch, wanted.getEpoch(), "the epoch in LeaseWanted");
  }

  private static void wanted(Trial trial) throws Exception {
    PageClient holder = trial.pages().acquire();
    Watching watching = Watching.begun(trial, holder);
    PageClient other = holder.another();
    ListenableFuture<AcquireLeaseResponse> asked = asking(trial, other);
    toldWanted(watching, holder);
    holder.commit(1, page(1, 1));
    Expect.that(!asked.isDone(), "who waits was answered while the holder has the lease");
    holder.release();
    granted(asked, other);
    Expect.equal(1L, other.head, "the head that who waited was told");
    other.commit(1, page(1, 2));
  }

  private static void inOrder(Trial trial) throws Exception {
    PageClient holder = trial.pages().acquire();
    Watching watching = Watching.begun(trial, holder);
    PageClient first = holder.another();
    PageClient second = holder.another();
    ListenableFuture<AcquireLeaseResponse> firstAsked = asking(trial, first);
    toldWanted(watching, holder);
    ListenableFuture<AcquireLeaseResponse> secondAsked = asking(trial, second);
    // Sent behind it on the same connection.
    PageClient impatient = holder.another();
    Expect.equal(Outcome.OUTCOME_HELD, impatient.outcome(), "AcquireLease of who does not wait");
    holder.release();
    granted(firstAsked, first);
    Expect.that(!secondAsked.isDone(), "the second was served before the first gave it back");
    Expect.equal(Outcome.OUTCOME_HELD, impatient.outcome(), "AcquireLease of who does not wait");
    first.release();
    granted(secondAsked, second);
  }

  private static void waitsSoLong(Trial trial) throws Exception {
    PageClient holder = trial.pages().acquire();
    PageClient other = holder.another();
    long start = System.nanoTime();
    AcquireLeaseResponse answer =
        other.ask(other.leaseRequest(0).setAtAnyVersion(true).setWaitMs(400));
    long millis = (System.nanoTime() - start) / 1_000_000;
    Expect.equal(Outcome.OUTCOME_HELD, answer.getOutcome(), "the answer to who waited in vain");
    Expect.that(
        millis >= 350 && millis < 5000,
        "AcquireLease with wait_ms=400 was answered after " + millis + " ms");
  }

  private static void endHandsOver(Trial trial) throws Exception {
    PageClient holder = trial.pages().acquire();
    Watching watching = Watching.begun(trial, holder);
    PageClient other = holder.another();
    ListenableFuture<AcquireLeaseResponse> asked = asking(trial, other);
    toldWanted(watching, holder);
    holder.closeSession();
    granted(asked, other);
  }
}
