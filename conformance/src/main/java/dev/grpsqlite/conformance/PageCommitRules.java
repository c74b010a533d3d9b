package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.PageClient.at;
import static dev.grpsqlite.conformance.PageClient.page;
import static dev.grpsqlite.conformance.PageClient.range;
import static dev.grpsqlite.conformance.PageClient.shape;
import static dev.grpsqlite.conformance.PageClient.snapshot;
import static dev.grpsqlite.conformance.PageClient.zeros;
import static dev.grpsqlite.conformance.Rule.required;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.CommitGroupRequest;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.OpenSessionResponse;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Reading and committing pages. */
final class PageCommitRules {
  private static final int MESSAGE_BYTES = 4 << 20;

  private PageCommitRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-40",
              Need.PAGE,
              "ReadPages answers just the pages that were asked for, in the order asked, each with"
                  + " its checksum and the version that last wrote it.",
              PageCommitRules::readsInOrder),
          required(
              "PAGE-41",
              Need.PAGE,
              "ReadPages at an older version that a view keeps answers what it was, its page count"
                  + " included (P6).",
              PageCommitRules::readsOldVersions),
          required(
              "PAGE-42",
              Need.PAGE,
              "Page 0, an empty range, and a page above the page count of that version are"
                  + " INVALID_REQUEST; a version above the head is NO_SUCH_VERSION.",
              PageCommitRules::badReads),
          required(
              "PAGE-43",
              Need.PAGE,
              "Many pages come in as many messages as it takes, none above 4 MiB.",
              PageCommitRules::longReads),
          required(
              "PAGE-44",
              Need.PAGE,
              "With prefetch_credit_bytes, ReadPages answers what was asked for, and then pages that"
                  + " were not, each once, as they are in that version, of so many bytes at most;"
                  + " OpenDatabase answers page 1, and then the like.",
              PageCommitRules::readsAhead),
          required(
              "PAGE-50",
              Need.PAGE,
              "Commit makes the version after its base: the pages that it names are new, the others"
                  + " as they were. A page of zeros may be empty with checksum 0.",
              PageCommitRules::commits),
          required(
              "PAGE-51",
              Need.PAGE,
              "Commit with an epoch that is not current is LEASE_LOST and not applied (P3).",
              PageCommitRules::fenced),
          required(
              "PAGE-52",
              Need.PAGE,
              "Commit with a base that is not the head is HEAD_MOVED and not applied (P4).",
              PageCommitRules::serial),
          required(
              "PAGE-53",
              Need.PAGE,
              "Commit sent again with its id answers the first outcome and applies nothing again,"
                  + " also when the lease has gone to another (P5).",
              PageCommitRules::exactlyOnce),
          required(
              "PAGE-54",
              Need.PAGE,
              "Commit with a page whose checksum is not that of its data is CHECKSUM_MISMATCH, and"
                  + " none of its pages is applied (P1).",
              PageCommitRules::checksums),
          required(
              "PAGE-55",
              Need.PAGE,
              "Commit that does not name every page that the database grows by is INVALID_REQUEST.",
              PageCommitRules::growth),
          required(
              "PAGE-56",
              Need.PAGE,
              "Commit with another page size than its base names every page, or is INVALID_REQUEST."
                  + " All powers of two from 512 to 65536 are page sizes.",
              PageCommitRules::pageSizes),
          required(
              "PAGE-57",
              Need.PAGE,
              "Commit with a smaller page count cuts the database off; nothing of what was there"
                  + " comes back when it grows again.",
              PageCommitRules::shrinks),
          required(
              "PAGE-58",
              Need.PAGE,
              "Commit with a page twice, page 0, a page above its page count, a wrong length of"
                  + " data, a page size that is none, or ids that are not 16 bytes is"
                  + " INVALID_REQUEST and not applied (P9).",
              PageCommitRules::badCommits),
          required(
              "PAGE-60",
              Need.PAGE,
              "What StagePages uploads is seen by nobody until it is committed, but by ReadPages"
                  + " with that stage_id, where a page in neither is a page of zeros.",
              PageCommitRules::stagesAreInvisible),
          required(
              "PAGE-61",
              Need.PAGE,
              "Commit of a stage applies its pages: of a page staged twice the later, inline pages"
                  + " before staged ones, none above the page count. The stage is used up.",
              PageCommitRules::stagesAreCommitted),
          required(
              "PAGE-62",
              Need.PAGE,
              "Commit or ReadPages of a stage that was dropped, that never was, or that is another"
                  + " session's is NO_SUCH_STAGE; DropStage succeeds always.",
              PageCommitRules::noStage),
          required(
              "PAGE-63",
              Need.PAGE,
              "StagePages with an epoch that is not current is LEASE_LOST, with a wrong checksum"
                  + " CHECKSUM_MISMATCH.",
              PageCommitRules::badStages),
          required(
              "PAGE-64",
              Need.PAGE,
              "A commit of several times a message's size goes through by stages (P1).",
              PageCommitRules::largeCommits),
          required(
              "PAGE-65",
              Need.PAGE,
              "Bytes that are no message are refused, and harm nobody else (P9).",
              PageCommitRules::garbage),
          required(
              "PAGE-66",
              Need.PAGE,
              "A message above max_message_bytes is RESOURCE_EXHAUSTED, and the session goes on"
                  + " (P9).",
              PageCommitRules::tooLarge),
          required(
              "PAGE-67",
              Need.PAGE,
              "What is staged in bulk is committed as any stage is: whole, of a page staged twice"
                  + " the later, whatever the order. If such a stage is lost, as when its session"
                  + " ends, its lease has ended too: to go on with it is LEASE_LOST, never a stage"
                  + " of what comes later alone (P1).",
              PageCommitRules::bulk),
          required(
              "PAGE-68",
              Need.PAGE,
              "StagePages with a call that was applied before is answered and changes nothing, so"
                  + " that what comes late undoes nothing; with one of which the call before was"
                  + " not applied it is NO_SUCH_STAGE (P1).",
              PageCommitRules::countsCalls),
          required(
              "PAGE-70",
              Need.PAGE_GROUP,
              "CommitGroup commits several databases; sent again, it answers the first outcome and"
                  + " applies nothing again (P1, P5).",
              PageCommitRules::groups),
          required(
              "PAGE-71",
              Need.PAGE_GROUP,
              "A group with one part that is refused (LEASE_LOST, HEAD_MOVED, CHECKSUM_MISMATCH)"
                  + " leaves nothing of the others (P1).",
              PageCommitRules::groupsAreWhole),
          required(
              "PAGE-72",
              Need.PAGE_GROUP,
              "A group of no commit, of more than 128, of two of one database, or of another"
                  + " session's is INVALID_REQUEST.",
              PageCommitRules::badGroups),
          required(
              "PAGE-73",
              Need.PAGE_NO_GROUP,
              "CommitGroup of a server without commit_group is UNSUPPORTED.",
              PageCommitRules::noGroups));

  private static void unchanged(PageClient client, long version, String after) throws Violation {
    Expect.equal(
        version, client.refresh(version).getHead().getVersion(), "the head after " + after);
  }

  private static void refused(
      Reason reason, String what, PageClient client, CommitRequest.Builder request)
      throws Exception {
    long head = client.refresh(0).getHead().getVersion();
    Expect.refused(reason, what, () -> client.send(request));
    unchanged(client, head, what);
  }

  private static void readsInOrder(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(4, page(1, 1), page(2, 1), zeros(3), page(4, 1));
    client.commit(4, page(2, 2));
    List<Page> pages = client.read(client.readRequest(2, range(4, 1), range(1, 3)));
    Expect.equal(
        List.of(at(1, page(4, 1)), at(1, page(1, 1)), at(2, page(2, 2))).stream()
            .map(PageClient::shown)
            .toList(),
        pages.stream().filter(p -> p.getNumber() != 3).map(PageClient::shown).toList(),
        "pages 4, 1, 2 and 3");
    Expect.equal(4, pages.size(), "how many pages came for 4");
    isZeros(pages.get(3), 3);
  }

  private static void isZeros(Page page, int number) throws Violation {
    Expect.equal(number, page.getNumber(), "the number of a page of zeros");
    byte[] data = page.getData().toByteArray();
    Expect.that(
        data.length == 0
            ? page.getChecksum() == 0
            : Arrays.equals(data, new byte[PageClient.PAGE])
                && page.getChecksum() == Bytes.checksum(data),
        "a page of zeros came as " + PageClient.shown(page));
  }

  private static void readsOldVersions(Trial trial) throws Exception {
    PageClient writer = trial.pages().acquire();
    writer.commit(2, page(1, 1), page(2, 1));
    PageClient live = writer.another();
    for (int i = 2; i <= 10; i++) {
      writer.commit(1 + i, page(1, i), page(1 + i, i));
    }
    live.expectRead(1, 1, "the first version", at(1, page(1, 1)), at(1, page(2, 1)));
    live.expectRead(5, 1, "the fifth version", at(5, page(1, 5)), at(1, page(2, 1)));
    Expect.refused(
        Reason.INVALID_REQUEST, "page 3 of version 1, which has 2", () -> live.read(1, 3, 1));
  }

  private static void badReads(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    int[][] ranges = {{0, 1}, {1, 0}, {3, 1}, {2, 2}, {-1, 1}, {-2, 2}};
    for (int[] wrong : ranges) {
      Expect.refused(
          Reason.INVALID_REQUEST,
          "ReadPages of "
              + Integer.toUnsignedString(wrong[1])
              + " pages from "
              + Integer.toUnsignedString(wrong[0])
              + " of 2",
          () -> client.read(1, wrong[0], wrong[1]));
    }
    Expect.refused(
        Reason.NO_SUCH_VERSION, "ReadPages at version 2 of 1", () -> client.read(2, 1, 1));
    Expect.refused(
        Reason.NO_SUCH_DATABASE,
        "ReadPages of an id that nobody has",
        () -> client.read(client.readRequest(1, range(1, 1)).setDatabaseId(PageClient.id())));
  }

  private static void readsAhead(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    int count = 12;
    Page[] pages = new Page[count];
    for (int i = 1; i <= count; i++) {
      pages[i - 1] = page(i, 1);
    }
    client.commit(count, pages);
    PageClient reader = client.another();
    client.commit(count, page(1, 2), page(5, 2), page(9, 2));
    for (int credit : new int[] {0, 1, PageClient.PAGE, 5 * PageClient.PAGE}) {
      for (long version = 1; version <= 2; version++) {
        for (int i = 1; i <= count; i++) {
          List<Page> answer =
              reader.read(reader.readRequest(version, range(i, 1)).setPrefetchCreditBytes(credit));
          areRight(reader, version, i, credit, answer);
        }
      }
      PageClient another = client.another();
      areRight(
          another,
          2,
          1,
          credit,
          another.open(another.openRequest().setPrefetchCreditBytes(credit)).getPagesList());
    }
  }

  /** The page asked for, and then whatever the server thinks. */
  private static void areRight(
      PageClient client, long version, int asked, int credit, List<Page> answer) throws Violation {
    Expect.that(!answer.isEmpty(), "page " + asked + " does not come");
    Expect.equal(asked, answer.get(0).getNumber(), "the first page that comes");
    Expect.that(
        (answer.size() - 1) * PageClient.PAGE <= credit,
        answer.size() - 1 + " more pages come for a credit of " + credit + " bytes");
    Set<Integer> numbers = new HashSet<>();
    for (Page page : answer) {
      Expect.that(numbers.add(page.getNumber()), "page " + page.getNumber() + " comes twice");
      Expect.equal(
          PageClient.shown(client.read(version, page.getNumber(), 1).get(0)),
          PageClient.shown(page),
          "page " + page.getNumber() + " ahead of page " + asked + ", with a credit of " + credit);
    }
  }

  private static void longReads(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    int count = 96;
    int size = 65_536;
    for (int from = 1; from <= count; from += 32) {
      List<Page> part = new ArrayList<>();
      for (int i = from; i < from + 32; i++) {
        part.add(page(i, size, 7));
      }
      client.head = client.send(client.request(from + 31).setPageSize(size).addAllPages(part));
    }
    int next = 1;
    var messages = client.stub().readPages(client.readRequest(3, range(1, count)).build());
    while (messages.hasNext()) {
      ReadPagesResponse message = messages.next();
      Expect.that(
          message.getSerializedSize() <= MESSAGE_BYTES,
          "a message has " + message.getSerializedSize() + " bytes");
      for (Page page : message.getPagesList()) {
        Expect.equal(
            PageClient.shown(at((next + 31) / 32, page(next, size, 7))),
            PageClient.shown(page),
            "page " + next + " of " + count);
        next++;
      }
    }
    Expect.equal(count, next - 1, "how many pages came");
  }

  private static void commits(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    Expect.equal(
        1L, client.commit(3, page(1, 1), page(2, 1), zeros(3)), "the version of the first commit");
    Expect.equal(2L, client.commit(3, page(2, 2)), "the version of the second commit");
    Expect.equal(3L, client.commit(4, zeros(1), page(4, 3)), "the version of the third commit");
    client.expectRead(3, 2, "page 2", at(2, page(2, 2)));
    client.expectRead(3, 4, "page 4", at(3, page(4, 3)));
    isZeros(client.read(3, 1, 1).get(0), 1);
    isZeros(client.read(3, 3, 1).get(0), 3);
    Expect.equal(snapshot(3, 4), shape(client.refresh(3).getHead()), "the head");
  }

  private static void fenced(Trial trial) throws Exception {
    PageClient late = trial.pages().acquire();
    late.commit(1, page(1, 1));
    late.release();
    PageClient holder = late.another().acquire();
    refused(Reason.LEASE_LOST, "a Commit under a lost lease", late, late.request(1, page(1, 2)));
    refused(
        Reason.LEASE_LOST,
        "a Commit with an epoch that never was",
        holder,
        holder.request(1, page(1, 2)).setEpoch(holder.epoch + 77));
    PageClient other = late.another();
    refused(
        Reason.LEASE_LOST,
        "a Commit with the holder's epoch in another session",
        other,
        other.request(1, page(1, 2)).setEpoch(holder.epoch).setBaseVersion(1));
    holder.commit(1, page(1, 3));
    holder.expectRead(2, 1, "what the holder wrote", at(2, page(1, 3)));
  }

  private static void serial(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    client.commit(1, page(1, 2));
    for (long base : new long[] {0, 1, 3}) {
      refused(
          Reason.HEAD_MOVED,
          "a Commit on version " + base + " of 2",
          client,
          client.request(1, page(1, 3)).setBaseVersion(base));
    }
    client.expectRead(2, 1, "the head", at(2, page(1, 2)));
  }

  private static void exactlyOnce(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    CommitRequest.Builder request = client.request(1, page(1, 1));
    Expect.equal(1L, client.send(request), "the version of a commit");
    Expect.equal(1L, client.send(request), "the version of a commit that is sent again");
    unchanged(client, 1, "a commit that was sent twice");
    client.head = 1;
    client.commit(1, page(1, 2));
    Expect.equal(1L, client.send(request), "the version of a commit, sent again after the next");
    client.release();
    PageClient other = client.another().acquire();
    Expect.equal(1L, client.send(request), "the version of a commit, sent again without the lease");
    other.expectRead(2, 1, "the head", at(2, page(1, 2)));
  }

  private static void checksums(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    Page wrong = page(2, 2).toBuilder().setChecksum(1).build();
    for (Page bad : List.of(wrong, zeros(2).toBuilder().setChecksum(1).build())) {
      refused(
          Reason.CHECKSUM_MISMATCH,
          "a Commit with a wrong checksum",
          client,
          client.request(2, page(1, 2), bad));
    }
    client.expectRead(1, 1, "the head", at(1, page(1, 1)), at(1, page(2, 1)));
  }

  private static void growth(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    refused(
        Reason.INVALID_REQUEST,
        "a first Commit of 2 pages that names one",
        client,
        client.request(2, page(1, 1)));
    client.commit(2, page(1, 1), page(2, 1));
    refused(
        Reason.INVALID_REQUEST,
        "a Commit that grows by 2 pages and names one of them",
        client,
        client.request(4, page(1, 2), page(4, 2)));
    client.commit(4, page(3, 2), page(4, 2));
  }

  private static void pageSizes(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    refused(
        Reason.INVALID_REQUEST,
        "a Commit with another page size that does not name page 2",
        client,
        client.request(2, page(1, 1024, 2)).setPageSize(1024));
    for (int size = 1024; size <= 65_536; size *= 2) {
      client.head =
          client.send(client.request(2, page(1, size, 3), page(2, size, 3)).setPageSize(size));
      Expect.equal(
          size, client.refresh(client.head).getHead().getPageSize(), "the head's page size");
      client.expectRead(client.head, 2, "page 2", at(client.head, page(2, size, 3)));
    }
    client.expectRead(1, 1, "version 1", at(1, page(1, 1)), at(1, page(2, 1)));
  }

  private static void shrinks(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(3, page(1, 1), page(2, 1), page(3, 1));
    client.commit(1, page(1, 2));
    Expect.equal(snapshot(2, 1), shape(client.refresh(2).getHead()), "the head");
    Expect.refused(Reason.INVALID_REQUEST, "page 2 of 1", () -> client.read(2, 2, 1));
    client.commit(3, zeros(2), page(3, 3));
    isZeros(client.read(3, 2, 1).get(0), 2);
    client.expectRead(3, 3, "page 3", at(3, page(3, 3)));
    client.expectRead(1, 3, "page 3 of version 1", at(1, page(3, 1)));
  }

  private static void badCommits(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    ByteString shortId = ByteString.copyFrom(new byte[15]);
    bad(client, "page 1 twice", client.request(2, page(1, 1), page(1, 2)));
    bad(client, "page 0", client.request(2, page(0, 1)));
    bad(client, "page 3 of 2", client.request(2, page(3, 1)));
    bad(client, "a page that is too long", client.request(2, page(1, 1024, 1)));
    bad(client, "a page that is too short", client.request(2, page(1, 100, 1)));
    bad(client, "a short commit_id", client.request(2, page(1, 1)).setCommitId(shortId));
    bad(client, "a short stage_id", client.request(2, page(1, 1)).setStageId(shortId));
    bad(client, "a short database_id", client.request(2, page(1, 1)).setDatabaseId(shortId));
    for (int size : new int[] {0, 1, 256, 1000, 131_072, -512}) {
      bad(
          client,
          "a page size of " + Integer.toUnsignedString(size),
          client.request(2).setPageSize(size));
    }
    client.expectRead(1, 1, "the head", at(1, page(1, 1)), at(1, page(2, 1)));
  }

  private static void bad(PageClient client, String what, CommitRequest.Builder request)
      throws Exception {
    refused(Reason.INVALID_REQUEST, "a Commit with " + what, client, request);
  }

  // ---- Stages

  private static void stagesAreInvisible(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    ByteString stage = PageClient.id();
    client.stage(stage, page(2, 2), page(3, 2));
    unchanged(client, 1, "StagePages");
    client.expectRead(1, 2, "page 2 without the stage", at(1, page(2, 1)));
    List<Page> seen = client.read(client.readRequest(1, range(1, 4)).setStageId(stage));
    Expect.equal(4, seen.size(), "how many pages came");
    Expect.equal(
        List.of(page(1, 1), page(2, 2), page(3, 2)).stream().map(Page::getData).toList().hashCode(),
        seen.stream().limit(3).map(Page::getData).toList().hashCode(),
        "the hash of pages 1 to 3 with the stage");
    isZeros(seen.get(3), 4);
  }

  private static void stagesAreCommitted(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(2, page(1, 1), page(2, 1));
    ByteString stage = PageClient.id();
    client.stage(stage, page(1, 2), page(2, 2), page(3, 2), page(4, 2));
    client.stage(stage, page(2, 3));
    client.head = client.send(client.request(3, page(1, 4)).setStageId(stage));
    Expect.equal(
        snapshot(2, 3), shape(client.refresh(2).getHead()), "the head after a staged commit");
    client.expectRead(
        2,
        1,
        "pages 1 (inline, before the staged one), 2 (staged twice) and 3",
        at(2, page(1, 4)),
        at(2, page(2, 3)),
        at(2, page(3, 2)));
    refused(
        Reason.NO_SUCH_STAGE,
        "a Commit of a stage that was committed",
        client,
        client.request(3).setStageId(stage));
  }

  private static void noStage(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    ByteString stage = PageClient.id();
    client.dropStage(stage);
    client.stage(stage, page(1, 2));
    PageClient other = client.another();
    Expect.refused(
        Reason.NO_SUCH_STAGE,
        "ReadPages of another session's stage",
        () -> other.read(other.readRequest(1, range(1, 1)).setStageId(stage)));
    client.dropStage(stage);
    client.dropStage(stage);
    for (ByteString none : List.of(stage, PageClient.id())) {
      refused(
          Reason.NO_SUCH_STAGE,
          "a Commit of a stage that is not there",
          client,
          client.request(1).setStageId(none));
      Expect.refused(
          Reason.NO_SUCH_STAGE,
          "ReadPages of a stage that is not there",
          () -> client.read(client.readRequest(1, range(1, 1)).setStageId(none)));
    }
  }

  private static void badStages(Trial trial) throws Exception {
    PageClient late = trial.pages().acquire();
    Expect.refused(
        Reason.CHECKSUM_MISMATCH,
        "StagePages with a wrong checksum",
        () -> late.stage(PageClient.id(), page(1, 1).toBuilder().setChecksum(1).build()));
    late.release();
    PageClient unused = late.another().acquire();
    Expect.refused(
        Reason.LEASE_LOST,
        "StagePages under a lost lease",
        () -> late.stage(PageClient.id(), page(1, 1)));
  }

  private static void bulk(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    ByteString stage = PageClient.id();
    int run = 1000;
    for (int from : new int[] {run + 1, 1, 2 * run + 1}) {
      client.send(bulkRequest(client, stage, from, run, 1));
    }
    client.send(bulkRequest(client, stage, run, 2, 2));
    client.head = client.send(client.request(3 * run).setStageId(stage));
    for (int number : new int[] {1, run - 1, run + 2, 3 * run}) {
      client.expectRead(1, number, "page " + number, at(1, page(number, 1)));
    }
    client.expectRead(1, run, "pages staged twice", at(1, page(run, 2)), at(1, page(run + 1, 2)));

    ByteString lost = PageClient.id();
    client.send(bulkRequest(client, lost, 1, run, 3));
    client.closeSession();
    OpenSessionResponse again = client.openSession();
    Expect.that(again.getTtlMs() > 0, "the session cannot be opened again");
    Expect.refused(
        Reason.LEASE_LOST,
        "StagePages of the rest of a stage that is lost",
        () -> client.send(bulkRequest(client, lost, run + 1, run, 3)));
    PageClient other = client.another();
    other.expectRead(1, 1, "page 1 afterwards", at(1, page(1, 1)));
  }

  private static void countsCalls(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    ByteString stage = PageClient.id();
    client.send(client.stageRequest(stage, page(1, 1), page(2, 1)).setCall(1));
    client.send(client.stageRequest(stage, page(1, 2)).setCall(2));
    client.send(client.stageRequest(stage, page(1, 1), page(2, 1)).setCall(1));
    Expect.refused(
        Reason.NO_SUCH_STAGE,
        "StagePages with call 4 after call 2",
        () -> client.send(client.stageRequest(stage, page(2, 4)).setCall(4)));
    client.send(client.stageRequest(stage, page(3, 3)).setCall(3));
    client.head = client.send(client.request(3).setStageId(stage));
    client.expectRead(1, 1, "page 1, staged by call 2", at(1, page(1, 2)));
    client.expectRead(1, 2, "page 2, staged by call 1", at(1, page(2, 1)));
    client.expectRead(1, 3, "page 3, staged by call 3", at(1, page(3, 3)));
    Expect.refused(
        Reason.NO_SUCH_STAGE,
        "StagePages that goes on with a stage that is not there",
        () -> client.send(client.stageRequest(PageClient.id(), page(1, 5)).setCall(2)));
  }

  private static StagePagesRequest.Builder bulkRequest(
      PageClient client, ByteString stage, int from, int count, long seed) {
    StagePagesRequest.Builder request = client.stageRequest(stage).setBulk(true);
    for (int number = from; number < from + count; number++) {
      request.addPages(page(number, seed));
    }
    return request;
  }

  private static void largeCommits(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    ByteString stage = PageClient.id();
    int count = 160;
    int size = 65_536;
    for (int from = 1; from <= count; from += 32) {
      List<Page> part = new ArrayList<>();
      for (int i = from; i < from + 32; i++) {
        part.add(page(i, size, 1));
      }
      client.send(client.stageRequest(stage).setPageSize(size).addAllPages(part));
    }
    Expect.equal(
        1L,
        client.send(client.request(count).setPageSize(size).setStageId(stage)),
        "the version of a commit of 10 MiB");
    for (int number : new int[] {1, 80, count}) {
      client.expectRead(1, number, "page " + number, at(1, page(number, size, 1)));
    }
  }

  // ---- What no client sends

  private static void garbage(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    Garbage.send(trial, PageStoreGrpc.getServiceDescriptor());
    client.expectRead(1, 1, "the head", at(1, page(1, 1)));
    client.commit(1, page(1, 2));
  }

  private static void tooLarge(Trial trial) throws Exception {
    int most = trial.offer().pages().getMaxMessageBytes();
    if (most > 32 << 20) {
      throw new NotShown("messages of " + most + " bytes are too large to try");
    }
    PageClient client = trial.pages().acquire();
    client.commit(1, page(1, 1));
    CommitRequest.Builder large = client.request(1, page(1, 2));
    large.addPages(Page.newBuilder().setNumber(2).setData(Bytes.of(new byte[most])));
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.RESOURCE_EXHAUSTED),
            "a message of more than max_message_bytes",
            () -> client.send(large));
    client.commit(1, page(1, 3));
  }

  // ---- Groups

  private static CommitGroupRequest.Builder group(PageClient of, CommitRequest.Builder... parts) {
    CommitGroupRequest.Builder request = CommitGroupRequest.newBuilder().setSessionId(of.session);
    for (CommitRequest.Builder part : parts) {
      request.addCommits(part);
    }
    return request;
  }

  private static List<Long> send(PageClient client, CommitGroupRequest.Builder request) {
    return client.stub().commitGroup(request.build()).getVersionsList();
  }

  private static void groups(Trial trial) throws Exception {
    PageClient a = trial.pages().acquire();
    PageClient b = a.with(trial.name()).acquire();
    ByteString stage = PageClient.id();
    b.stage(stage, page(1, 2), page(2, 2));
    CommitGroupRequest.Builder request =
        group(a, a.request(1, page(1, 1)).clearSessionId(), b.request(2).setStageId(stage));
    Expect.equal(List.of(1L, 1L), send(a, request), "the versions of a group");
    Expect.equal(List.of(1L, 1L), send(a, request), "the versions of a group, sent again");
    a.expectRead(1, 1, "the first database", at(1, page(1, 1)));
    b.expectRead(1, 1, "the second database", at(1, page(1, 2)), at(1, page(2, 2)));
    a.head = 1;
    a.commit(1, page(1, 3));
    Expect.equal(
        List.of(1L, 1L), send(a, request), "the versions of a group, sent again after a commit");
    unchanged(a, 2, "that");
    unchanged(b, 1, "that");
  }

  private static void groupsAreWhole(Trial trial) throws Exception {
    PageClient a = trial.pages().acquire();
    PageClient b = a.with(trial.name()).acquire();
    CommitRequest.Builder good = a.request(1, page(1, 1));
    CommitRequest.Builder other = b.request(1, page(1, 1));
    wholly(Reason.LEASE_LOST, a, b, good, other.clone().setEpoch(b.epoch + 77));
    wholly(Reason.HEAD_MOVED, a, b, good, other.clone().setBaseVersion(7));
    wholly(
        Reason.CHECKSUM_MISMATCH,
        a,
        b,
        good,
        other.clone().setPages(0, page(1, 1).toBuilder().setChecksum(3)));
    Expect.equal(List.of(1L, 1L), send(a, group(a, good, other)), "the versions of the group");
  }

  private static void wholly(
      Reason reason,
      PageClient a,
      PageClient b,
      CommitRequest.Builder good,
      CommitRequest.Builder bad)
      throws Exception {
    String what = "a group with a part that is " + reason;
    Expect.refused(reason, what, () -> send(a, group(a, good, bad)));
    unchanged(a, 0, what);
    unchanged(b, 0, what);
  }

  private static void badGroups(Trial trial) throws Exception {
    PageClient a = trial.pages().acquire();
    PageClient b = a.with(trial.name()).acquire();
    CommitRequest.Builder good = a.request(1, page(1, 1));
    badGroup("no commit", a, group(a));
    badGroup("two commits of one database", a, group(a, good, a.request(1, page(1, 2))));
    badGroup(
        "another session's commit",
        a,
        group(a, good, b.request(1, page(1, 1)).setSessionId(PageClient.id())));
    CommitRequest.Builder[] many = new CommitRequest.Builder[129];
    for (int i = 0; i < many.length; i++) {
      many[i] = good.clone().setDatabaseId(PageClient.id());
    }
    badGroup("129 commits", a, group(a, many));
  }

  private static void badGroup(String what, PageClient a, CommitGroupRequest.Builder request)
      throws Exception {
    Expect.refused(Reason.INVALID_REQUEST, "a group of " + what, () -> send(a, request));
    unchanged(a, 0, "it");
  }

  private static void noGroups(Trial trial) throws Exception {
    PageClient client = trial.pages().acquire();
    Expect.refused(
        Reason.UNSUPPORTED,
        "CommitGroup",
        () -> send(client, group(client, client.request(1, page(1, 1)))));
    unchanged(client, 0, "it");
  }
}
