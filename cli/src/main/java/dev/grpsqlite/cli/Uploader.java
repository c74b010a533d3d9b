package dev.grpsqlite.cli;

import com.google.protobuf.ByteString;
import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.Upload.Handover;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Sends a large file by a program in C, {@code lib/grpsqlite_upload}, which says what it is told.
 * The few seconds that this takes are too short for Java: most of them would go to its compiler and
 * to what is not compiled yet. The session, the lease and the commit stay here; if this process
 * ends, the program does as soon as it has something to tell.
 */
final class Uploader {
  /** Of less, the start of a program is too large a part. */
  static final long LEAST_BYTES = 8 << 20;

  /** Of gRPC's codes. */
  private static final int LAST_STATUS = 16;

  private static final int UNKNOWN = 2;

  private final Path program;
  private final Map<String, String> settings;

  private Uploader(Path program, Map<String, String> settings) {
    this.program = program;
    this.settings = settings;
  }

  /**
   * Says how to send a file, if it is one for the program.
   *
   * @param settings as the extension has them
   */
  static Optional<Uploader> of(SourceFile source, Map<String, String> settings) {
    return source.bytes() < LEAST_BYTES || source.hasLog() || trustsAsJavaDoes(settings)
        ? Optional.empty()
        : Home.uploader().map(program -> new Uploader(program, settings));
  }

  /** Whose authorities are Java's own, which the program does not know. */
  private static boolean trustsAsJavaDoes(Map<String, String> settings) {
    return settings.getOrDefault("GRPSQLITE_URL", "").contains("https:")
        && !settings.containsKey("GRPSQLITE_CA_FILE");
  }

  /** Returns when the server has all of it. */
  void send(SourceFile source, Handover upload, Progress progress)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        new ProcessBuilder(List.of(program.toString()))
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    Map<String, String> environment = builder.environment();
    environment.putAll(settings);
    environment.put("GRPSQLITE_URL", upload.urls());
    environment.put("GRPSQLITE_UPLOAD_FILE", source.path().toString());
    environment.put(
        "GRPSQLITE_UPLOAD",
        "%s %s %s %d %d %d %d %d %d %d"
            .formatted(
                hex(upload.session()),
                hex(upload.database()),
                hex(upload.stage()),
                upload.epoch(),
                upload.pageSize(),
                source.pageCount(),
                upload.maxMessageBytes(),
                upload.timeoutMs(),
                source.device(),
                source.inode()));
    Process process = builder.start();
    try (BufferedReader said =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      follow(said, progress);
    } finally {
      process.destroyForcibly();
      process.waitFor();
    }
  }

  private static String hex(ByteString id) {
    return HexFormat.of().formatHex(id.toByteArray());
  }

  private static void follow(BufferedReader said, Progress progress) throws IOException {
    for (String line = said.readLine(); line != null; line = said.readLine()) {
      String[] words = line.split(" ", 4);
      if (words[0].equals("sent") && words.length == 2) {
        progress.add(Long.parseLong(words[1]));
      } else if (words[0].equals("done")) {
        return;
      } else if (words[0].equals("failed") && words.length == 4) {
        throw failure(Integer.parseInt(words[1]), words[2].replace("-", ""), words[3]);
      }
    }
    throw new Refusal(
        Kind.FAILED, "the program that sent the file ended in the middle; nothing was done");
  }

  /** Codes above those of gRPC are of the program itself. */
  private static RuntimeException failure(int code, String reason, String message) {
    return code > LAST_STATUS || (code == UNKNOWN && reason.isEmpty())
        ? new Refusal(Kind.FAILED, message)
        : RemoteException.relayed(code, reason, message);
  }
}
