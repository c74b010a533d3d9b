package dev.grpsqlite.server.rocksdb;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.rocksdb.NativeLibraryLoader;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;

/**
 * Loads RocksDB's native library: from {@code java.library.path} if it is there, as in a
 * distribution. Else RocksDB by itself unpacks it (17 MB) to the folder for temporary files, and
 * deletes it when the JVM ends: one that is killed leaves it there, each time.
 */
final class NativeLibrary {
  private NativeLibrary() {}

  /** Once is enough, but more do no harm. Thread-safe. */
  static synchronized void load() throws RocksDBException {
    if (System.getenv("ROCKSDB_SHAREDLIB_DIR") == null) {
      try {
        loadAndDelete();
      } catch (IOException e) {
        throw new RocksDBException("its native library cannot be unpacked: " + e);
      }
    }
    RocksDB.loadLibrary();
  }

  /** What is loaded stays, whatever becomes of its file. */
  private static void loadAndDelete() throws IOException {
    Path folder = Files.createTempDirectory("grpsqlite-rocksdb");
    try {
      NativeLibraryLoader.getInstance().loadLibrary(folder.toString());
    } finally {
      try (Stream<Path> all = Files.list(folder)) {
        for (Path file : all.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(folder);
    }
  }
}
