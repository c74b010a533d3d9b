package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Old versions that come back under those who write and read. */
class RestoreTest {
  private static final int READERS = 4;
  private static final int RESTORES = 5;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void p6_allEndUpOnTheRestoredContentAndNoneSeesAMixture(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("restored");
    String first = client.python("bank.py", "open", database).ok().strip();
    List<String> restores = new ArrayList<>();
    List<Program> readers = new ArrayList<>();
    try (Program writer = client.startPython("bank.py", "write", database, "writes")) {
      for (int i = 0; i < READERS; i++) {
        String staleness = i % 2 == 0 ? "" : "&max_staleness_ms=50";
        readers.add(
            client.startPython(
                "bank.py", "read", "file:" + database + "?mode=ro" + staleness, "reads-" + i));
      }
      for (Program reader : readers) {
        reader.readTo("reading");
      }
      writer.readTo("writing");
      long from = Long.parseLong(first);
      for (int i = 0; i < RESTORES; i++) {
        long before = head(client, database);
        Await.until(
            "the writer to go on",
            Duration.ofMinutes(1),
            () -> head(client, database) >= before + 20);
        restores.add(restore(client, database, from));
        from = before;
      }
      assertEquals("written\n", writer.finish().ok());
      restores.add(restore(client, database, from));
      awaitReaders(Long.parseLong(restores.get(RESTORES).split(" ", -1)[0]));
      for (Program reader : readers) {
        reader.finish().ok();
      }
    } finally {
      for (Program reader : readers) {
        reader.close();
      }
    }
    Files.write(folder.resolve("restores"), restores);
    List<String> arguments =
        new ArrayList<>(List.of("judge-restored", first, "restores", "writes"));
    for (int i = 0; i < READERS; i++) {
      arguments.add("reads-" + i);
    }
    System.out.print(kind + ": " + client.python("bank.py", arguments.toArray(new String[0])).ok());
  }

  /** By a client of its own, while the writer has the lease. Returns "VERSION FROM_VERSION". */
  private static String restore(Client client, String database, long from) throws Exception {
    return client.shell(database, "PRAGMA grpsqlite_restore=" + from + ";").ok().strip()
        + " "
        + from;
  }

  private static long head(Client client, String database) throws Exception {
    return Long.parseLong(
        client.shell("--readonly " + database, "PRAGMA grpsqlite_version;").ok().strip());
  }

  /** Each has written a line with this version: its history is not buffered for long. */
  private void awaitReaders(long version) throws Exception {
    for (int i = 0; i < READERS; i++) {
      Path history = folder.resolve("reads-" + i);
      Await.until(
          "a reader to see version " + version,
          Duration.ofMinutes(1),
          () ->
              Files.readAllLines(history).stream()
                  .anyMatch(line -> line.startsWith(version + " ")));
    }
  }
}
