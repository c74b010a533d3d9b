package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Readers that begin transactions without asking see what was committed before all the same (P7).
 */
class ReadDelegationTest {
  private static final int DATABASES = 12;
  private static final int NOBODY_WRITES_MS = 1100;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB"})
  void whatIsAcknowledgedIsSeenAtOnce(Kind kind) throws Exception {
    Path home = Folders.make("delegations");
    try (ServerProcess server = kind.startAsShipped(home, "--metrics-listen", "127.0.0.1:0")) {
      Client client = new Client(folder, server.url());
      List<Session> readers = new ArrayList<>();
      List<Session> writers = new ArrayList<>();
      try {
        for (int i = 0; i < DATABASES; i++) {
          client.shell(name(i), "CREATE TABLE t (a)").ok();
          readers.add(Session.open(client, name(i)));
          writers.add(Session.open(client, name(i)));
        }
        Thread.sleep(NOBODY_WRITES_MS);
        for (int i = 0; i < DATABASES; i++) {
          Session reader = readers.get(i);
          Session writer = writers.get(i);
          assertEquals("0\n", reader.answer("SELECT count(*) FROM t"));
          // The reader's is given now; the writer's part in it waits until it is over.
          assertEquals("", writer.answer("INSERT INTO t VALUES (1)"));
          assertEquals("1\n", reader.answer("SELECT count(*) FROM t"));
          assertEquals("", writer.answer("INSERT INTO t VALUES (2)"));
          assertEquals("2\n", reader.answer("SELECT count(*) FROM t"));
        }
        // Else this has shown nothing.
        double waits = server.metric("grpsqlite_read_delegation_waits_total", "");
        assertTrue(waits >= DATABASES / 2, waits + " writers had to wait");
      } finally {
        for (Session session : readers) {
          session.close();
        }
        for (Session session : writers) {
          session.close();
        }
      }
    } finally {
      Folders.delete(home);
    }
  }

  private static String name(int number) {
    return "tenant-" + number + ".db";
  }
}
