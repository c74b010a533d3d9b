package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tokens, TLS and certificates, between a stock shell and a server. */
@Timeout(180)
class SecurityTest {
  private static final Duration RELOAD = Duration.ofSeconds(30);

  @TempDir Path folder;

  private Path rules(String... lines) throws Exception {
    return replace(folder.resolve("rules"), String.join("\n", lines) + "\n");
  }

  /** As a careful operator does: by another file of that name. */
  private Path replace(Path file, String content) throws Exception {
    Path other = Files.writeString(folder.resolve("new"), content);
    return Files.move(other, file, StandardCopyOption.ATOMIC_MOVE);
  }

  private static String token(String token, String identity) throws Exception {
    byte[] hash =
        MessageDigest.getInstance("SHA-256").digest(token.getBytes(StandardCharsets.UTF_8));
    return "token " + HexFormat.of().formatHex(hash) + " " + identity;
  }

  @ParameterizedTest
  @ValueSource(strings = {"page,file", "file"})
  void aTokenOpensWhatItsRulesAllow(String services) throws Exception {
    Path rules =
        rules(
            token("a-secret", "alice"),
            token("r-secret", "reader"),
            "allow alice write tenant-7/**",
            "allow reader read tenant-7/**",
            "quota tenant-7/small.db database-bytes=40960");
    // The file service knows the last component of a name alone.
    String name = services.equals("file") ? "main.db" : "tenant-7/main.db";
    if (services.equals("file")) {
      rules(
          token("a-secret", "alice"),
          token("r-secret", "reader"),
          "allow alice write main.db",
          "allow reader read main.db");
    }
    try (ServerProcess server =
        ServerProcess.versioned(
            folder, "--services", services, "--tokens-file", rules.toString())) {
      Client nobody = new Client(folder, server.url());
      Client alice = nobody.with("GRPSQLITE_TOKEN", "a-secret");
      Client reader = nobody.with("GRPSQLITE_TOKEN", "r-secret");

      alice.shell(name, "CREATE TABLE t (x); INSERT INTO t VALUES (7);").ok();
      assertEquals("7\n", alice.shell(name, "SELECT x FROM t;").ok());
      assertEquals(
          "7\n", nobody.shell("file:" + name + "?token=a-secret", "SELECT x FROM t;").ok());

      assertRefused(nobody, name, "the server asks for a token, and there is none");
      assertRefused(
          nobody.with("GRPSQLITE_TOKEN", "x"), name, "the server does not know the token");
      assertRefused(alice, "tenant-8.db", "alice may not read tenant-8.db");

      Finished written = reader.shell(name, "SELECT x FROM t; INSERT INTO t VALUES (8);");
      assertEquals("7\n", written.out());
      assertTrue(
          written.err().contains("attempt to write a readonly database"), written.toString());
      assertEquals("7\n", alice.shell(name, "SELECT x FROM t;").ok());
    }
  }

  /** A shell shows what the extension says of an error in its log. */
  private static void assertRefused(Client client, String name, String why) throws Exception {
    String text =
        client
            .run(
                ".log stderr\n.load " + Dist.library() + "\n.open " + name + "\nSELECT * FROM t;\n",
                "sqlite3",
                "-batch")
            .failed();
    assertTrue(text.contains(why), text);
  }

  @Test
  void aRevokedTokenIsGoodForNothingMoreAlsoWhereItIsInUse() throws Exception {
    String alice = token("a-secret", "alice");
    String bob = token("b-secret", "bob");
    Path rules = rules(alice, bob, "allow alice write **", "allow bob write **");
    try (ServerProcess server = ServerProcess.memory(folder, "--tokens-file", rules.toString());
        Program shell =
            new Client(folder, server.url())
                .with("GRPSQLITE_TOKEN", "a-secret")
                .openShell("main.db")) {
      shell.send("CREATE TABLE t (x);\n.print made\n");
      shell.readTo("made");
      rules("no rule at all");
      Await.until(
          "the bad file to be refused",
          RELOAD,
          () -> server.log().contains("line 1: a rule begins with"),
          server::log);
      shell.send("INSERT INTO t VALUES (1);\n.print still\n");
      shell.readTo("still");
      rules(bob, "allow bob write **");
      Await.until(
          "the token to be revoked",
          RELOAD,
          () -> {
            shell.send("INSERT INTO t VALUES (2);\n.print tried\n");
            shell.readTo("tried");
            return shell.errors().contains("error near line");
          },
          server::log);
      String count = "SELECT count(*) FROM t WHERE x = 1;";
      Client other = new Client(folder, server.url()).with("GRPSQLITE_TOKEN", "b-secret");
      assertEquals("1\n", other.shell("main.db", count).ok());
    }
  }

  @Test
  void aQuotaIsAFullDisk() throws Exception {
    Path rules = rules("quota small.db database-bytes=40960", "allow a write **", token("s", "a"));
    try (ServerProcess server = ServerProcess.rocksdb(folder, "--tokens-file", rules.toString())) {
      Client client = new Client(folder, server.url()).with("GRPSQLITE_TOKEN", "s");
      client.shell("small.db", "CREATE TABLE t (x); INSERT INTO t VALUES (1);").ok();
      Finished full = client.shell("small.db", "INSERT INTO t VALUES (randomblob(100000));");
      assertTrue(full.failed().contains("full"), full.toString());
      assertEquals(
          "1\nok\n",
          client.shell("small.db", "SELECT count(*) FROM t; PRAGMA integrity_check;").ok());
    }
  }

  @Test
  void tlsWithCertificatesOnBothSidesRenewedUnderAWriter() throws Exception {
    TestCertificates made = new TestCertificates(folder);
    made.authority("old-ca");
    made.authority("new-ca");
    made.authority("client-ca");
    made.issue("old-ca", "server", "IP:127.0.0.1");
    made.issue("new-ca", "renewed", "IP:127.0.0.1");
    made.issue("client-ca", "alice", "");
    made.issue("client-ca", "service", "URI:spiffe://example/reader,DNS:other");
    made.issue("old-ca", "mallory", "");
    Path rules = rules("allow alice write **", "allow spiffe://example/reader read **");
    try (ServerProcess server =
        ServerProcess.memory(
            folder,
            "--tokens-file",
            rules.toString(),
            "--tls-cert",
            made.certificate("server").toString(),
            "--tls-key",
            made.key("server").toString(),
            "--tls-client-ca",
            made.certificate("client-ca").toString())) {
      Client nobody = new Client(folder, "https://127.0.0.1:" + server.port());
      Client trusting = nobody.with("GRPSQLITE_CA_FILE", made.certificate("old-ca").toString());
      Client alice = as(trusting, made, "alice");
      alice.shell("main.db", "CREATE TABLE t (x); INSERT INTO t VALUES (7);").ok();
      Client reader = as(trusting, made, "service");
      assertEquals("7\n", reader.shell("main.db", "SELECT x FROM t;").ok());
      assertTrue(
          reader.shell("main.db", "INSERT INTO t VALUES (1);").failed().contains("readonly"));

      assertRefused(as(nobody, made, "alice"), "main.db", "is not accepted");
      assertRefused(trusting, "main.db", "wants a client certificate");
      assertRefused(
          as(trusting, made, "mallory"), "main.db", "does not accept this client's certificate");

      try (Program writer = alice.openShell("main.db")) {
        writer.send("INSERT INTO t VALUES (8);\n.print before\n");
        writer.readTo("before");
        replace(made.certificate("server"), Files.readString(made.certificate("renewed")));
        replace(made.key("server"), Files.readString(made.key("renewed")));
        Client renewed =
            as(
                nobody.with("GRPSQLITE_CA_FILE", made.certificate("new-ca").toString()),
                made,
                "alice");
        Await.until(
            "the renewed certificate",
            RELOAD,
            () -> renewed.shell("main.db", "SELECT count(*) FROM t;").exit() == 0,
            server::log);
        writer.send("INSERT INTO t VALUES (9); SELECT count(*) FROM t;\n");
        assertEquals("3\n", writer.finish().ok());
      }
    }
  }

  @Test
  void expiredCertificatesAreRefusedAndTheReasonIsSaid() throws Exception {
    TestCertificates made = new TestCertificates(folder);
    made.authority("ca");
    made.issue("ca", "server", "IP:127.0.0.1");
    made.issueExpired("ca", "old-server", "IP:127.0.0.1");
    made.issue("ca", "alice", "");
    made.issueExpired("ca", "old-alice", "");
    String authority = made.certificate("ca").toString();
    try (ServerProcess server = serverWith(made, "server", "--tls-client-ca", authority)) {
      Client anyone =
          new Client(folder, "https://127.0.0.1:" + server.port())
              .with("GRPSQLITE_CA_FILE", authority);
      as(anyone, made, "alice").shell("main.db", "CREATE TABLE t (x);").ok();
      Client expired = as(anyone, made, "old-alice");
      assertRefused(expired, "main.db", "(23) grpsqlite: "); // SQLITE_AUTH
      assertRefused(expired, "main.db", "that of cert_file has expired");
    }
    // Who is not asked for it may have any.
    try (ServerProcess server = serverWith(made, "server")) {
      Client anyone =
          new Client(folder, "https://127.0.0.1:" + server.port())
              .with("GRPSQLITE_CA_FILE", authority);
      as(anyone, made, "old-alice").shell("main.db", "CREATE TABLE t (x);").ok();
    }
    try (ServerProcess server = serverWith(made, "old-server")) {
      Client anyone =
          new Client(folder, "https://127.0.0.1:" + server.port())
              .with("GRPSQLITE_CA_FILE", authority);
      assertRefused(anyone, "main.db", "(14) grpsqlite: "); // SQLITE_CANTOPEN
      assertRefused(anyone, "main.db", "is not accepted (certificate has expired)");
    }
  }

  private ServerProcess serverWith(TestCertificates made, String name, String... more)
      throws Exception {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--tls-cert",
                made.certificate(name).toString(),
                "--tls-key",
                made.key(name).toString()));
    arguments.addAll(List.of(more));
    return ServerProcess.memory(folder, arguments.toArray(new String[0]));
  }

  private static Client as(Client client, TestCertificates made, String name) {
    return client
        .with("GRPSQLITE_CERT_FILE", made.certificate(name).toString())
        .with("GRPSQLITE_KEY_FILE", made.key(name).toString());
  }
}
