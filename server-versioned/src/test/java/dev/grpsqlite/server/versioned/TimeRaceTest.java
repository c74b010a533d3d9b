package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Retention;
import java.time.Instant;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A time at which there surely is a version, while others are committed and collected. */
@Timeout(60)
final class TimeRaceTest {
  @Test
  void theNewestVersionIsFoundByTimeWhileOlderOnesAreCollected() throws Exception {
    Fixture fixture = new Fixture(Retention.NONE);
    DatabaseId id = fixture.createOfSize("main", 3);
    ExecutorService threads = Executors.newSingleThreadExecutor();
    try {
      Future<?> writing =
          threads.submit(
              () -> {
                for (int i = 0; i < 20_000; i++) {
                  fixture.write(id, i, 1);
                  fixture.store.collect();
                }
              });
      long last = 0;
      while (!writing.isDone()) {
        long found = answer(fixture.store.snapshotAt(id, Instant.MAX)).version();
        assertTrue(found >= last);
        last = found;
      }
      writing.get();
    } finally {
      threads.shutdownNow();
    }
  }
}
