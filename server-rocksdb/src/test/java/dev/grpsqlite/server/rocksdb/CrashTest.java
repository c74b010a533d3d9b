package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that commits to several databases at once, inline and staged, and says so line by line,
 * is killed at random moments. What it said is there, and nothing is half there (P1, P2).
 */
class CrashTest {
  private static final int DATABASES = 5;

  /** The first of those that are committed to together. */
  private static final int TOGETHER = 3;

  private static final int PAGES = 30;
  private static final int KILLS = 20;

  @TempDir Path folder = Path.of("");

  @Test
  void p1_p2_whatWasAcknowledgedIsThereAfterAKillAndNothingIsHalfThere() throws Exception {
    long seed = Long.getLong("crash.seed", new Random().nextLong());
    System.out.println("kills with -Dcrash.seed=" + seed);
    Random random = new Random(seed);
    long[] acknowledged = new long[DATABASES];
    long all = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      runAndKill(random.nextInt(300), acknowledged);
      try (RocksPageStore store = TestStores.open(folder)) {
        for (int database = 0; database < DATABASES; database++) {
          check(store, database, acknowledged[database]);
        }
        for (int database = TOGETHER; database < DATABASES; database++) {
          assertEquals(head(store, TOGETHER), head(store, database), "committed together");
        }
        TestStores.settle(store);
        for (int database = 0; database < DATABASES; database++) {
          check(store, database, acknowledged[database]);
        }
        assertEquals(
            DATABASES * PAGES + stagedNow(store),
            TestStores.images(store),
            "images of committed pages and of stages");
      }
    }
    for (long version : acknowledged) {
      all += version;
    }
    assertTrue(all > KILLS * DATABASES, "only " + all + " commits");
    System.out.println(all + " commits acknowledged over " + KILLS + " kills");
  }

  /** Adds to what was acknowledged what the process says until it is dead. */
  private void runAndKill(int lines, long[] acknowledged) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                CrashTest.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII))) {
      int heard = 0;
      String line;
      while ((line = output.readLine()) != null) {
        if (!line.endsWith(".")) {
          break; // cut off by the kill
        }
        String[] words = line.substring(0, line.length() - 1).split(" ", -1);
        int database = Integer.parseInt(words[0]);
        acknowledged[database] = Math.max(acknowledged[database], Long.parseLong(words[1]));
        if (heard++ == lines) {
          process.toHandle().destroyForcibly(); // the process's own method closes what we read from
        }
      }
    } finally {
      process.destroyForcibly();
      assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    }
  }

  private static void check(RocksPageStore store, int database, long acknowledged) {
    TestWriter reader = new TestWriter(store, "database-" + database, session(database));
    long head = reader.head();
    assertTrue(
        head >= acknowledged, "version " + acknowledged + " was acknowledged, the head is " + head);
    if (head > 0) {
      for (PageImage page : reader.read(head, PAGES)) {
        assertEquals(head, page.version(), "page " + page.number());
        assertEquals(TestPages.page(1, TestWriter.PAGE_SIZE, head).data(), page.data());
      }
    }
  }

  private static long head(RocksPageStore store, int database) {
    return get(store.find("database-" + database)).orElseThrow().head().version();
  }

  /** The pages of stages that nobody has dropped, as their holder may still come back. */
  private static int stagedNow(RocksPageStore store) {
    int pages = 0;
    for (int database = 0; database < DATABASES; database++) {
      TestWriter writer = new TestWriter(store, "database-" + database, session(database));
      long head = writer.head();
      for (PageImage page : stagedPages(store, writer, head)) {
        if (page.version() == 0) {
          pages++;
        }
      }
    }
    return pages;
  }

  private static List<PageImage> stagedPages(RocksPageStore store, TestWriter writer, long head) {
    long[] numbers = new long[PAGES];
    for (int i = 0; i < PAGES; i++) {
      numbers[i] = i + 1L;
    }
    try {
      return get(
          store.readStaged(writer.database, writer.session, new StageId(head, 0), head, numbers));
    } catch (dev.grpsqlite.server.spi.StoreException e) {
      assertEquals(dev.grpsqlite.server.spi.StoreException.Code.NO_SUCH_STAGE, e.code());
      return List.of();
    }
  }

  private static SessionId session(int database) {
    int first = Math.min(database, TOGETHER);
    return new SessionId(first, first);
  }

  /** The process: commits until it is killed. */
  public static void main(String[] arguments) throws Exception {
    PrintStream output = new PrintStream(System.out, true, StandardCharsets.US_ASCII);
    try (RocksPageStore store =
        RocksPageStore.open(
            TestStores.settings(Path.of(arguments[0])),
            TestStores.NO_PINS,
            java.time.Clock.systemUTC())) {
      List<CompletableFuture<Void>> running = new ArrayList<>();
      Executor threads = task -> new Thread(task).start();
      for (int i = 0; i < TOGETHER; i++) {
        int database = i;
        running.add(
            CompletableFuture.runAsync(() -> commitForEver(store, database, output), threads));
      }
      running.add(CompletableFuture.runAsync(() -> commitTogether(store, output), threads));
      for (CompletableFuture<Void> each : running) {
        each.join();
      }
    }
  }

  private static void commitForEver(RocksPageStore store, int database, PrintStream output) {
    TestWriter writer = new TestWriter(store, "database-" + database, session(database));
    for (long base = writer.head(); ; base++) {
      PageImage[] pages = TestWriter.all(PAGES, base + 1);
      StageId stage = null;
      if (base % 3 == 0) {
        stage = new StageId(base, 0);
        writer.stage(stage, pages);
        pages = new PageImage[0];
      }
      long version = get(writer.commitLater(base, PAGES, stage, pages));
      synchronized (output) {
        output.print(database + " " + version + ".\n");
        output.flush();
      }
    }
  }

  private static void commitTogether(RocksPageStore store, PrintStream output) {
    List<TestWriter> writers = new ArrayList<>();
    for (int i = TOGETHER; i < DATABASES; i++) {
      writers.add(new TestWriter(store, "database-" + i, session(i)));
    }
    for (long base = writers.get(0).head(); ; base++) {
      List<Commit> commits = new ArrayList<>();
      for (int i = 0; i < writers.size(); i++) {
        PageImage[] pages = TestWriter.all(PAGES, base + 1);
        StageId stage = null;
        if ((base + i) % 3 == 0) {
          stage = new StageId(base, 0);
          writers.get(i).stage(stage, pages);
          pages = new PageImage[0];
        }
        commits.add(writers.get(i).next(base, PAGES, stage, pages));
      }
      List<Long> versions = get(store.commitGroup(commits));
      synchronized (output) {
        for (int i = 0; i < versions.size(); i++) {
          output.print((TOGETHER + i) + " " + versions.get(i) + ".\n");
        }
        output.flush();
      }
    }
  }
}
