package dev.grpsqlite.server.versioned;

import static dev.grpsqlite.server.versioned.Fixture.answer;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.Retention;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What looks databases up while others are made and dropped. */
@Timeout(60)
final class DropRacesTest {
  private static final int DROPS = 200_000;

  private final Fixture fixture = new Fixture(Retention.NONE);

  @Test
  void aListIsAnsweredWhileDatabasesAreDropped() throws Exception {
    answer(fixture.store.findOrCreate("stays"));
    whileDropping(
        () -> assertEquals("stays", answer(fixture.store.list("s", "", 10)).get(0).name()),
        () -> answer(fixture.store.list("", "", 10)));
  }

  @Test
  void aDatabaseThatIsBeingDroppedIsFoundOrNot() throws Exception {
    whileDropping(() -> answer(fixture.store.find("comes and goes")));
  }

  @Test
  void aDatabaseIsMadeWhileOneOfItsNameIsDropped() throws Exception {
    whileDropping(() -> answer(fixture.store.findOrCreate("comes and goes")));
  }

  private void whileDropping(Runnable... looks) throws Exception {
    AtomicBoolean done = new AtomicBoolean();
    ExecutorService threads = Executors.newSingleThreadExecutor();
    try {
      Future<?> dropping =
          threads.submit(
              () -> {
                for (int i = 0; i < DROPS && !done.get(); i++) {
                  DatabaseInfo made = answer(fixture.store.findOrCreate("comes and goes"));
                  answer(fixture.store.drop(made.id()));
                }
              });
      try {
        while (!dropping.isDone()) {
          for (Runnable look : looks) {
            look.run();
          }
        }
      } finally {
        done.set(true);
      }
      dropping.get(50, TimeUnit.SECONDS);
    } finally {
      threads.shutdownNow();
    }
  }
}
