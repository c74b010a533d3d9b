package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.contract.TestPages;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.RocksDBException;
import org.rocksdb.Statistics;
import org.rocksdb.TickerType;

class GroupCommitTest {
  @BeforeAll
  static void loadLibrary() throws RocksDBException {
    NativeLibrary.load();
  }

  @Test
  void p2_aCommitIsSyncedAndCommitsThatArriveTogetherShareASync(@TempDir Path folder)
      throws Exception {
    int databases = 40;
    int rounds = 5;
    try (Statistics statistics = new Statistics();
        RocksPageStore store =
            RocksPageStore.open(
                TestStores.settings(folder, statistics), TestStores.NO_PINS, Clock.systemUTC())) {
      List<TestWriter> writers = new ArrayList<>();
      for (int i = 0; i < databases; i++) {
        writers.add(new TestWriter(store, "database-" + i));
      }

      long before = syncs(statistics);
      for (int i = 0; i < 10; i++) {
        writers.get(0).commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, i + 1));
      }
      long alone = syncs(statistics) - before;
      assertTrue(alone >= 10, "10 commits, one after the other, made " + alone + " syncs");

      before = syncs(statistics);
      for (int round = 0; round < rounds; round++) {
        List<CompletableFuture<Long>> answers = new ArrayList<>();
        for (TestWriter writer : writers) {
          answers.add(
              writer.commitLater(
                  writer.head(), 1, null, TestPages.page(1, TestWriter.PAGE_SIZE, 100 + round)));
        }
        answers.forEach(TestStores::get);
      }
      long together = syncs(statistics) - before;
      int commits = databases * rounds;
      assertTrue(together >= rounds, together + " syncs");
      assertTrue(together < commits / 2, commits + " commits made " + together + " syncs");
      for (TestWriter writer : writers) {
        assertEquals(
            TestPages.page(1, TestWriter.PAGE_SIZE, 99 + rounds).data(),
            get(store.read(writer.database, writer.head(), new long[] {1})).get(0).data());
      }
    }
  }

  private static long syncs(Statistics statistics) {
    return statistics.getTickerCount(TickerType.WAL_FILE_SYNCED);
  }
}
