package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.PageImage;
import dev.grpsqlite.server.spi.Retention;
import dev.grpsqlite.server.spi.SessionId;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * A process that commits, restores, forks and drops while it collects, and says line by line what
 * was acknowledged, is killed at random moments. What it said is so, every fork has what it was
 * made of, and when the forks are dropped nothing is left of them.
 */
class ForkCrashTest {
  private static final int PAGES = 30;
  private static final int KILLS = 6;
  private static final int KEPT = 3; // versions
  private static final SessionId SESSION = new SessionId(3, 3);

  @TempDir Path folder = Path.of("");

  private long parentHead;
  private long restoredHead;
  private int forked;
  private final Set<String> forks = new HashSet<>();

  private static RocksPageStore open(Path folder, Duration collectEvery) throws Exception {
    return RocksPageStore.open(
        TestStores.settings(folder, Retention.parse(KEPT + "versions"), collectEvery),
        TestStores.NO_PINS,
        Clock.systemUTC());
  }

  @Test
  void p1_p2_forksRestoresAndDropsSurviveAKillAtAnyMoment() throws Exception {
    long seed = Long.getLong("crash.seed", new Random().nextLong());
    System.out.println("kills with -Dcrash.seed=" + seed);
    Random random = new Random(seed);
    for (int kill = 0; kill < KILLS; kill++) {
      runAndKill(random.nextInt(120));
      try (RocksPageStore store = open(folder, Duration.ofHours(1))) {
        for (int i = 0; i < 2; i++) {
          checkForks(store);
          TestStores.settle(store);
        }
        checkHeads(store);
        if (kill % 2 == 1) {
          dropForks(store);
        }
        if (kill == KILLS - 1) {
          checkNothingIsLeft(store);
        }
      }
    }
    System.out.println(forked + " forks acknowledged over " + KILLS + " kills");
    assertTrue(forked > KILLS, "only " + forked + " forks");
  }

  private void runAndKill(int lines) throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx128m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                ForkCrashTest.class.getName(),
                folder.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader output =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.US_ASCII))) {
      int heard = 0;
      String line;
      while ((line = output.readLine()) != null && line.endsWith(".")) {
        String[] words = line.substring(0, line.length() - 1).split(" ", -1);
        switch (words[0]) {
          case "parent" -> parentHead = Long.parseLong(words[1]);
          case "restored" -> restoredHead = Long.parseLong(words[1]);
          case "forked" -> {
            forks.add(words[1]);
            forked++;
          }
          default -> forks.remove(words[1]); // about to be dropped
        }
        if (heard++ == lines) {
          process.toHandle().destroyForcibly(); // the process's own method closes what we read from
        }
      }
    } finally {
      process.destroyForcibly();
      assertTrue(process.waitFor(60, TimeUnit.SECONDS));
    }
  }

  /** A page of the parent's at a version: each version writes every third page. */
  private static long seedOf(long page, long version) {
    return version - Math.floorMod(version - page, 3L);
  }

  private static long[] numbers() {
    return LongStream.rangeClosed(1, PAGES).toArray();
  }

  /** A fork's name tells what it was made of, and whether its page 2 was written. */
  private void checkForks(RocksPageStore store) {
    Set<String> there = new HashSet<>();
    for (DatabaseInfo fork : get(store.list("fork-", "", 10_000))) {
      there.add(fork.name());
      String[] parts = fork.name().split("-", -1);
      long version = Long.parseLong(parts[1]);
      boolean written = parts[2].equals("child") || fork.head().version() > 0;
      for (PageImage page : get(store.read(fork.id(), fork.head().version(), numbers()))) {
        long seed = written && page.number() == 2 ? -version : seedOf(page.number(), version);
        assertEquals(
            TestPages.page(1, TestWriter.PAGE_SIZE, seed).data(),
            page.data(),
            "page " + page.number() + " of " + fork.name());
      }
    }
    for (String fork : forks) {
      assertTrue(there.contains(fork), fork + " is gone");
    }
  }

  private void checkHeads(RocksPageStore store) {
    TestWriter parent = new TestWriter(store, "parent", SESSION);
    assertTrue(parent.head() >= parentHead, "acknowledged " + parentHead);
    TestWriter restored = new TestWriter(store, "restored", SESSION);
    long head = restored.head();
    assertTrue(head >= restoredHead, "acknowledged " + restoredHead);
    if (head > 0) {
      for (PageImage page : restored.read(head, PAGES)) {
        assertEquals(
            TestPages.page(1, TestWriter.PAGE_SIZE, restoredSeed(head)).data(), page.data());
      }
    }
    get(store.releaseLease(restored.database, SESSION, restored.epoch)); // with what was staged
  }

  private void dropForks(RocksPageStore store) throws Exception {
    for (DatabaseInfo fork : get(store.list("fork-", "", 10_000))) {
      get(store.drop(fork.id()));
    }
    forks.clear();
    get(store.dropStages(new SessionId(0, 0))); // behind what that left to do
    TestStores.settle(store);
    for (byte kind : Keys.FOR_ITS_FORKS) {
      assertEquals(0, TestStores.entries(store, kind), "of kind " + (char) kind);
    }
    assertEquals(0, TestStores.entries(store, Keys.DROPPED));
    assertEquals(0, TestStores.entries(store, Keys.FORKED_FROM));
  }

  private static void checkNothingIsLeft(RocksPageStore store) throws Exception {
    long needed = 0;
    for (String name : List.of("parent", "restored")) {
      DatabaseInfo database = get(store.findOrCreate(name));
      get(store.setRetention(database.id(), Optional.of(Retention.NONE)));
      needed += database.head().pageCount();
    }
    TestStores.settle(store);
    assertEquals(needed, TestStores.images(store));
  }

  /** Every fourth version is the one before it but one, restored. */
  private static long restoredSeed(long version) {
    return version % 4 == 0 ? version - 2 : version;
  }

  /** The process. */
  public static void main(String[] arguments) throws Exception {
    PrintStream output = new PrintStream(System.out, true, StandardCharsets.US_ASCII);
    try (RocksPageStore store = open(Path.of(arguments[0]), Duration.ofMillis(1))) {
      TestWriter parent = new TestWriter(store, "parent", SESSION);
      TestWriter restored = new TestWriter(store, "restored", SESSION);
      List<DatabaseInfo> old = new ArrayList<>();
      while (true) {
        say(output, "parent " + commitToParent(parent));
        say(output, "restored " + commitOrRestore(store, restored));
        long head = parent.head();
        long version = Math.max(1, head - head % KEPT);
        DatabaseInfo fork = fork(store, output, parent.database, version, version, "fork");
        if (head % 2 == 0) {
          DatabaseInfo same = fork(store, output, fork.id(), 0, version, "same");
          TestWriter writer = new TestWriter(store, fork.name(), SESSION);
          writer.commit(PAGES, TestPages.page(2, TestWriter.PAGE_SIZE, -version));
          old.add(fork(store, output, fork.id(), 1, version, "child"));
          old.add(same);
        }
        old.add(0, fork);
        while (old.size() > 6) {
          DatabaseInfo last = old.remove(head % 3 == 0 ? 0 : old.size() - 1);
          say(output, "dropping " + last.name());
          get(store.drop(last.id()));
        }
      }
    }
  }

  private static long commitToParent(TestWriter parent) {
    long version = parent.head() + 1;
    return parent.commit(
        PAGES,
        LongStream.rangeClosed(1, PAGES)
            .filter(page -> version == 1 || seedOf(page, version) == version)
            .mapToObj(page -> TestPages.page(page, TestWriter.PAGE_SIZE, seedOf(page, version)))
            .toArray(PageImage[]::new));
  }

  private static long commitOrRestore(RocksPageStore store, TestWriter writer) {
    long version = writer.head() + 1;
    return version % 4 == 0
        ? get(
            store.restore(
                writer.database, SESSION, writer.epoch, new CommitId(1, version), version - 2))
        : writer.commit(PAGES, TestWriter.all(PAGES, version));
  }

  private static DatabaseInfo fork(
      RocksPageStore store,
      PrintStream output,
      DatabaseId parent,
      long version,
      long content,
      String kind) {
    String name = "fork-" + content + "-" + kind + "-" + System.nanoTime();
    DatabaseInfo fork = get(store.fork(parent, version, name, new CommitId(content, 2)));
    say(output, "forked " + name);
    return fork;
  }

  private static void say(PrintStream output, String line) {
    output.print(line + ".\n");
    output.flush();
  }
}
