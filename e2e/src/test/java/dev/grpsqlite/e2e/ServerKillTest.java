package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** P1, P2 and P5 when it is the server that dies, under a client that goes on writing. */
class ServerKillTest {
  private static final int KILLS = 100;
  private static final int MOST_PAUSE_MS = 200;

  @TempDir Path folder;

  @Test
  void p2_acknowledgedCommitsSurviveAHundredKillsOfTheServer() throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Random random = new Random(seed);
    String context = "-Dgrpsqlite.seed=" + seed;
    long acknowledged = 0;
    try (ServerProcess server = ServerProcess.rocksdb(Folders.make("kills"))) {
      Client client = new Client(folder, server.url());
      try (Program writer = client.startPython("ledger.py", "write", "ledger.db")) {
        writer.readTo("writing");
        for (int kill = 0; kill < KILLS; kill++) {
          acknowledged = awaitProgress(writer, acknowledged);
          // The moment is what is random here; nothing is waited for.
          Thread.sleep(random.nextInt(MOST_PAUSE_MS));
          server.kill();
          acknowledged = last(writer.drain(), acknowledged);
          server.start();
        }
        long before = awaitProgress(writer, acknowledged);
        Finished ended = writer.finish();
        assertEquals(0, ended.exit(), context + ": " + ended);
        acknowledged = last(ended.out().lines().toList(), before);
      }
      client.python("ledger.py", "check", "ledger.db", "" + acknowledged).ok();
    }
  }

  /**
   * Returns when the writer has had another commit acknowledged, and is in the midst of the next.
   */
  private static long awaitProgress(Program writer, long before) throws Exception {
    AtomicLong last = new AtomicLong(before);
    Await.until(
        "the writer to go on",
        Duration.ofMinutes(1),
        () -> {
          if (!writer.isAlive()) {
            throw new AssertionError("the writer ended: " + writer.errors());
          }
          last.set(last(writer.drain(), last.get()));
          return last.get() > before;
        },
        writer::errors);
    return last.get();
  }

  private static long last(List<String> lines, long otherwise) {
    return lines.isEmpty() ? otherwise : Long.parseLong(lines.get(lines.size() - 1));
  }
}
