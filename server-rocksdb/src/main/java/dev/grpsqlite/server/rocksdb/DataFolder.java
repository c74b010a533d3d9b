package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.StoreOpenException;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The folder that {@code --data} names, held by this process alone until it is closed:
 *
 * <pre>
 * format    says that the folder is ours, and which layout it has; format.new while it is made
 * lock      locked by the process that uses the folder
 * synced    see {@link SyncMark}
 * db/       RocksDB's
 * staged/   tables that are being written; see {@link StagedTables}
 * </pre>
 */
final class DataFolder implements AutoCloseable {
  static final int LAYOUT = 3;

  private static final String FORMAT = "format";
  private static final String UNFINISHED = "format.new";
  private static final String LOCK = "lock";
  private static final Pattern CONTENT =
      Pattern.compile("grpsqlite rocksdb-server data, layout (\\d{1,9})\\s*");

  private static final Pattern MANIFEST = Pattern.compile("MANIFEST-\\d{1,20}");

  /** What may be in a folder that counts as empty: the root of a file system has the latter. */
  private static final Set<String> NOTHING = Set.of(LOCK, "lost+found");

  private final Path path;
  private final FileChannel lock;

  /** The folder has no database yet. */
  private boolean empty;

  private DataFolder(Path path, FileChannel lock) {
    this.path = path;
    this.lock = lock;
  }

  static DataFolder open(Path path) throws StoreOpenException {
    if (Files.exists(path) && !Files.isDirectory(path)) {
      throw refused(
          path, "it is not a folder; name a folder, or one that does not exist yet", null);
    }
    FileChannel lock = null;
    DataFolder folder = null;
    try {
      make(path);
      if (!Files.isReadable(path) || !Files.isWritable(path)) {
        throw refused(path, "it is not readable and writable; give this user access to it", null);
      }
      if (isForeign(path)) {
        throw refused(
            path,
            "it holds files that are not this server's; name an empty folder or one that"
                + " rocksdb-server made",
            null);
      }
      lock =
          FileChannel.open(path.resolve(LOCK), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      if (!isLocked(lock)) {
        throw refused(
            path, "another process uses it; stop that one first, or name another folder", null);
      }
      DataFolder opened = new DataFolder(path, lock);
      opened.checkFormat();
      folder = opened;
      return opened;
    } catch (IOException e) {
      throw refused(path, "%s; give this user access to it".formatted(reason(e)), e);
    } finally {
      if (folder == null && lock != null) {
        closeQuietly(lock);
      }
    }
  }

  private static boolean isForeign(Path path) throws IOException {
    if (Files.exists(path.resolve(FORMAT)) || Files.exists(path.resolve(UNFINISHED))) {
      return false;
    }
    try (Stream<Path> entries = Files.list(path)) {
      return entries.anyMatch(entry -> !NOTHING.contains(entry.getFileName().toString()));
    }
  }

  private static boolean isLocked(FileChannel lock) throws IOException {
    try {
      FileLock held = lock.tryLock();
      return held != null; // released with the channel
    } catch (OverlappingFileLockException e) {
      return false; // another store of this process
    }
  }

  private void checkFormat() throws IOException, StoreOpenException {
    Path format = path.resolve(FORMAT);
    if (!Files.exists(format)) {
      // Nothing was ever served from here: that begins with the format's final name.
      empty = true;
      Files.writeString(
          path.resolve(UNFINISHED), "grpsqlite rocksdb-server data, layout " + LAYOUT + "\n");
      return;
    }
    Matcher content = CONTENT.matcher(Files.readString(format, StandardCharsets.ISO_8859_1));
    if (!content.matches()) {
      throw damaged("its file " + FORMAT + " can't be read", null);
    }
    int layout = Integer.parseInt(content.group(1));
    if (layout < LAYOUT) {
      throw refused(
          path,
          "it has layout %d, and this server knows layout %d alone; name another folder"
              .formatted(layout, LAYOUT),
          null);
    }
    if (layout > LAYOUT) {
      throw refused(
          path,
          "it has layout %d, and this server knows layout %d alone; start a newer rocksdb-server"
              .formatted(layout, LAYOUT),
          null);
    }
  }

  /** Whether the files are there from which RocksDB starts; of others it says so itself. */
  void checkDatabase() throws IOException, StoreOpenException {
    if (empty) {
      return;
    }
    Path current = database().resolve("CURRENT");
    if (!Files.exists(current)) {
      throw damaged("the file db/CURRENT is missing", null);
    }
    String manifest = Files.readString(current, StandardCharsets.ISO_8859_1).strip();
    if (!MANIFEST.matcher(manifest).matches()) {
      throw damaged("the file db/CURRENT can't be read", null);
    }
    if (!Files.exists(database().resolve(manifest))) {
      throw damaged("the file db/%s is missing".formatted(manifest), null);
    }
  }

  boolean isEmpty() {
    return empty;
  }

  Path path() {
    return path;
  }

  Path database() {
    return path.resolve("db");
  }

  Path staged() {
    return path.resolve("staged");
  }

  /** So that it is there after a loss of power, with the folders that it is in. */
  private static void make(Path path) throws IOException {
    List<Path> missing = new ArrayList<>();
    for (Path each = path.toAbsolutePath();
        each != null && !Files.exists(each);
        each = each.getParent()) {
      missing.add(each);
    }
    Files.createDirectories(path);
    for (Path made : missing) {
      sync(made.resolveSibling("."));
    }
  }

  private static void sync(Path folder) throws IOException {
    try (FileChannel itself = FileChannel.open(folder)) {
      itself.force(true);
    }
  }

  /** Says that there is a database now. */
  void finish() throws StoreOpenException {
    if (!empty) {
      return;
    }
    Path unfinished = path.resolve(UNFINISHED);
    try {
      try (FileChannel file = FileChannel.open(unfinished, StandardOpenOption.WRITE)) {
        file.force(true);
      }
      Files.move(unfinished, path.resolve(FORMAT), StandardCopyOption.ATOMIC_MOVE);
      sync(path);
    } catch (IOException e) {
      throw refused(path, "%s; give this user access to it".formatted(reason(e)), e);
    }
    empty = false;
  }

  StoreOpenException damaged(String how, @Nullable Throwable cause) {
    return refused(
        path,
        "it is damaged: %s; restore it from a backup, or name another folder".formatted(how),
        cause);
  }

  StoreOpenException unusable(String how, @Nullable Throwable cause) {
    return refused(path, how, cause);
  }

  private static StoreOpenException refused(Path path, String why, @Nullable Throwable cause) {
    return new StoreOpenException(
        "cannot use %s as data folder: %s".formatted(path.toAbsolutePath(), why), cause);
  }

  private static String reason(IOException e) {
    return e.getClass().getSimpleName() + " on " + e.getMessage();
  }

  @Override
  public void close() {
    closeQuietly(lock);
  }

  private static void closeQuietly(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      throw new IllegalStateException(e); // nothing was ever written to it
    }
  }
}
