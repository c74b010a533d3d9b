package dev.grpsqlite.e2e;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What a power loss may take from a server's data: what was appended to files since they were last
 * synced, and names that were made since their folders were. What was deleted stays so, and what is
 * written into the middle of a file, as RocksDB does with none, is not taken. One thread at a time.
 */
final class PowerLoss {
  private final Path data;
  private final Path notes;
  private final Path library;

  /** How much of a file is safe, by its inode. */
  private final Map<Long, Long> sizes = new HashMap<>();

  /** The names in a folder that are safe, and their inodes. */
  private final Map<Path, Map<String, Long>> names = new HashMap<>();

  private long takenBytes;
  private int takenNames;

  /**
   * Sets up what a server is to be started with.
   *
   * @param folder for what this needs itself
   * @param data of the server
   */
  PowerLoss(Path folder, Path data) throws Exception {
    this.data = data.toRealPath();
    this.notes = folder.resolve("synced.notes");
    this.library =
        CPrograms.compile(folder, "synced", "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wl,--as-needed");
  }

  Map<String, String> environment() {
    return Map.of("LD_PRELOAD", library.toString(), "SYNCED", notes.toString());
  }

  /** All that is there now is safe. No server may run. */
  void begin() throws IOException {
    Files.deleteIfExists(notes);
    sizes.clear();
    names.clear();
    for (Path path : deepestFirst()) {
      sizes.put(inode(path), Files.size(path));
      names
          .computeIfAbsent(path.getParent(), folder -> new HashMap<>())
          .put(path.getFileName().toString(), inode(path));
    }
  }

  /** Takes what may be lost. No server may run. */
  void take() throws IOException {
    for (String line : Files.readAllLines(notes)) {
      if (line.startsWith("F ")) {
        String[] words = line.split(" ", 3);
        sizes.put(Long.parseLong(words[1]), Long.parseLong(words[2]));
      } else {
        noteFolder(line.substring(2).split("\t", -1));
      }
    }
    for (Path path : deepestFirst()) {
      Long named =
          names.getOrDefault(path.getParent(), Map.of()).get(path.getFileName().toString());
      if (named == null || named != inode(path)) {
        Folders.delete(path);
        takenNames++;
      } else if (Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
        cut(path, sizes.getOrDefault(inode(path), 0L));
      }
    }
  }

  private void noteFolder(String[] parts) {
    Map<String, Long> there = new HashMap<>();
    for (int i = 1; i < parts.length; i++) {
      int equals = parts[i].lastIndexOf('=');
      there.put(parts[i].substring(0, equals), Long.parseLong(parts[i].substring(equals + 1)));
    }
    names.put(Path.of(parts[0]), there);
  }

  private void cut(Path file, long safe) throws IOException {
    long size = Files.size(file);
    if (size > safe) {
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
        channel.truncate(safe);
      }
      takenBytes += size - safe;
    }
  }

  /** How much of files that are there still was taken. */
  long takenBytes() {
    return takenBytes;
  }

  int takenNames() {
    return takenNames;
  }

  /** All that is in the data, what is in a folder before it. */
  private List<Path> deepestFirst() throws IOException {
    try (Stream<Path> all = Files.walk(data)) {
      return all.filter(path -> !path.equals(data)).sorted(Comparator.reverseOrder()).toList();
    }
  }

  private static long inode(Path path) throws IOException {
    return (Long) Files.getAttribute(path, "unix:ino", LinkOption.NOFOLLOW_LINKS);
  }
}
