package dev.grpsqlite.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of the file that is exported to. */
class TargetFileTest {
  private static final byte[] CONTENT = {1, 2, 3};

  @TempDir Path folder;

  private static void write(Path file, boolean replace) throws IOException {
    try (TargetFile target = TargetFile.create(file, replace)) {
      target.write(CONTENT, CONTENT.length, 0);
      target.finish(replace);
    }
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
    }
  }

  @Test
  void whoMayReadItStaysAsItWas() throws Exception {
    for (String permissions : List.of("rw-------", "rw-rw-rw-", "r--r-----")) {
      Path file = folder.resolve(permissions);
      Files.createFile(file);
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(permissions));
      write(file, true);
      assertEquals(CONTENT.length, Files.size(file));
      assertEquals(permissions, PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
    }
  }

  @Test
  void whatALinkLeadsToIsReplaced() throws Exception {
    Path other = Files.createDirectory(folder.resolve("other"));
    Path file = Files.createFile(other.resolve("file"));
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("other/file"));
    write(link, true);
    assertTrue(Files.isSymbolicLink(link));
    assertEquals(CONTENT.length, Files.size(file));
  }

  @Test
  void aLinkThatLeadsNowhereStays() throws Exception {
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("nowhere"));
    assertEquals(Kind.USAGE, assertThrows(Refusal.class, () -> write(link, true)).kind());
    assertTrue(Files.isSymbolicLink(link));
  }

  @Test
  void itsNameMayBeAsLongAsAnotherFiles() throws Exception {
    List<String> longest =
        List.of("n".repeat(255), "\u00fc".repeat(127), "\ud83d\ude00".repeat(63));
    for (String name : longest) {
      write(folder.resolve(name), false);
    }
    assertEquals(longest.stream().sorted().toList(), names());
  }

  @Test
  void aFolderThatIsMissingIsNamed() {
    Path missing = folder.resolve("missing");
    Refusal wrong = assertThrows(Refusal.class, () -> write(missing.resolve("file"), false));
    assertEquals(Kind.NOT_FOUND, wrong.kind());
    assertEquals("there is no folder " + missing, wrong.getMessage());
  }

  /** As when the disk is full: Java says no more of it than that. */
  @Test
  void whatCannotBeWrittenIsNamed() throws Exception {
    Path file = folder.resolve("file");
    TargetFile target = TargetFile.create(file, false);
    target.close();
    FileSystemException wrong =
        assertThrows(FileSystemException.class, () -> target.write(CONTENT, CONTENT.length, 0));
    assertEquals(file.toString(), wrong.getFile());
    assertEquals(List.of(), names());
  }
}
