package dev.grpsqlite.server.auth;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
class PeerCertificateTest {
  private static final String PASSWORD = "changeit";

  @TempDir Path folder = Path.of("");

  /** A certificate that is its own authority. */
  private X509Certificate make(String name, String... more) throws Exception {
    Path store = folder.resolve(name + ".p12");
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                name,
                "-keyalg",
                "EC",
                "-dname",
                "CN=" + name + ", O=Test",
                "-storepass",
                PASSWORD,
                "-keystore",
                store.toString()));
    command.addAll(List.of(more));
    Process keytool =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start();
    if (!keytool.waitFor(1, TimeUnit.MINUTES) || keytool.exitValue() != 0) {
      throw new AssertionError(command + " failed");
    }
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD.toCharArray());
    }
    return (X509Certificate) keys.getCertificate(name);
  }

  private static byte[] pem(X509Certificate certificate) throws Exception {
    String base64 =
        Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(certificate.getEncoded());
    return ("-----BEGIN CERTIFICATE-----\n" + base64 + "\n-----END CERTIFICATE-----\n")
        .getBytes(StandardCharsets.US_ASCII);
  }

  private static void refused(PeerCertificate peer) {
    assertEquals(
        AccessException.Code.BAD_TOKEN, assertThrows(AccessException.class, peer::identity).code());
  }

  @Test
  void aUriComesBeforeADnsNameAndThatBeforeTheCommonName() throws Exception {
    assertEquals("alice", PeerCertificate.identity(make("alice")));
    assertEquals(
        "host.example", PeerCertificate.identity(make("bob", "-ext", "san=dns:host.example")));
    assertEquals(
        "spiffe://example/c",
        PeerCertificate.identity(
            make("carol", "-ext", "san=dns:host.example,uri:spiffe://example/c")));
  }

  @Test
  void itIsGoodUntilItEndsOrItsAuthorityIsTrustedNoMore() throws Exception {
    X509Certificate alice = make("alice");
    X509Certificate old = make("old", "-startdate", "-3d", "-validity", "1");
    ClientAuthority authority = new ClientAuthority(pem(alice));
    PeerCertificate peer = new PeerCertificate(authority, new X509Certificate[] {alice});
    assertEquals("alice", peer.identity());
    refused(new PeerCertificate(authority, new X509Certificate[0]));
    authority.replace(pem(old));
    refused(peer);
    refused(new PeerCertificate(authority, new X509Certificate[] {old}));
    authority.replace(pem(alice));
    assertEquals("alice", peer.identity());
    assertThrows(PemException.class, () -> authority.replace(new byte[] {1}));
    assertEquals("alice", peer.identity());
  }
}
