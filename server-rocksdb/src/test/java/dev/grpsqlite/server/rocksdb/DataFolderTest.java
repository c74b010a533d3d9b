package dev.grpsqlite.server.rocksdb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.grpsqlite.server.contract.TestPages;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which folders are refused, and in which words. */
class DataFolderTest {
  @TempDir Path parent = Path.of("");

  private Path folder = Path.of("");

  @BeforeEach
  void nameFolder() {
    folder = parent.resolve("data");
  }

  private String refusal() {
    StoreOpenException refusal =
        assertThrows(StoreOpenException.class, () -> TestStores.open(folder).close());
    String prefix = "cannot use " + folder.toAbsolutePath() + " as data folder: ";
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.startsWith(prefix), message);
    assertTrue(message.indexOf('\n') < 0, message);
    return message.substring(prefix.length());
  }

  private void make() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      new TestWriter(store, "a").commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, 1));
    }
  }

  @Test
  void aFolderIsMadeWithItsParentsAndOpenedAgain() throws Exception {
    folder = parent.resolve("not/there/yet");
    make();
    try (RocksPageStore store = TestStores.open(folder)) {
      assertEquals(1, new TestWriter(store, "a").head());
    }
  }

  @Test
  void theRootOfAFileSystemIsEmpty() throws Exception {
    Files.createDirectories(folder.resolve("lost+found"));
    make();
  }

  @Test
  void makingItIsTakenUpAgainIfItWasInterrupted() throws Exception {
    make();
    Files.move(folder.resolve("format"), folder.resolve("format.new"));
    TestStores.open(folder).close();
    assertTrue(Files.exists(folder.resolve("format")));
  }

  @Test
  void aFileIsRefused() throws Exception {
    Files.writeString(folder, "x");
    assertEquals("it is not a folder; name a folder, or one that does not exist yet", refusal());
  }

  @Test
  void aForeignFolderIsRefusedAndLeftAlone() throws Exception {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("thesis.tex"), "x");
    assertEquals(
        "it holds files that are not this server's; name an empty folder or one that"
            + " rocksdb-server made",
        refusal());
    assertEquals(List.of("thesis.tex"), names());
  }

  @Test
  void aFolderInUseIsRefused() throws Exception {
    try (RocksPageStore store = TestStores.open(folder)) {
      assertEquals(
          "another process uses it; stop that one first, or name another folder", refusal());
      new TestWriter(store, "still fine").commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, 1));
    }
    TestStores.open(folder).close();
  }

  @Test
  void aNewerLayoutIsRefused() throws Exception {
    make();
    Files.writeString(folder.resolve("format"), "grpsqlite rocksdb-server data, layout 4\n");
    assertEquals(
        "it has layout 4, and this server knows layout 3 alone; start a newer rocksdb-server",
        refusal());
  }

  @Test
  void anOlderLayoutIsRefused() throws Exception {
    make();
    Files.writeString(folder.resolve("format"), "grpsqlite rocksdb-server data, layout 2\n");
    assertEquals(
        "it has layout 2, and this server knows layout 3 alone; name another folder", refusal());
  }

  @Test
  void anUnreadableFormatIsRefused() throws Exception {
    make();
    Files.writeString(folder.resolve("format"), "\0\0\0\0");
    assertEquals(
        "it is damaged: its file format can't be read; restore it from a backup, or name another"
            + " folder",
        refusal());
  }

  @Test
  void aFolderWithoutAccessIsRefused() throws Exception {
    Files.createDirectories(folder);
    Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("r-xr-xr-x"));
    try {
      assumeTrue(!Files.isWritable(folder), "this user may write everywhere");
      assertEquals("it is not readable and writable; give this user access to it", refusal());
    } finally {
      Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
  }

  @Test
  void aFolderThatCannotBeMadeIsRefused() throws Exception {
    Files.writeString(parent.resolve("file"), "x");
    folder = parent.resolve("file/data");
    assertTrue(refusal().endsWith("; give this user access to it"), refusal());
  }

  @Test
  void aDamagedDatabaseIsRefused() throws Exception {
    for (String part : List.of("CURRENT", "MANIFEST-", ".sst")) {
      for (boolean missing : new boolean[] {true, false}) {
        deleteFolder();
        try (RocksPageStore store = TestStores.open(folder)) {
          TestWriter writer = new TestWriter(store, "a");
          writer.commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, 1));
        }
        TestStores.open(folder).close(); // moves what is in the log to a table
        Path file = file(part);
        if (missing) {
          Files.delete(file);
        } else {
          byte[] garbage = new byte[(int) Files.size(file)];
          java.util.Arrays.fill(garbage, (byte) 'x');
          Files.write(file, garbage);
        }
        String refusal = refusal();
        assertTrue(refusal.startsWith("it is damaged: "), file + ": " + refusal);
        assertTrue(refusal.endsWith("; restore it from a backup, or name another folder"), refusal);
      }
    }
  }

  /** RocksDB alone would open it, without the commits behind the damage. */
  @Test
  void p2_aLogThatWasDamagedWhereItWasSyncedIsRefused() throws Exception {
    Path copy = parent.resolve("copy");
    try (RocksPageStore store = TestStores.open(folder)) {
      TestWriter writer = new TestWriter(store, "a");
      for (int i = 0; i < 20; i++) {
        writer.commit(1, TestPages.page(1, TestWriter.PAGE_SIZE, i + 1));
      }
      copyFolder(folder, copy); // as a kill would leave it
    }
    folder = copy;
    try (RandomAccessFile log = new RandomAccessFile(file(".log").toFile(), "rw")) {
      log.seek(log.length() / 2);
      log.write(new byte[] {1, 2, 3, 4, 5, 6, 7, 8});
    }
    String refusal = refusal();
    assertTrue(
        refusal.matches(
            "it is damaged: its log ends at write \\d+, but write \\d+ was synced, so acknowledged"
                + " commits are missing; restore it from a backup, or name another folder"),
        refusal);
  }

  private List<String> names() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  /** The newest of RocksDB's files of a kind. */
  private Path file(String part) throws IOException {
    try (Stream<Path> files = Files.list(folder.resolve("db"))) {
      return files
          .filter(file -> file.getFileName().toString().contains(part))
          .max(Comparator.naturalOrder())
          .orElseThrow();
    }
  }

  private void deleteFolder() throws IOException {
    if (Files.exists(folder)) {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }

  private static void copyFolder(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }
}
