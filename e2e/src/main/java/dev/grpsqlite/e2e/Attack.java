package dev.grpsqlite.e2e;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;

/** A hostile client, {@code attacker.py}, and what there is to look at when it has gone. */
public final class Attack {
  private Attack() {}

  /**
   * Starts it.
   *
   * @param niceness how much of the processor it leaves to others, 19 at most
   * @param rate requests a second of each kind, at most
   */
  public static Program start(
      Client client, int niceness, int port, int seconds, int rate, String... kinds)
      throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                "/usr/bin/nice",
                "-n",
                "" + niceness,
                "/usr/bin/python3",
                "-B",
                Dist.root().resolve("e2e/src/main/python/attacker.py").toString(),
                "" + port,
                // Another machine has another address.
                "127.0.0.2",
                "" + seconds,
                "" + rate));
    command.addAll(List.of(kinds));
    return client.start(command.toArray(new String[0]));
  }

  /** Bytes that live in a JVM, after a full collection. */
  public static long liveHeapBytes(long pid) throws Exception {
    Process jcmd =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "jcmd").toString(),
                "" + pid,
                "GC.class_histogram")
            .redirectErrorStream(true)
            .start();
    String histogram = new String(jcmd.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    String total =
        histogram
            .lines()
            .filter(line -> line.startsWith("Total"))
            .findFirst()
            .orElseThrow(() -> new IOException("jcmd said: " + histogram));
    return Long.parseLong(total.trim().split("\\s+", -1)[2]);
  }

  /** Bytes of the files in a folder, those aside that go away meanwhile. */
  public static long folderBytes(Path folder) throws IOException {
    long[] bytes = new long[1];
    if (!Files.exists(folder)) {
      return 0;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            bytes[0] += attributes.size();
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException e) {
            return FileVisitResult.CONTINUE;
          }
        });
    return bytes[0];
  }
}
