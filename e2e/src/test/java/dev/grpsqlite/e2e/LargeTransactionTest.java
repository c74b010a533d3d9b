package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A transaction may be much larger than anybody's memory. */
class LargeTransactionTest {
  private static final int MEBIBYTES = 1024;
  private static final long MEBIBYTE = 1 << 20;
  private static final long MEMORY_LIMIT_BYTES = 600 * MEBIBYTE;
  private static final Duration LONG = Duration.ofMinutes(5);

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"ROCKSDB", "FDB"})
  void aGibibyteCommitsInBoundedMemoryAndIsInvisibleBefore(Kind kind) throws Exception {
    Path home = Folders.make("large");
    try (ServerProcess server = kind.startAsShipped(home, "--metrics-listen", "127.0.0.1:0")) {
      Client client = new Client(folder, server.url());
      try (Program writer = client.startPython("big.py", "big.db", "" + MEBIBYTES)) {
        writer.readTo("written", LONG);
        assertEquals(
            "0\n2\n", client.shell("big.db", "SELECT count(*) FROM big; PRAGMA page_count;").ok());
        writer.send("COMMIT\n");
        writer.readTo("done", LONG);
        assertBounded("client", writer.peakMemoryBytes());
        assertBounded("server", server.peakMemoryBytes());
        assertEquals("", writer.finish().ok());
      }
      assertEquals(
          MEBIBYTES + "|" + MEBIBYTES * MEBIBYTE + "\n",
          client.shell("big.db", "SELECT count(*), sum(length(content)) FROM big;").ok());
      assertBounded("server, after all was read", server.peakMemoryBytes());
      if (kind == Kind.FDB) {
        assertWithinLimitsOfFdb(server);
      }
    } finally {
      Folders.delete(home);
    }
  }

  @Test
  void rolledBackItLeavesNothingInTheStore() throws Exception {
    Path home = Folders.make("rolled-back");
    try (ServerProcess server = ServerProcess.rocksdbAsShipped(home)) {
      Client client = new Client(folder, server.url());
      try (Program writer = client.startPython("big.py", "big.db", "" + MEBIBYTES)) {
        writer.readTo("written", LONG);
        // Else it would not have been at the server, and this would show nothing.
        long staged = Folders.sizeBytes(home);
        assertTrue(staged > MEBIBYTES * MEBIBYTE * 3 / 4, staged + " bytes");
        writer.send("ROLLBACK\n");
        writer.readTo("done", LONG);
        assertEquals("", writer.finish().ok());
      }
      assertEquals("0\n", client.shell("big.db", "SELECT count(*) FROM big;").ok());
      Await.until(
          "the store to be small again",
          Duration.ofMinutes(1),
          () -> Folders.sizeBytes(home) < 64 * MEBIBYTE,
          () -> sizeBytesOrMinus(home) + " bytes are left");
    } finally {
      Folders.delete(home);
    }
  }

  /** FoundationDB's are 10 MB and 5 s. */
  private static void assertWithinLimitsOfFdb(ServerProcess server) throws Exception {
    double bytes = server.metric("grpsqlite_fdb_largest_transaction_bytes", "");
    assertTrue(bytes > 100_000 && bytes <= 9e6, "the largest transaction had " + bytes + " bytes");
    double seconds = server.metric("grpsqlite_fdb_longest_transaction_seconds", "");
    assertTrue(seconds > 0 && seconds <= 4, "the longest transaction took " + seconds + " s");
    System.out.println("largest transaction: " + bytes + " bytes; longest: " + seconds + " s");
  }

  private static void assertBounded(String who, long peakBytes) {
    assertTrue(peakBytes > MEBIBYTE, who + ": its peak was not measured");
    assertTrue(
        peakBytes < MEMORY_LIMIT_BYTES, who + ": the peak was " + peakBytes / MEBIBYTE + " MiB");
  }

  private static long sizeBytesOrMinus(Path folder) {
    try {
      return Folders.sizeBytes(folder);
    } catch (IOException e) {
      return -1;
    }
  }
}
