package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.StageId;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A transaction that is larger than all buffers, in a process of its own. */
class LargeCommitTest {
  private static final int PAGE_SIZE = TestWriter.PAGE_SIZE;
  private static final int MESSAGE = 900; // pages: less than 4 MiB

  @TempDir Path folder = Path.of("");

  @Test
  void p1_isInvisibleUntilItIsCommittedAndThenWholeInBoundedMemory() throws Exception {
    int mib = Integer.getInteger("large.mib", 192);
    Path output = folder.resolve("output");
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx64m",
                "-cp",
                System.getProperty("java.class.path"),
                LargeCommitTest.class.getName(),
                folder.resolve("data").toString(),
                String.valueOf(mib * 256))
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertTrue(process.waitFor(300, TimeUnit.SECONDS), "no end");
    } finally {
      process.destroyForcibly();
    }
    String said = Files.readString(output);
    assertEquals(0, process.exitValue(), said);
    Matcher peak = Pattern.compile("VmHWM:\\s+(\\d+) kB").matcher(said);
    assertTrue(peak.find(), said);
    System.out.println(mib + " MiB:\n" + said);
    assertTrue(Integer.parseInt(peak.group(1)) < 450 << 10, said);
  }

  public static void main(String[] arguments) throws Exception {
    int pages = Integer.parseInt(arguments[1]);
    try (PageStore store =
        new RocksPageStoreProvider()
            .open(Map.of("data", arguments[0]), TestStores.NO_PINS, Clock.systemUTC())) {
      TestWriter writer = new TestWriter(store, "large");
      StageId stage = new StageId(1, 1);
      long begin = System.nanoTime();
      for (int from = 1; from <= pages; from += MESSAGE) {
        PageImage[] part = new PageImage[Math.min(MESSAGE, pages - from + 1)];
        for (int i = 0; i < part.length; i++) {
          part[i] = TestPages.page(from + i, PAGE_SIZE, (long) from + i);
        }
        writer.stage(stage, part);
      }
      assertEquals(0, writer.head());
      long staged = System.nanoTime();
      long version =
          get(
              store.commit(
                  new Commit(
                      writer.database,
                      writer.session,
                      writer.epoch,
                      new CommitId(1, 1),
                      0,
                      PAGE_SIZE,
                      pages,
                      stage,
                      List.of())));
      long committed = System.nanoTime();
      assertEquals(1, version);
      for (int from = 1; from <= pages; from += MESSAGE) {
        long[] numbers = new long[Math.min(MESSAGE, pages - from + 1)];
        for (int i = 0; i < numbers.length; i++) {
          numbers[i] = (long) from + i;
        }
        for (PageImage page : get(store.read(writer.database, 1, numbers))) {
          assertEquals(TestPages.page(page.number(), PAGE_SIZE, page.number()).data(), page.data());
        }
      }
      System.out.printf(
          "staged in %d ms, committed in %d ms, read in %d ms%n",
          (staged - begin) / 1_000_000,
          (committed - staged) / 1_000_000,
          (System.nanoTime() - committed) / 1_000_000);
    }
    for (String line :
        Files.readAllLines(Path.of("/proc/self/status"), StandardCharsets.US_ASCII)) {
      if (line.startsWith("VmHWM")) {
        System.out.println(line);
      }
    }
  }
}
