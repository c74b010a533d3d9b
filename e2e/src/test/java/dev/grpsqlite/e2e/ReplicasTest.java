package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Read-only opens beside a writer. */
class ReplicasTest {
  /** How long the bank is open. */
  private static final Duration BANK_HOURS =
      Duration.ofSeconds(Integer.getInteger("grpsqlite.bank.seconds", 60));

  private static final int REPLICAS = 8;
  private static final int STALENESS_MS = 100;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aReaderInATransactionKeepsItsViewAndTheWriterDoesNotWait(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("two-shells");
    client.shell(database, "CREATE TABLE t (x); INSERT INTO t VALUES (1);").ok();
    try (Program writer = client.openShell(database);
        Program reader = client.openShell("--readonly " + database)) {
      reader.send("BEGIN; SELECT sum(x) FROM t;\n.print pinned\n");
      assertEquals("1\n", reader.readTo("pinned"));
      for (int i = 0; i < 20; i++) {
        writer.send("INSERT INTO t VALUES (10);\n.print written\n");
        assertEquals("", writer.readTo("written"));
      }
      // Another table makes SQLite read the schema's page anew.
      writer.send("CREATE TABLE u AS SELECT * FROM t;\n.print written\n");
      assertEquals("", writer.readTo("written"));
      reader.send("SELECT sum(x), count(*) FROM t; SELECT count(*) FROM sqlite_schema;\n");
      reader.send("COMMIT;\n.print ended\n");
      assertEquals("1|1\n1\n", reader.readTo("ended"));
      reader.send("SELECT sum(x), count(*) FROM t; SELECT count(*) FROM sqlite_schema;\n");
      assertEquals("201|21\n2\n", reader.finish().ok());
      writer.finish().ok();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aReplicaNeverWrites(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("read-only");
    client.shell(database, "CREATE TABLE t (x);").ok();
    Finished refused = client.shell("--readonly " + database, "INSERT INTO t VALUES (1);");
    assertTrue(refused.failed().contains("attempt to write a readonly database"));
    // Nor does it make a database.
    String absent = Kind.freshName("absent");
    assertTrue(client.shell("--readonly " + absent, "SELECT 1;").failed().contains("unable to"));
  }

  /**
   * One writer as fast as it can; replicas which are fresh, and as many with bounded staleness.
   * Their histories are judged afterwards: {@code bank.py} says how.
   */
  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB", "FDB"})
  void p6_p7_noReplicaEverSeesAMixtureOrMissesWhatWasAcknowledged(Kind kind) throws Exception {
    Client client = kind.client(folder);
    String database = Kind.freshName("bank");
    client.python("bank.py", "open", database).ok();
    List<Program> fresh = new ArrayList<>();
    List<Program> bounded = new ArrayList<>();
    try (Program writer = client.startPython("bank.py", "write", database, "writes")) {
      for (int i = 0; i < REPLICAS; i++) {
        fresh.add(reader(client, database, "", "fresh-" + i));
        bounded.add(reader(client, database, "&max_staleness_ms=" + STALENESS_MS, "bounded-" + i));
      }
      for (Program reader : fresh) {
        reader.readTo("reading");
      }
      for (Program reader : bounded) {
        reader.readTo("reading");
      }
      writer.readTo("writing");
      // Not a wait for something: this is how long it is tried.
      Thread.sleep(BANK_HOURS.toMillis());
      assertEquals("written\n", writer.finish().ok());
      for (Program reader : fresh) {
        assertEquals(
            "0", reader.finish().ok().strip().split(" ", -1)[1], "a fresh one that never asks");
      }
      long transactions = 0;
      long withoutRpc = 0;
      for (Program reader : bounded) {
        String[] counts = reader.finish().ok().strip().split(" ", -1);
        transactions += Long.parseLong(counts[0]);
        withoutRpc += Long.parseLong(counts[1]);
      }
      assertTrue(withoutRpc > 0, "none of " + transactions + " began without a round trip");
      System.out.printf(
          "%s, bounded: %d transactions, %d of them began without a round trip%n",
          kind, transactions, withoutRpc);
    } finally {
      for (Program reader : fresh) {
        reader.close();
      }
      for (Program reader : bounded) {
        reader.close();
      }
    }
    System.out.print(kind + ", fresh: " + judge(client, 0, "fresh-"));
    System.out.print(kind + ", bounded: " + judge(client, STALENESS_MS, "bounded-"));
  }

  private static Program reader(Client client, String database, String more, String history)
      throws Exception {
    return client.startPython("bank.py", "read", "file:" + database + "?mode=ro" + more, history);
  }

  private static String judge(Client client, int stalenessMs, String readers) throws Exception {
    List<String> arguments = new ArrayList<>(List.of("judge", "" + stalenessMs, "writes"));
    for (int i = 0; i < REPLICAS; i++) {
      arguments.add(readers + i);
    }
    return client.python("bank.py", arguments.toArray(new String[0])).ok();
  }
}
