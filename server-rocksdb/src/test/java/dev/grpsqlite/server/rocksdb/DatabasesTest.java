package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.StageId;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DatabasesTest {
  @TempDir Path folder = Path.of("");

  /** The store keeps one in memory, and these are many. */
  @Test
  void manyDatabasesAreForgottenAndReadAgainBetweenCommits() throws Exception {
    int databases = 12;
    long[] versions = new long[databases];
    boolean[] staged = new boolean[databases];
    Random random = new Random(5);
    try (RocksPageStore store = TestStores.open(folder)) {
      List<TestWriter> writers = new ArrayList<>();
      for (int i = 0; i < databases; i++) {
        writers.add(new TestWriter(store, "database-" + i));
      }
      for (int round = 0; round < 100; round++) {
        List<CompletableFuture<Long>> answers = new ArrayList<>();
        List<Integer> committing = new ArrayList<>();
        for (int i = 0; i < databases; i++) {
          TestWriter writer = writers.get(i);
          switch (random.nextInt(4)) {
            case 0 -> {
              answers.add(
                  writer.commitLater(
                      versions[i],
                      1,
                      staged[i] ? new StageId(i, 0) : null,
                      TestPages.page(1, TestWriter.PAGE_SIZE, versions[i] + 1)));
              committing.add(i);
              staged[i] = false;
            }
            case 1 -> {
              writer.stage(new StageId(i, 0), TestPages.page(1, TestWriter.PAGE_SIZE, 999));
              staged[i] = true;
            }
            default -> {
              assertEquals(versions[i], writer.head());
              if (versions[i] > 0) {
                assertEquals(
                    TestPages.page(1, TestWriter.PAGE_SIZE, versions[i]).data(),
                    writer.read(versions[i], 1).get(0).data());
              }
            }
          }
        }
        for (int i = 0; i < answers.size(); i++) {
          int database = committing.get(i);
          assertEquals(++versions[database], get(answers.get(i)));
        }
      }
    }
  }
}
