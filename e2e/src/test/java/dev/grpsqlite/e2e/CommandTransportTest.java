package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code grpsqlite} over what else there is than plain TCP, and on a terminal. */
@Timeout(180)
class CommandTransportTest {
  private static final String ROWS =
      "CREATE TABLE t (i, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
          + " WHERE i < %d) INSERT INTO t SELECT i, randomblob(3000) FROM n;";

  @TempDir Path folder;

  private Path source(Client client, int rows) throws Exception {
    Path source = folder.resolve("source.db");
    client.localShell(source, ROWS.formatted(rows)).ok();
    return source;
  }

  private void assertThereAndBack(Client client, Path source) throws Exception {
    Path copy = folder.resolve("copy.db");
    client.command("import", source.toString(), "main.db").ok();
    client.command("export", "main.db", copy.toString()).ok();
    assertEquals(-1, Files.mismatch(source, copy));
  }

  @Test
  void anImportAndAnExportOverTlsWithCertificatesOnBothSides() throws Exception {
    TestCertificates made = new TestCertificates(folder);
    made.authority("ca");
    made.issue("ca", "server", "IP:127.0.0.1");
    made.issue("ca", "alice", "");
    String authority = made.certificate("ca").toString();
    try (ServerProcess server =
        ServerProcess.memory(
            folder,
            "--tls-cert",
            made.certificate("server").toString(),
            "--tls-key",
            made.key("server").toString(),
            "--tls-client-ca",
            authority)) {
      Client nobody = new Client(folder, "https://127.0.0.1:" + server.port());
      Path source = source(nobody, 1500);
      assertThereAndBack(
          nobody
              .with("GRPSQLITE_CA_FILE", authority)
              .with("GRPSQLITE_CERT_FILE", made.certificate("alice").toString())
              .with("GRPSQLITE_KEY_FILE", made.key("alice").toString()),
          source);
      Finished refused = nobody.command("ls");
      assertEquals(1, refused.exit(), refused.toString());
      assertTrue(refused.err().contains("certificate is not trusted"), refused.toString());
      assertTrue(refused.err().contains("GRPSQLITE_CA_FILE"), refused.toString());
    }
  }

  @Test
  void anImportAndAnExportThroughAUnixSocket() throws Exception {
    Path socket = folder.resolve("socket");
    try (ServerProcess server = ServerProcess.memory(folder, "--listen", "unix:" + socket)) {
      Client client = new Client(folder, "unix:" + socket);
      assertThereAndBack(client, source(client, 1500));
      assertTrue(server.isAlive());
    }
  }

  @Test
  void theProgressOfAnImportIsShownOnATerminalAndNowhereElse() throws Exception {
    Client client = Kind.ROCKSDB.client(folder);
    Path source = source(client, 60 * 350);
    String command = Dist.command() + " import --replace " + source + " progress.db";
    String shown = client.run("", "script", "-qec", command, "/dev/null").ok();
    assertTrue(shown.contains("importing ["), shown);
    assertTrue(shown.contains("\u001b[Kprogress.db: "), shown); // where the bar was
    Path copy = folder.resolve("copy.db");
    String export = Dist.command() + " export progress.db " + copy;
    shown = client.run("", "script", "-qec", export, "/dev/null").ok();
    assertTrue(shown.contains("\u001b[K" + copy), shown);
    Finished plain = client.command("import", "--replace", source.toString(), "progress.db");
    assertFalse((plain.ok() + plain.err()).contains("importing ["), plain.toString());
  }

  @Test
  void aTerminalIsShownNoNameThatItWouldObey() throws Exception {
    Client client = Kind.ROCKSDB.client(folder);
    String name = Kind.freshName("bell\u0007\n");
    client.command("shell", name, "CREATE TABLE t (x);").ok();
    String command = Dist.command() + " ls bell";
    String shown = client.run("", "script", "-qec", command, "/dev/null").ok();
    assertTrue(shown.contains(name.replace("\u0007\n", "\\u0007\\u000a")), shown);
  }

  @Test
  void whatAServerCannotCopyAtOneVersionIsNotExported() throws Exception {
    Client client = Kind.FILES_NOT_ATOMIC.client(folder);
    String name = Kind.freshName("files");
    client.shell(name, "CREATE TABLE t (x); INSERT INTO t VALUES (1);").ok();
    Finished refused = client.command("export", name, folder.resolve("copy.db").toString());
    assertEquals(8, refused.exit(), refused.toString());
    assertTrue(refused.err().contains("without reads at a point in time"), refused.toString());
    assertFalse(Files.exists(folder.resolve("copy.db")));
  }
}
