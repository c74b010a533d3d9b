package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code dist/bin/grpsqlite-conformance} as it is shipped. */
@Timeout(180)
class ConformanceKitTest {
  @TempDir Path folder;

  @Test
  void aServerOfOursKeepsTheRulesWithinTwoMinutes() throws Exception {
    Path xml = folder.resolve("results.xml");
    long start = System.nanoTime();
    try (ServerProcess server = Kind.ROCKSDB.start(folder, "--session-ttl-ms", "5000")) {
      Finished run = run("--target", "127.0.0.1:" + server.port(), "--junit-xml", xml.toString());
      String notKept = run.out().replaceAll("(?m)^(ok|-) .*\n", "");
      assertEquals(0, run.exit(), run.err() + notKept);
      assertTrue(notKept.contains(" passed, 0 failed"), notKept);
    }
    assertTrue(System.nanoTime() - start < 120_000_000_000L);
    assertTrue(Files.readString(xml).contains("name=\"PAGE-53\""), "the results as XML");
  }

  @Test
  void aTokenAndTlsFilesSayWhoWeAre() throws Exception {
    TestCertificates certificates = new TestCertificates(folder);
    certificates.authority("authority");
    certificates.issue("authority", "server", "IP:127.0.0.1");
    Path rules = folder.resolve("rules");
    byte[] hash = MessageDigest.getInstance("SHA-256").digest("s".getBytes(StandardCharsets.UTF_8));
    Files.writeString(
        rules, "token " + HexFormat.of().formatHex(hash) + " kit\nallow kit admin **\n");
    try (ServerProcess server =
        Kind.MEMORY.start(
            folder,
            "--tokens-file",
            rules.toString(),
            "--tls-cert",
            certificates.certificate("server").toString(),
            "--tls-key",
            certificates.key("server").toString())) {
      List<String> command =
          List.of(
              "--target",
              "127.0.0.1:" + server.port(),
              "--tls-ca",
              certificates.certificate("authority").toString(),
              "--rules",
              "FILE-02,PAGE-50,ADMIN-02",
              "--token");
      Finished known = run(with(command, "s"));
      assertEquals(0, known.exit(), known.toString());
      assertTrue(known.out().contains("3 passed, 0 failed"), known.toString());
      Finished stranger = run(with(command, "t"));
      assertEquals(3, stranger.exit(), stranger.toString());
      assertTrue(stranger.err().contains("UNAUTHENTICATED"), stranger.toString());
    }
  }

  private static String[] with(List<String> arguments, String last) {
    List<String> all = new ArrayList<>(arguments);
    all.add(last);
    return all.toArray(new String[0]);
  }

  private Finished run(String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(List.of(Dist.server("grpsqlite-conformance").toString()));
    command.addAll(List.of(arguments));
    try (Program program = Program.start(folder, Map.of(), command)) {
      return program.finish();
    }
  }
}
