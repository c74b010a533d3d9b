package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** P1 whatever the application sets: journal_mode × synchronous × locking_mode × cache_size. */
class SettingsMatrixTest {
  private static final int KILLS = 400;

  @TempDir Path folder;

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void p1_committedIsThereAndRolledBackIsNot(Kind kind) throws Exception {
    assertEquals(
        "80 combinations\n",
        kind.client(folder).python("matrix.py", "transactions", Kind.freshName("matrix")).ok());
  }

  @ParameterizedTest
  @EnumSource(names = {"ROCKSDB", "FDB"})
  void p1_aKilledClientLeavesTheStateBeforeOrAfter(Kind kind) throws Exception {
    long seed = Long.getLong("grpsqlite.seed", new Random().nextInt(Integer.MAX_VALUE));
    Finished run =
        kind.client(folder)
            .python("matrix.py", "kills", Kind.freshName("k"), "" + KILLS, "" + seed);
    Kills.assertBothOutcomes(run, KILLS, "-Dgrpsqlite.seed=" + seed);
  }

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "ROCKSDB", "FDB"})
  void walLeavesTheModeAsItWas(Kind kind) throws Exception {
    for (String locking : new String[] {"normal", "exclusive"}) {
      String database = Kind.freshName("wal");
      assertEquals(
          locking + "\ndelete\ndelete\npersist\npersist\n1\n",
          kind.client(folder)
              .shell(
                  database,
                  "PRAGMA locking_mode="
                      + locking
                      + "; PRAGMA journal_mode=wal; PRAGMA journal_mode; PRAGMA"
                      + " journal_mode=persist; CREATE TABLE t (x); PRAGMA journal_mode=wal;"
                      + " INSERT INTO t VALUES (1); SELECT * FROM t;\n")
              .ok());
      assertEquals("1\n", kind.client(folder).shell(database, "SELECT * FROM t;").ok());
    }
  }

  @Test
  void withoutAtomicBatchesWalWorksUnderAnExclusiveLock() throws Exception {
    String database = Kind.freshName("wal");
    Client client = Kind.FILES_NOT_ATOMIC.client(folder);
    assertEquals(
        "exclusive\nwal\n100\n",
        client
            .shell(
                database,
                "PRAGMA locking_mode=exclusive; PRAGMA journal_mode=wal; CREATE TABLE t (x);"
                    + " INSERT INTO t SELECT randomblob(500) FROM generate_series(1, 100);"
                    + " SELECT count(*) FROM t;\n")
            .ok());
    assertEquals(
        "exclusive\n100\nok\n",
        client
            .shell(
                database,
                "PRAGMA locking_mode=exclusive; SELECT count(*) FROM t; PRAGMA integrity_check;\n")
            .ok());
  }
}
