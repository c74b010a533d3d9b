package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** P1 to P5 when the server's machine loses its power, and with it what was not synced. */
@Timeout(300)
class PowerLossTest {
  private static final int LOSSES = 15;
  private static final int MOST_PAUSE_MS = 300;
  private static final int IMPORTS = 4;

  @TempDir Path folder;

  /** Its lease and its commit that was under way go on, too. */
  @Test
  void p2_p3_p5_acknowledgedCommitsOfAWriterThatGoesOnSurvive() throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Path made = Folders.make("power");
    try (ServerProcess server = ServerProcess.rocksdb(made)) {
      PowerLoss loss = begin(server, made);
      Client client = new Client(folder, server.url());
      long acknowledged;
      try (Program writer = client.startPython("ledger.py", "write", "ledger.db")) {
        writer.readTo("writing");
        acknowledged =
            Kills.ofServer(
                server,
                writer,
                LOSSES,
                MOST_PAUSE_MS,
                new Random(seed),
                "-Dgrpsqlite.seed=" + seed,
                () -> {
                  loss.take();
                  loss.begin();
                });
      }
      client.python("ledger.py", "check", "ledger.db", "" + acknowledged).ok();
      assertTrue(loss.takenBytes() > 0, "all was synced at any time");
    }
  }

  @Test
  void p1_p2_anImportIsThereAsAWholeAndIfItWasAcknowledged() throws Exception {
    Path made = Folders.make("power");
    try (ServerProcess server = ServerProcess.rocksdb(made)) {
      PowerLoss loss = begin(server, made);
      Client client = new Client(folder, server.url());
      Path source = folder.resolve("source.db");
      client
          .localShell(
              source,
              "CREATE TABLE t (b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                  + " WHERE i < 8000) INSERT INTO t SELECT randomblob(3000) FROM n;")
          .ok();
      for (int i = 0; i < IMPORTS; i++) {
        String name = "import-" + i + ".db";
        boolean toTheEnd = i % 2 == 0;
        boolean acknowledged;
        long before = Folders.sizeBytes(made.resolve("data"));
        try (Program program = client.startCommand("import", source.toString(), name)) {
          Await.until(
              "the import's end, or half of it",
              Duration.ofMinutes(1),
              () ->
                  !program.isAlive()
                      || (!toTheEnd
                          && Folders.sizeBytes(made.resolve("data")) - before
                              > Files.size(source) / 2),
              server::log);
          acknowledged = !program.isAlive() && program.finish().exit() == 0;
          server.kill();
        }
        loss.take();
        loss.begin();
        server.start();
        Path copy = folder.resolve(name);
        Finished exported = client.command("export", name, copy.toString());
        assertTrue(exported.exit() == 0 || !acknowledged, exported + server.log());
        if (exported.exit() == 0) {
          assertEquals(-1, Files.mismatch(source, copy), name);
        }
        assertTrue(acknowledged || !toTheEnd, "an import failed");
      }
      assertTrue(loss.takenNames() > 0, "no half import was there");
    }
  }

  private PowerLoss begin(ServerProcess server, Path made) throws Exception {
    server.kill();
    PowerLoss loss = new PowerLoss(folder, made.resolve("data"));
    loss.begin();
    server.environment(loss.environment());
    server.start();
    return loss;
  }
}
