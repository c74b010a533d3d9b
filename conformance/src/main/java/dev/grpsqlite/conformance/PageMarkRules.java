package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.PageClient.page;
import static dev.grpsqlite.conformance.PageClient.range;
import static dev.grpsqlite.conformance.Rule.required;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse;
import dev.grpsqlite.proto.v1.AcquireLeaseResponse.Outcome;
import dev.grpsqlite.proto.v1.Changes;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.WatchRequest;
import dev.grpsqlite.proto.v1.WatchResponse;
import dev.grpsqlite.proto.v1.WatchResponse.HeadMoved;
import java.util.ArrayList;
import java.util.List;

/**
 * By what a client sees that a server's data were replaced by an older copy. A server may do
 * without: then all its marks are 0.
 */
final class PageMarkRules {
  private static final int VERSIONS = 3;

  private PageMarkRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-35",
              Need.PAGE,
              "The mark of a version is the first eight bytes of its commit's id, that of version 0"
                  + " is 0, whoever tells of it: Refresh, OpenDatabase, AcquireLease. Or all marks"
                  + " are 0; then nothing is asked about them.",
              PageMarkRules::areOfCommits),
          required(
              "PAGE-36",
              Need.PAGE,
              "Refresh with a have_mark that is not have_version's, or with a version that is not"
                  + " there yet, answers \"all\" and other_history; with the right mark, or 0, what"
                  + " changed.",
              PageMarkRules::areComparedByRefresh),
          required(
              "PAGE-37",
              Need.PAGE,
              "AcquireLease with another have_mark than the head's is OUTCOME_HEAD_MOVED and grants"
                  + " nothing; with at_any_version it is granted, with \"all\" and other_history.",
              PageMarkRules::areComparedByAcquireLease),
          required(
              "PAGE-38",
              Need.PAGE,
              "ReadPages with a mark that is not the version's is NO_SUCH_VERSION.",
              PageMarkRules::areComparedByReadPages),
          required(
              "PAGE-39",
              Need.PAGE_WATCH,
              "Watch with a have_mark that is not have_version's tells the head at once, with its"
                  + " mark, \"all\" and other_history, also if its number is no higher; and once.",
              PageMarkRules::areComparedByWatch));

  static long mark(ByteString commitId) {
    return commitId.asReadOnlyByteBuffer().getLong();
  }

  /** What another version of the same number could have. */
  private static long other(long mark) {
    return mark == 1 ? 2 : mark ^ 1;
  }

  private static NotShown none() {
    return new NotShown("its versions have no marks");
  }

  /** A database with some versions, and their marks by number. */
  private record Marked(PageClient writer, List<Long> marks) {
    static Marked of(PageClient writer) {
      List<Long> marks = new ArrayList<>(List.of(0L));
      for (int i = 1; i <= VERSIONS; i++) {
        CommitRequest.Builder commit = writer.request(2, page(1, i), page(2, i));
        writer.head = writer.send(commit);
        marks.add(mark(commit.getCommitId()));
      }
      return new Marked(writer, marks);
    }

    /** The rule is for servers whose versions have marks. */
    static Marked in(Trial trial) throws Exception {
      Marked made = of(trial.pages().acquire());
      if (made.writer.refresh(VERSIONS).getHead().getMark() == 0) {
        throw none();
      }
      return made;
    }

    long of(int version) {
      return marks.get(version);
    }
  }

  private static void areOfCommits(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    Expect.equal(0L, writer.refresh(0).getHead().getMark(), "the mark of version 0, by Refresh");
    Expect.equal(
        0L,
        writer.open(writer.openRequest()).getSnapshot().getMark(),
        "the mark of version 0, by OpenDatabase");
    PageClient other = writer.another();
    boolean none = false;
    for (int i = 1; i <= VERSIONS; i++) {
      CommitRequest.Builder commit = writer.request(1, page(1, i));
      writer.head = writer.send(commit);
      long told = other.refresh(i).getHead().getMark();
      none |= i == 1 && told == 0;
      long mark = none ? 0 : mark(commit.getCommitId());
      String what = "the mark of version " + i + ", by ";
      Expect.equal(mark, told, what + "Refresh");
      Expect.equal(
          mark, other.open(other.openRequest()).getSnapshot().getMark(), what + "OpenDatabase");
      Expect.equal(
          mark,
          writer.ask(writer.leaseRequest(i)).getHead().getMark(),
          what + "AcquireLease of the holder");
      Expect.equal(
          mark,
          other.ask(other.leaseRequest(i)).getHead().getMark(),
          what + "AcquireLease that is not granted");
      if (trial.offer().can().getTimeTravel()) {
        OpenDatabaseResponse opened =
            other.open(other.openRequest().setReadOnly(true).setView(i).setAtVersion(i));
        Expect.equal(mark, opened.getSnapshot().getMark(), what + "OpenDatabase at_version");
      }
    }
    if (trial.offer().can().getCommitGroup()) {
      PageClient second = writer.with(trial.name()).acquire();
      CommitGroupRequest group =
          CommitGroupRequest.newBuilder()
              .setSessionId(writer.session)
              .addCommits(writer.request(1, page(1, 9)))
              .addCommits(second.request(1, page(1, 9)))
              .build();
      List<Long> versions = writer.stub().commitGroup(group).getVersionsList();
      for (PageClient each : List.of(writer, second)) {
        int at = each == writer ? 0 : 1;
        Expect.equal(
            none ? 0L : mark(group.getCommits(at).getCommitId()),
            each.refresh(versions.get(at)).getHead().getMark(),
            "the mark of commit " + at + " of a group");
      }
    }
    if (none) {
      throw none();
    }
  }

  private static void sameHistory(Changes changes, String what, Integer... pages) throws Violation {
    Expect.that(!changes.getOtherHistory(), "other_history is said " + what);
    PageSessionRules.changes(changes, what, pages);
  }

  private static void otherHistory(Changes changes, String what) throws Violation {
    Expect.that(changes.getOtherHistory(), "other_history is not said " + what);
    Expect.that(changes.getAll(), "all is not said " + what);
    Expect.equal(List.of(), changes.getPagesList(), "the pages " + what);
  }

  private static void areComparedByRefresh(Trial trial) throws Exception {
    Marked made = Marked.in(trial);
    PageClient client = made.writer;
    for (int i = 1; i <= VERSIONS; i++) {
      Integer[] changed = i == VERSIONS ? new Integer[0] : new Integer[] {1, 2};
      String version = "by Refresh from version " + i;
      for (long mark : new long[] {made.of(i), 0}) {
        sameHistory(
            client.refresh(client.refreshRequest(i).setHaveMark(mark)).getChanges(),
            version + (mark == 0 ? " without a mark" : " with its mark"),
            changed);
      }
      otherHistory(
          client.refresh(client.refreshRequest(i).setHaveMark(other(made.of(i)))).getChanges(),
          version + " with another mark");
    }
    for (long mark : new long[] {made.of(VERSIONS), 0}) {
      otherHistory(
          client.refresh(client.refreshRequest(VERSIONS + 1).setHaveMark(mark)).getChanges(),
          "by Refresh from a version above the head");
    }
  }

  private static void areComparedByAcquireLease(Trial trial) throws Exception {
    Marked made = Marked.in(trial);
    long right = made.of(VERSIONS);
    made.writer.release();
    PageClient client = made.writer.another();
    AcquireLeaseResponse moved =
        client.ask(client.leaseRequest(VERSIONS).setHaveMark(other(right)));
    Expect.equal(
        Outcome.OUTCOME_HEAD_MOVED,
        moved.getOutcome(),
        "AcquireLease with the head's number and another mark");
    Expect.equal(right, moved.getHead().getMark(), "the head's mark in that answer");
    PageClient third = made.writer.another();
    Expect.equal(
        Outcome.OUTCOME_GRANTED,
        third.ask(third.leaseRequest(VERSIONS).setHaveMark(right)).getOutcome(),
        "AcquireLease with the head's mark, after the other was not granted");
    third.release();
    for (int i = 1; i <= VERSIONS; i++) {
      String what = "by AcquireLease at any version from version " + i;
      for (long mark : new long[] {other(made.of(i)), made.of(i), 0}) {
        AcquireLeaseResponse any =
            client.ask(client.leaseRequest(i).setHaveMark(mark).setAtAnyVersion(true));
        Expect.equal(Outcome.OUTCOME_GRANTED, any.getOutcome(), "what is answered " + what);
        Expect.equal(right, any.getHead().getMark(), "the head's mark that is told " + what);
        if (mark == other(made.of(i))) {
          otherHistory(any.getChanges(), what + " with another mark");
        } else {
          sameHistory(
              any.getChanges(), what, i == VERSIONS ? new Integer[0] : new Integer[] {1, 2});
        }
        client.release();
      }
    }
  }

  private static void areComparedByReadPages(Trial trial) throws Exception {
    Marked made = Marked.in(trial);
    PageClient client = made.writer;
    for (int i = 1; i <= VERSIONS; i++) {
      int version = i;
      for (long mark : new long[] {made.of(i), 0}) {
        Expect.equal(
            2,
            client.read(client.readRequest(i, range(1, 2)).setMark(mark)).size(),
            "the pages of version " + i + (mark == 0 ? " without a mark" : " with its mark"));
      }
      Expect.refused(
          Reason.NO_SUCH_VERSION,
          "ReadPages of version " + i + " with another mark",
          () ->
              client.read(
                  client.readRequest(version, range(1, 2)).setMark(other(made.of(version)))));
    }
  }

  private static void areComparedByWatch(Trial trial) throws Exception {
    Marked made = Marked.in(trial);
    for (int i = 1; i <= VERSIONS + 1; i++) {
      long right = i > VERSIONS ? 1 : made.of(i);
      String what = "by Watch from version " + i + " with another mark";
      Watching watching = watching(trial, made.writer.another(), i, other(right));
      List<HeadMoved> moves = untilConfirmed(watching);
      Expect.equal(1, moves.size(), "how many heads are told " + what);
      HeadMoved moved = moves.get(0);
      Expect.equal((long) i, moved.getFromVersion(), "from_version " + what);
      Expect.equal((long) VERSIONS, moved.getHead().getVersion(), "the head " + what);
      Expect.equal(made.of(VERSIONS), moved.getHead().getMark(), "the head's mark " + what);
      otherHistory(moved.getChanges(), what);
      Expect.equal(List.of(), untilConfirmed(watching), "what is told afterwards " + what);
    }
    for (long mark : new long[] {made.of(VERSIONS), 0}) {
      String what = "by Watch with the head's mark, or none,";
      Watching watching = watching(trial, made.writer.another(), VERSIONS, mark);
      Expect.equal(List.of(), untilConfirmed(watching), "the heads that are told " + what);
    }
    PageClient reader = made.writer.another();
    Watching watching = watching(trial, reader, VERSIONS, other(made.of(VERSIONS)));
    List<HeadMoved> unused = untilConfirmed(watching);
    CommitRequest.Builder commit = made.writer.request(2, page(2, 9));
    made.writer.head = made.writer.send(commit);
    HeadMoved next = watching.next("HeadMoved", WatchResponse::hasHeadMoved).getHeadMoved();
    Expect.equal((long) VERSIONS, next.getFromVersion(), "from_version of the next head");
    Expect.equal(mark(commit.getCommitId()), next.getHead().getMark(), "the next head's mark");
    sameHistory(next.getChanges(), "by Watch of the next head", 2);
  }

  private static Watching watching(Trial trial, PageClient client, long have, long mark) {
    return Watching.start(
        trial,
        Watching.request(client)
            .addDatabases(
                WatchRequest.Database.newBuilder()
                    .setDatabaseId(client.database)
                    .setHaveVersion(have)
                    .setHaveMark(mark)));
  }

  private static List<HeadMoved> untilConfirmed(Watching watching) throws Exception {
    List<HeadMoved> moves = new ArrayList<>();
    WatchResponse event = watching.next();
    while (!event.hasConfirmed()) {
      if (event.hasHeadMoved()) {
        moves.add(event.getHeadMoved());
      }
      event = watching.next();
    }
    return moves;
  }

  /** For {@link PageVersionRules}. */
  static void areOfRestores(Trial trial) throws Exception {
    Marked made = Marked.in(trial);
    made.writer.release();
    var restore = PageVersionRules.restore(made.writer, 1);
    long version = trial.admin().restoreDatabase(restore).getVersion();
    Expect.equal(
        mark(restore.getCommitId()),
        made.writer.refresh(version).getHead().getMark(),
        "the mark of the version that a restore made");
    sameHistory(
        made.writer
            .refresh(made.writer.refreshRequest(VERSIONS).setHaveMark(made.of(VERSIONS)))
            .getChanges(),
        "by Refresh over a restore",
        1,
        2);
  }
}
