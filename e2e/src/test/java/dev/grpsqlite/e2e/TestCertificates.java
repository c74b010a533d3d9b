package dev.grpsqlite.e2e;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Authorities and certificates of theirs, made by {@code openssl} in one folder. */
final class TestCertificates {
  private final Path folder;

  TestCertificates(Path folder) {
    this.folder = folder;
  }

  Path certificate(String name) {
    return folder.resolve(name + ".pem");
  }

  Path key(String name) {
    return folder.resolve(name + ".key");
  }

  void authority(String name) throws Exception {
    List<String> command = request(name);
    command.addAll(List.of("-x509", "-days", "2", "-out", certificate(name).toString()));
    openssl(command);
  }

  /**
   * Makes a certificate.
   *
   * @param alternativeName as openssl wants it; empty for none
   */
  void issue(String authority, String name, String alternativeName) throws Exception {
    issue(authority, name, alternativeName, 2);
  }

  /** As {@link #issue}, one that expired a day ago. */
  void issueExpired(String authority, String name, String alternativeName) throws Exception {
    issue(authority, name, alternativeName, -1);
  }

  private void issue(String authority, String name, String alternativeName, int days)
      throws Exception {
    Path signingRequest = folder.resolve(name + ".csr");
    List<String> command = request(name);
    command.addAll(List.of("-out", signingRequest.toString()));
    openssl(command);
    Path extensions = folder.resolve(name + ".ext");
    Files.writeString(
        extensions, alternativeName.isEmpty() ? "" : "subjectAltName=" + alternativeName + "\n");
    openssl(
        List.of(
            "x509",
            "-req",
            "-in",
            signingRequest.toString(),
            "-CA",
            certificate(authority).toString(),
            "-CAkey",
            key(authority).toString(),
            "-CAcreateserial",
            "-days",
            Integer.toString(days),
            "-extfile",
            extensions.toString(),
            "-out",
            certificate(name).toString()));
  }

  private List<String> request(String name) {
    return new ArrayList<>(
        List.of(
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            key(name).toString(),
            "-subj",
            "/CN=" + name));
  }

  private static void openssl(List<String> arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add("openssl");
    command.addAll(arguments);
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(1, TimeUnit.MINUTES) || process.exitValue() != 0) {
      throw new AssertionError(command + ": " + output);
    }
  }
}
