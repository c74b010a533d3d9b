package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/**
 * Pages that were made to keep a processor busy. What a step goes through is counted, for how long
 * that takes, each machine says otherwise; the time limit is for what would not be counted at all.
 */
@Timeout(value = 20, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class HostilePagesTest {
  private static final int PAGE = 65_536;
  private static final int LEAF_INDEX = 10;
  private static final int LEAF_TABLE = 13;
  private static final int INTERIOR_INDEX = 2;
  private static final int INTERIOR_TABLE = 5;

  /** What is to be spent is noticed when it is spent: once for all cells of a page, at most. */
  private static final int MOST_IN_STEP = 4_500_000;

  private static final int CREDIT = 3 << 20;

  private final Map<Long, ByteBuffer> pages = new HashMap<>();
  private final Predictor predictor = new Predictor(new Relations());
  private final Shape shape = new Shape(1, PAGE, 100);

  /** Of all rounds. */
  private int worked;

  private int mostInStep;

  /** A page of a b-tree whose i-th cell is the one that the i-th pointer names. */
  private void page(long number, int type, int right, List<byte[]> cells, int... pointers) {
    ByteBuffer page = ByteBuffer.allocate(PAGE);
    int header = number == 1 ? 100 : 0;
    if (number == 1) {
      page.putInt(40, 7).putInt(56, 1);
    }
    int content = PAGE;
    int[] at = new int[cells.size()];
    for (int i = 0; i < at.length; i++) {
      content -= cells.get(i).length;
      at[i] = content;
      page.put(content, cells.get(i));
    }
    boolean interior = type < 8;
    page.put(header, (byte) type).putShort(header + 3, (short) pointers.length);
    page.putShort(header + 5, (short) content);
    if (interior) {
      page.putInt(header + 8, right);
    }
    int from = header + (interior ? 12 : 8);
    assertTrue(from + 2 * pointers.length <= content, "no room");
    for (int i = 0; i < pointers.length; i++) {
      page.putShort(from + 2 * i, (short) at[pointers[i]]);
    }
    pages.put(number, page);
  }

  /** Of varints and of bytes as they are. */
  private static byte[] bytes(Object... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (Object part : parts) {
      if (part instanceof byte[] raw) {
        out.writeBytes(raw);
        continue;
      }
      int value = ((Number) part).intValue();
      for (int shift = 28; shift > 0; shift -= 7) {
        if (value >>> shift != 0) {
          out.write(((value >>> shift) & 0x7f) | 0x80);
        }
      }
      out.write(value & 0x7f);
    }
    return out.toByteArray();
  }

  private static byte[] four(int value) {
    return ByteBuffer.allocate(4).putInt(value).array();
  }

  /** An entry of the schema. */
  private static byte[] entry(int rowid, String type, String name, String table, int root) {
    byte[] types =
        bytes(
            13 + 2 * type.length(),
            13 + 2 * name.length(),
            13 + 2 * table.length(),
            4,
            0 /* sql */);
    byte[] texts = (type + name + table).getBytes(StandardCharsets.US_ASCII);
    byte[] record = bytes(1 + types.length, types, texts, four(root));
    return bytes(record.length, rowid, record);
  }

  /** The schema of a table at page 3, and of indexes on it from page 4 on. */
  private void schema(int indexes) {
    List<byte[]> entries = new ArrayList<>();
    entries.add(entry(1, "table", "t", "t", 3));
    for (int i = 0; i < indexes; i++) {
      entries.add(entry(2 + i, "index", "i" + i, "t", 4 + i));
    }
    page(1, LEAF_TABLE, 0, entries, IntStream.range(0, entries.size()).toArray());
  }

  private static int[] same(int count, int cell) {
    int[] pointers = new int[count];
    Arrays.fill(pointers, cell);
    return pointers;
  }

  private PageImage image(long number) {
    ByteBuffer page = pages.get(number);
    return new PageImage(number, 1, 0, page == null ? ByteBuffer.allocate(0) : page.duplicate());
  }

  /** Runs a round to its end; returns how many pages it sent. */
  private int run(@Nullable Round round) {
    mostInStep = Math.max(mostInStep, predictor.work().spent());
    if (round == null) {
      return 0;
    }
    int sent = 0;
    List<PageImage> here = new ArrayList<>();
    do {
      sent += round.take(here).size();
      mostInStep = Math.max(mostInStep, predictor.work().spent());
      here.clear();
      for (long page : round.wanted()) {
        here.add(image(page));
      }
    } while (!here.isEmpty());
    worked += round.worked();
    round.close();
    return sent;
  }

  private int open() {
    return run(predictor.opened(shape, image(1), CREDIT));
  }

  private @Nullable Round demanded(long page) {
    return predictor.demanded(shape, List.of(image(page)), CREDIT);
  }

  private void demand(long... numbers) {
    for (long page : numbers) {
      run(demanded(page));
    }
  }

  /** One leaf is 71 children, and one entry is 17000. */
  @Test
  void aSchemaThatIsOneEntryManyTimes() {
    page(1, INTERIOR_TABLE, 2, List.of(bytes(four(2), 1)), same(70, 0));
    page(2, LEAF_TABLE, 0, List.of(entry(1, "table", "n", "T".repeat(30_000), 3)), same(17_000, 0));
    assertEquals(1, open());
    assertTrue(worked < 100_000, worked + " to find 256 tables");
  }

  /** What is no table is gone through as well: entries that are none, with long names. */
  @Test
  void aSchemaOfManyEntriesThatAreNoTrees() {
    int leaves = 60;
    List<byte[]> children = new ArrayList<>();
    for (int i = 0; i < leaves; i++) {
      children.add(bytes(four(10 + i), 1 + i));
      String type = i % 2 == 0 ? "trigger" : "t".repeat(15_000);
      page(10 + i, LEAF_TABLE, 0, List.of(entry(1, type, "n", "t", i % 3)), same(3_000, 0));
    }
    page(1, INTERIOR_TABLE, 10, children, IntStream.range(0, leaves).toArray());
    assertEquals(CREDIT / PAGE, open());
    assertTrue(worked < 600_000, worked + " to find no table");
  }

  /** Only an interior page says which are next, and it can say so of itself. */
  @Test
  void aSchemaOfInteriorPagesWithoutChildren() {
    int[] children = same(25_000, 0);
    for (int i = 10; i < 70; i++) {
      children[i] = i - 10;
      page(i, INTERIOR_TABLE, 1, List.of(bytes(four(1), 1)), same(25_000, 0));
    }
    List<byte[]> cells = new ArrayList<>();
    for (int i = 10; i < 70; i++) {
      cells.add(bytes(four(i), 1));
    }
    page(1, INTERIOR_TABLE, 1, cells, children);
    open();
    assertTrue(mostInStep < MOST_IN_STEP, mostInStep + " in a step");
  }

  /** Each cell of all pages of the schema has the same overflow page. */
  @Test
  void aSchemaOfManyOverflowPages() {
    int leaves = 20;
    List<byte[]> children = new ArrayList<>();
    // Of 65532 + 8192 bytes, 8192 are here.
    int least = (PAGE - 12) * 32 / 255 - 23;
    byte[] cell = bytes(least + PAGE - 4, 1, new byte[least], four(90));
    for (int i = 0; i < leaves; i++) {
      children.add(bytes(four(10 + i), 1 + i));
      page(10 + i, LEAF_TABLE, 0, List.of(cell), same(28_000, 0));
    }
    page(1, INTERIOR_TABLE, 10, children, IntStream.range(0, leaves).toArray());
    pages.put(90L, ByteBuffer.allocate(PAGE));
    assertEquals(leaves + 1, open());
    assertTrue(worked < 500_000, worked + " for one overflow page");
  }

  /** 16397 columns, all NULL, in each of 24000 cells. */
  @Test
  void leavesOfIndexesWithManyColumns() {
    int indexes = 8;
    schema(indexes);
    page(3, LEAF_TABLE, 0, List.of(bytes(2, 1, 2, 0)), 0);
    byte[] record = bytes(16_400, new byte[16_400 - 3]);
    for (int i = 0; i < indexes; i++) {
      page(4 + i, LEAF_INDEX, 0, List.of(bytes(record.length, record)), same(24_000, 0));
    }
    open();
    demand(4);
    assertTrue(worked > 100_000 && worked < 400_000, worked + " for a thousand entries");
    demand(5, 6, 7, 8, 9, 10, 11, 3);
    assertTrue(mostInStep < MOST_IN_STEP, mostInStep + " in a step");
  }

  /** Two entries with one key of 16 KiB. */
  @Test
  void leavesOfIndexesWithLongKeys() {
    schema(1);
    page(3, LEAF_TABLE, 0, List.of(bytes(2, 1, 2, 0)), 0);
    byte[] types = bytes(13 + 2 * 16_000, 1);
    byte[] record = bytes(1 + types.length, types, new byte[16_000], new byte[] {1});
    byte[] cell = bytes(record.length, record);
    page(20, LEAF_INDEX, 0, List.of(cell), same(20_000, 0));
    List<byte[]> above = List.of(bytes(four(4), cell));
    page(4, INTERIOR_INDEX, 4, above, same(20_000, 0));
    open();
    demand(4, 20, 20, 20);
    assertTrue(mostInStep < MOST_IN_STEP, mostInStep + " in a step");
  }

  /** A walk over an index and its rows comes to a leaf that is there as each of many children. */
  @Test
  void aWalkOverOneLeafManyTimes() {
    schema(0);
    page(
        1,
        LEAF_TABLE,
        0,
        List.of(entry(1, "table", "t", "t", 3), entry(2, "index", "i", "t", 10)),
        0,
        1);
    // The table has a leaf for each row.
    List<byte[]> children = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      children.add(bytes(four(20 + i), i + 1));
      page(20 + i, LEAF_TABLE, 0, List.of(bytes(2, i + 1, 2, 0)), 0);
    }
    page(40, LEAF_TABLE, 0, List.of(bytes(2, 100, 2, 0)), 0);
    page(3, INTERIOR_TABLE, 40, children, IntStream.range(0, 20).toArray());
    // The index has a leaf that names rows 1 to 6, and then one that names none.
    List<byte[]> entries = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      entries.add(bytes(5, 3, 1, 1, new byte[] {(byte) i, (byte) (i + 1)}));
    }
    page(11, LEAF_INDEX, 0, entries, 0, 1, 2, 3, 4, 5);
    byte[] none = bytes(1_000, new byte[1_000 - 2]);
    page(12, LEAF_INDEX, 0, List.of(bytes(none.length, none)), same(30_000, 0));
    byte[] key = bytes(5, 3, 1, 1, new byte[] {7, 0});
    int[] names = same(4_000, 1);
    names[0] = 0;
    page(10, INTERIOR_INDEX, 12, List.of(bytes(four(11), key), bytes(four(12), key)), names);
    open();
    demand(10, 11, 20, 21, 22, 23, 24);
    assertTrue(worked > Work.MOST_IN_STEP, "no walk began");
    assertTrue(mostInStep < MOST_IN_STEP, mostInStep + " in a step");
    int before = worked;
    demand(25, 11, 26, 27, 28);
    assertEquals(before, worked, "it goes on");
    assertNull(demanded(29));
  }

  /** Where the steps are short, the round has an end too, and the next ones come later. */
  @Test
  void aRoundOfManySteps() {
    Work work = predictor.work();
    Hand hand = new Hand(shape, PAGE, work);
    List<Long> steps = new ArrayList<>();
    Plan plan =
        round -> {
          steps.add(2L + steps.size());
          work.spend(Work.MOST_IN_STEP / 2);
          round.hand().look(steps.get(steps.size() - 1));
          return false;
        };
    run(new Round(predictor, hand, plan, CREDIT, true));
    assertEquals(2 * Work.FOR_A_ROUND / Work.MOST_IN_STEP + 1, steps.size());
  }
}
