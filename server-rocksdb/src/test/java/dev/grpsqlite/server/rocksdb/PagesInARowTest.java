package dev.grpsqlite.server.rocksdb;

import static dev.grpsqlite.server.rocksdb.TestStores.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.PageImage;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.Statistics;
import org.rocksdb.TickerType;

/** Pages that lie in a row are passed by steps, and few of them are sought. */
class PagesInARowTest {
  private static final int PAGES = 600;
  private static final int FEW = 8;

  @TempDir Path folder = Path.of("");

  private static long seeks(Statistics statistics) {
    return statistics.getTickerCount(TickerType.NUMBER_DB_SEEK);
  }

  @Test
  void aRowIsNotSoughtPageByPageAlsoIfAPageOfAnotherLevelIsAmongIt() throws Exception {
    try (Statistics statistics = new Statistics();
        RocksPageStore store =
            RocksPageStore.open(
                TestStores.settings(folder, statistics), TestStores.NO_PINS, Clock.systemUTC())) {
      TestWriter writer = new TestWriter(store, "rows");
      PageImage[] all = TestWriter.all(PAGES, 1);
      long version = writer.commit(PAGES, all);
      long[][] rows = {
        LongStream.rangeClosed(100, 350).toArray(),
        LongStream.concat(LongStream.rangeClosed(100, 350), LongStream.of(590)).toArray(),
        LongStream.concat(LongStream.of(590), LongStream.rangeClosed(100, 350)).toArray(),
        LongStream.concat(LongStream.rangeClosed(100, 350), LongStream.rangeClosed(7, 99))
            .toArray(),
        LongStream.rangeClosed(50, 250).map(each -> 2 * each).toArray()
      };
      for (long[] row : rows) {
        long before = seeks(statistics);
        List<PageImage> read = get(store.read(writer.database, version, row));
        long sought = seeks(statistics) - before;
        assertTrue(sought <= FEW, sought + " seeks for " + row.length + " pages");
        assertEquals(row.length, read.size());
        for (int i = 0; i < row.length; i++) {
          assertEquals(row[i], read.get(i).number());
          assertEquals(all[(int) row[i] - 1].data(), read.get(i).data());
        }
      }
    }
  }
}
