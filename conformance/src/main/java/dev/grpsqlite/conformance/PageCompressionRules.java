package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.PageClient.page;
import static dev.grpsqlite.conformance.PageClient.range;
import static dev.grpsqlite.conformance.PageClient.zeros;
import static dev.grpsqlite.conformance.Rule.required;

import dev.grpsqlite.proto.v1.Page;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import net.jpountz.lz4.LZ4Exception;
import net.jpountz.lz4.LZ4Factory;
import net.jpountz.lz4.LZ4SafeDecompressor;

/** Pages that come compressed. */
final class PageCompressionRules {
  private static final LZ4SafeDecompressor LZ4 = LZ4Factory.safeInstance().safeDecompressor();

  private PageCompressionRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "PAGE-75",
              Need.PAGE,
              "Who does not say accept_lz4 gets each page as data, and none as lz4.",
              PageCompressionRules::onlyWhoAccepts),
          required(
              "PAGE-76",
              Need.PAGE_LZ4,
              "With accept_lz4, what comes as lz4 is an LZ4 block of the page's content, which has"
                  + " page_size bytes and the page's checksum, and is smaller; no such page has"
                  + " data.",
              PageCompressionRules::isThePage));

  /** What compresses well, what does not, and nothing. */
  private static final List<Page> PAGES =
      List.of(text(1), text(2), page(3, 1), zeros(4), text(5), text(6));

  private static Page text(int number) {
    byte[] content = new byte[PageClient.PAGE];
    byte[] line = Bytes.text("this is page " + number + " of a few; ");
    for (int i = 0; i < content.length; i++) {
      content[i] = line[i % line.length];
    }
    return page(number, 1).toBuilder()
        .setChecksum(Bytes.checksum(content))
        .setData(Bytes.of(content))
        .build();
  }

  /** All that the server sends of {@link #PAGES}, on whatever occasion. */
  private static List<Page> sent(Trial trial, boolean accept) throws Violation {
    PageClient client = trial.pages().acquire();
    client.commit(PAGES.size(), PAGES.toArray(Page[]::new));
    int credit = PAGES.size() * PageClient.PAGE;
    List<Page> sent = new ArrayList<>();
    sent.addAll(client.read(client.readRequest(1, range(1, PAGES.size())).setAcceptLz4(accept)));
    PageClient other = client.another();
    sent.addAll(
        other
            .open(other.openRequest().setPrefetchCreditBytes(credit).setAcceptLz4(accept))
            .getPagesList());
    for (int i = 1; i <= PAGES.size(); i++) {
      sent.addAll(
          other.read(
              other
                  .readRequest(1, range(i, 1))
                  .setPrefetchCreditBytes(credit)
                  .setAcceptLz4(accept)));
    }
    return sent;
  }

  private static void onlyWhoAccepts(Trial trial) throws Exception {
    for (Page page : sent(trial, false)) {
      Expect.that(
          page.getLz4().isEmpty(), "page " + page.getNumber() + " comes as lz4, unaccepted");
      Expect.equal(
          PAGES.get(page.getNumber() - 1).getData(),
          page.getData(),
          "the data of page " + page.getNumber());
    }
  }

  private static void isThePage(Trial trial) throws Exception {
    for (Page page : sent(trial, true)) {
      Page expected = PAGES.get(page.getNumber() - 1);
      String what = "page " + page.getNumber();
      Expect.equal(expected.getChecksum(), page.getChecksum(), "the checksum of " + what);
      if (page.getLz4().isEmpty()) {
        Expect.equal(expected.getData(), page.getData(), "the data of " + what);
        continue;
      }
      Expect.that(page.getData().isEmpty(), what + " comes as data and as lz4");
      Expect.that(
          page.getLz4().size() < PageClient.PAGE,
          what + " comes as " + page.getLz4().size() + " bytes of lz4, which is no smaller");
      Expect.bytes(
          expected.getData().toByteArray(), decompressed(page), "the lz4 of " + what + " holds");
    }
  }

  private static byte[] decompressed(Page page) throws Violation {
    byte[] room = new byte[2 * PageClient.PAGE];
    byte[] lz4 = page.getLz4().toByteArray();
    try {
      return Arrays.copyOf(room, LZ4.decompress(lz4, 0, lz4.length, room, 0));
    } catch (LZ4Exception e) {
      throw new Violation(
          "the " + lz4.length + " bytes of lz4 of page " + page.getNumber() + " are no LZ4 block");
    }
  }
}
