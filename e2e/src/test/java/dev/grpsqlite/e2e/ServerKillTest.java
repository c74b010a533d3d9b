package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P1, P2 and P5 when it is the server that dies, under a client that goes on writing. */
class ServerKillTest {
  private static final int KILLS = 100;
  private static final int MOST_PAUSE_MS = 200;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"ROCKSDB", "FDB"})
  void p2_acknowledgedCommitsSurviveAHundredKillsOfTheServer(Kind kind) throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    long acknowledged;
    try (ServerProcess server = kind.start(Folders.make("kills"))) {
      Client client = new Client(folder, server.url());
      try (Program writer = client.startPython("ledger.py", "write", "ledger.db")) {
        writer.readTo("writing");
        acknowledged =
            Kills.ofServer(
                server, writer, KILLS, MOST_PAUSE_MS, new Random(seed), "-Dgrpsqlite.seed=" + seed);
      }
      client.python("ledger.py", "check", "ledger.db", "" + acknowledged).ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aKilledServerLeavesNothingAmongTheTemporaryFiles(Kind kind) throws Exception {
    Path temporary = Files.createDirectories(folder.resolve("tmp"));
    try (ServerProcess server =
        kind.startWith("-Djava.io.tmpdir=" + temporary, Folders.make("left"))) {
      Client client = new Client(folder, server.url());
      client.shell("t.db", "CREATE TABLE t (x);").ok();
      server.kill();
    }
    try (Stream<Path> left = Files.list(temporary)) {
      assertEquals(List.of(), left.toList());
    }
  }
}
