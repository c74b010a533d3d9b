package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Relay;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.sqlite.SQLiteConfig;
import org.sqlite.SQLiteOpenMode;

/**
 * A SQLite database in a file, as it was when it was opened: SQLite locks it, so that nobody writes
 * meanwhile, and the bytes are read beside it, so that they are the file's own. Where there is a
 * write-ahead log, what it has comes first.
 *
 * <p>SQLite's locks are of the process, and go when it closes any descriptor of the file; so this
 * closes its own only after SQLite's. {@link #read} is for any thread.
 */
final class SourceFile implements Closeable {
  private static final byte[] MAGIC = "SQLite format 3\0".getBytes(StandardCharsets.US_ASCII);
  private static final int HEADER_BYTES = 100;
  private static final int BUSY_MS = 5000;

  /**
   * At once. They pass through a buffer of the channel's, which so stays in the processor's cache.
   */
  private static final int READ_BYTES = 64 << 10;

  private final Path path;
  private final FileChannel file;
  private final @Nullable FileChannel walChannel;
  private final Connection sqlite;
  private final @Nullable WalFile wal;
  private final int pageSize;
  private final long pageCount;
  private final boolean walMode;
  private final long device;
  private final long inode;

  private SourceFile(
      Path path,
      FileChannel file,
      @Nullable FileChannel walChannel,
      Connection sqlite,
      Header header,
      @Nullable WalFile wal,
      long pageCount)
      throws IOException {
    this.path = path;
    this.device = ((Number) Files.getAttribute(path, "unix:dev")).longValue();
    this.inode = ((Number) Files.getAttribute(path, "unix:ino")).longValue();
    this.file = file;
    this.walChannel = walChannel;
    this.sqlite = sqlite;
    this.wal = wal;
    this.pageSize = header.pageSize;
    this.walMode = header.wal;
    this.pageCount = pageCount;
  }

  private record Header(int pageSize, boolean wal) {
    static Header read(Path path, FileChannel file) throws IOException {
      ByteBuffer bytes = ByteBuffer.allocate(HEADER_BYTES);
      if (!readFully(file, bytes, 0)
          || !Arrays.equals(bytes.array(), 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
        throw noDatabase(
            path + " is no SQLite database" + (file.size() == 0 ? ": it is empty" : ""));
      }
      int size = Short.toUnsignedInt(bytes.getShort(16));
      int pageSize = size == 1 ? 1 << 16 : size;
      if (pageSize < 512 || Integer.bitCount(pageSize) != 1) {
        throw noDatabase(path + " says that its pages have " + pageSize + " bytes, as none can");
      }
      if (bytes.get(18) < 1 || bytes.get(18) > 2 || bytes.get(19) < 1 || bytes.get(19) > 2) {
        throw noDatabase(path + " is of a file format that this program does not know");
      }
      return new Header(pageSize, bytes.get(19) == 2);
    }
  }

  /** Fails if there is no such file, or it does not begin as a database does. */
  static void require(Path given) throws IOException {
    if (!Files.isRegularFile(given)) {
      throw new Refusal(
          Kind.NOT_FOUND,
          Files.exists(given) ? given + " is no file" : "there is no file " + given);
    }
    try (FileChannel file = FileChannel.open(given, StandardOpenOption.READ)) {
      Header unused = Header.read(given, file);
    }
  }

  /** Opens and locks it. */
  static SourceFile open(Path given) throws IOException {
    require(given);
    // As SQLite does: the log is beside the file, not beside a link to it.
    Path path = given.toRealPath();
    Path walPath = path.resolveSibling(path.getFileName() + "-wal");
    FileChannel file = FileChannel.open(path, StandardOpenOption.READ);
    FileChannel walChannel = null;
    Connection sqlite = null;
    try {
      Header before = Header.read(path, file);
      sqlite = connect(path);
      try (Statement statement = sqlite.createStatement()) {
        // A log has readers beside its writer. Without one, who reads keeps writers out.
        statement.execute(before.wal ? "BEGIN IMMEDIATE" : "BEGIN");
        long pageCount = Long.parseLong(first(statement, "PRAGMA page_count"));
        Header header = Header.read(path, file);
        // Not equals: Java makes a record's own when it is first called, which takes 10 ms.
        if (header.pageSize != before.pageSize || header.wal != before.wal) {
          throw new Refusal(Kind.IN_THE_WAY, path + " is being changed; try again");
        }
        WalFile wal = null;
        if (header.wal && Files.exists(walPath)) {
          walChannel = FileChannel.open(walPath, StandardOpenOption.READ);
          wal = WalFile.read(walChannel, header.pageSize);
        }
        if (wal != null && wal.pageCount() != pageCount) {
          throw new Refusal(
              Kind.FAILED,
              "the write-ahead log of %s has %d pages for this program and %d for SQLite"
                  .formatted(path, wal.pageCount(), pageCount));
        }
        if (pageCount == 0) {
          throw noDatabase(path + " has no page");
        }
        if (wal == null && file.size() < pageCount * header.pageSize) {
          throw tooShort(path, pageCount);
        }
        return new SourceFile(path, file, walChannel, sqlite, header, wal, pageCount);
      }
    } catch (SQLException e) {
      close(sqlite, file, walChannel);
      throw refusal(path, e);
    } catch (IOException | RuntimeException e) {
      close(sqlite, file, walChannel);
      throw e;
    }
  }

  /** Loads SQLite, which takes a while, for a thread that has nothing else to do before. */
  static void load() {
    try (Connection memory = config().createConnection("jdbc:sqlite::memory:");
        Statement statement = memory.createStatement()) {
      String unused = first(statement, "SELECT 1");
    } catch (SQLException e) {
      // Of the first file that is opened.
    }
  }

  private static Connection connect(Path path) throws SQLException {
    // As a URI, so that no character of the path means anything else.
    return config().createConnection("jdbc:sqlite:" + path.toUri().toString().replace("///", "/"));
  }

  private static SQLiteConfig config() {
    SQLiteConfig config = new SQLiteConfig();
    config.resetOpenMode(SQLiteOpenMode.CREATE);
    config.setBusyTimeout(BUSY_MS);
    return config;
  }

  private static String first(Statement statement, String sql) throws SQLException {
    try (ResultSet rows = statement.executeQuery(sql)) {
      return rows.next() ? rows.getString(1) : "";
    }
  }

  private static Refusal noDatabase(String message) {
    return new Refusal(Kind.NO_DATABASE, message);
  }

  private static Refusal tooShort(Path path, long pageCount) {
    return noDatabase(path + " is damaged: it is shorter than its " + pageCount + " pages");
  }

  /** SQLite's primary result codes; see sqlite.org/rescode.html. */
  private static Refusal refusal(Path path, SQLException e) {
    return switch (e.getErrorCode() & 0xff) {
      case 5, 6 ->
          new Refusal(Kind.IN_THE_WAY, path + " is locked by another program; try again later");
      case 8 ->
          new Refusal(
              Kind.FAILED,
              path
                  + " cannot be locked without the right to write to it; copy it, with its -wal or"
                  + " -journal if there is one, and import the copy");
      case 11 -> noDatabase(path + " is damaged: " + e.getMessage());
      case 26 -> noDatabase(path + " is no SQLite database, or an encrypted one");
      default -> new Refusal(Kind.FAILED, path + " cannot be read: " + e.getMessage());
    };
  }

  /** Which file it is; it has all pages if there is no log. */
  Relay.File file() {
    return new Relay.File(path, device, inode, pageSize, pageCount);
  }

  /** Whether there are pages that are not in the file itself. */
  boolean hasLog() {
    return wal != null;
  }

  int pageSize() {
    return pageSize;
  }

  long pageCount() {
    return pageCount;
  }

  boolean walMode() {
    return walMode;
  }

  long bytes() {
    return pageCount * pageSize;
  }

  /** Asks SQLite whether it finds the content sound. */
  void check(boolean thoroughly) {
    try (Statement statement = sqlite.createStatement()) {
      String found =
          first(statement, thoroughly ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)");
      if (!found.equals("ok")) {
        throw noDatabase(path + " is damaged: " + found.lines().findFirst().orElse(found));
      }
    } catch (SQLException e) {
      throw refusal(path, e);
    }
  }

  /** Reads pages that follow each other. */
  void read(long firstPage, int pages, byte[] to) throws IOException {
    int length = pages * pageSize;
    ByteBuffer buffer = ByteBuffer.wrap(to, 0, length);
    long offset = (firstPage - 1) * pageSize;
    while (buffer.position() < length) {
      buffer.limit(Math.min(length, buffer.position() + READ_BYTES));
      if (file.read(buffer, offset + buffer.position()) < 0) {
        break;
      }
    }
    int read = buffer.position() / pageSize;
    for (int i = 0; i < pages; i++) {
      long page = firstPage + i;
      if (wal != null && wal.has(page)) {
        wal.overlay(page, to, i * pageSize);
      } else if (i >= read) {
        throw tooShort(path, pageCount);
      }
    }
  }

  /** Fills a buffer, whose position stays; false if the file ends before. */
  static boolean readFully(FileChannel file, ByteBuffer to, long offset) throws IOException {
    ByteBuffer rest = to.duplicate();
    for (long at = offset; rest.hasRemaining(); ) {
      int read = file.read(rest, at);
      if (read < 0) {
        return false;
      }
      at += read;
    }
    return true;
  }

  @Override
  public void close() throws IOException {
    close(sqlite, file, walChannel);
  }

  private static void close(
      @Nullable Connection sqlite, FileChannel file, @Nullable FileChannel walChannel)
      throws IOException {
    try {
      if (sqlite != null) {
        sqlite.close();
      }
    } catch (SQLException e) {
      throw new IOException(e);
    } finally {
      if (walChannel != null) {
        walChannel.close();
      }
      file.close();
    }
  }
}
