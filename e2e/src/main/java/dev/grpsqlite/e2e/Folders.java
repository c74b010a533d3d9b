package dev.grpsqlite.e2e;

import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Folders below the build's: a temporary folder of the system may be memory. */
public final class Folders {
  private Folders() {}

  /** An empty folder; who made it deletes it, or leaves it to be looked at. */
  public static Path make(String what) throws IOException {
    Path parent = Files.createDirectories(Dist.root().resolve("e2e/target/e2e"));
    return Files.createTempDirectory(parent, what + "-");
  }

  /** What the files below a folder have; a server may be deleting some of them. */
  public static long sizeBytes(Path folder) throws IOException {
    AtomicLong total = new AtomicLong();
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
            total.addAndGet(attributes.size());
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFileFailed(Path file, IOException e) {
            return FileVisitResult.CONTINUE; // deleted meanwhile
          }
        });
    return total.get();
  }

  /** With all that is in it. Nobody may be writing there. */
  public static void delete(Path folder) throws IOException {
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path directory, @Nullable IOException e)
              throws IOException {
            Files.delete(directory);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
