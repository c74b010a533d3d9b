package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Programs other than the shell. */
class HostProgramTest {
  @TempDir Path folder;

  @Test
  void aProgramThatOnlyOpensTheLibrary() throws Exception {
    String program = CPrograms.compile(folder, "host", "-O1").toString();
    Client client = Kind.MEMORY.client(folder);
    String database = Kind.freshName("host");
    String library = Dist.library().toString();

    assertEquals("1\n", client.run("", program, library, database).ok());
    assertEquals("2\n", client.run("", program, library, database).ok());
    assertEquals("2\n", client.shell(database, "SELECT count(*) FROM t;").ok());
  }

  @Test
  void aForkedChildOpensAnewWhileTheParentGoesOn() throws Exception {
    assertEquals(
        "ok\n",
        Kind.ROCKSDB
            .client(folder)
            .python("fork.py", Kind.freshName("parent"), Kind.freshName("child"))
            .ok());
  }

  @Test
  void systemPython() throws Exception {
    Client client = Kind.MEMORY.client(folder);
    String database = "tenant-7/" + Kind.freshName("python");
    try (Program python = client.startPython("session.py", database)) {
      python.readTo("--");
      python.send("CREATE TABLE t (x)\nINSERT INTO t VALUES ('günstig')\nSELECT x FROM t\n");
      python.readTo("--");
      python.readTo("--");
      assertEquals("günstig\n", python.readTo("--"));
      python.finish().ok();
    }
    assertEquals("günstig\n", client.shell(database, "SELECT x FROM t;").ok());
  }
}
