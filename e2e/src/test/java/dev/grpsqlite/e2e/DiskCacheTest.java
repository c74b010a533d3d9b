package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The cache on disk ({@code cache_dir}), as processes one after the other share it. */
class DiskCacheTest {
  private static final int ROWS = 2_000;
  private static final int ROW_BYTES = 1_000;

  /** How long processes are killed at random. */
  private static final Duration KILLING = Duration.ofSeconds(4);

  private static final int READERS = 4;

  private static final String FILL =
      "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, body BLOB);"
          + "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
          + ROWS
          + ") INSERT INTO t SELECT i, 1, zeroblob("
          + ROW_BYTES
          + ") FROM n;";

  @TempDir Path folder;

  private final String database = Kind.freshName("disk");

  @ParameterizedTest
  @EnumSource(names = {"MEMORY", "VERSIONED", "ROCKSDB", "FDB"})
  void aProcessReadsOnlyWhatChangedSinceTheOneBeforeIt(Kind kind) throws Exception {
    Client plain = kind.client(folder);
    Client caching = caching(plain);
    plain.shell(database, FILL).ok();
    Scan cold = scan(caching, ROWS);
    assertTrue(cold.count("bytes_received") > ROWS * ROW_BYTES, cold.text);
    assertEquals(0, cold.count("disk_hits"), cold.text);

    Scan warm = scan(caching, ROWS);
    assertTrue(warm.count("disk_hits") > ROWS * ROW_BYTES / 4096, warm.text);
    assertTrue(warm.count("bytes_received") < 3 * 4096, warm.text);

    // Two pages of the table; by a process that knows no cache.
    plain.shell(database, "UPDATE t SET n = 2 WHERE id IN (500, 1500);").ok();
    Scan changed = scan(caching, ROWS + 2);
    assertTrue(changed.count("bytes_received") < 6 * 4096, changed.text);
    assertTrue(changed.count("disk_hits") >= warm.count("disk_hits") - 3, changed.text);

    // What a process wrote is there for the next.
    caching.shell(database, "UPDATE t SET n = 3 WHERE id < 1000;").ok();
    Scan written = scan(caching, ROWS + 2 * 999 + 1);
    assertTrue(written.count("bytes_received") < 3 * 4096, written.text);
  }

  @Test
  void theFolderIsForItsUserAloneAndWithinItsLimit() throws Exception {
    Client caching = caching(Kind.ROCKSDB.client(folder)).with("GRPSQLITE_CACHE_DIR_MB", "1");
    caching.shell(database, FILL).ok();
    scan(caching, ROWS);
    assertEquals("rwx------", mode(cache()));
    try (Stream<Path> files = Files.list(cache())) {
      for (Path file : files.toList()) {
        assertEquals("rw-------", mode(file), file::toString);
      }
    }
    assertTrue(Files.size(cache().resolve("pages")) <= 1 << 20);
  }

  private static String mode(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  @Test
  void whateverIsDoneToTheFolderNobodySees() throws Exception {
    Client plain = Kind.ROCKSDB.client(folder);
    Client caching = caching(plain);
    plain.shell(database, FILL).ok();
    scan(caching, ROWS);
    long seed = System.nanoTime();
    Random random = new Random(seed);
    try (RandomAccessFile pages = new RandomAccessFile(cache().resolve("pages").toFile(), "rw")) {
      // Somewhere in each page, wherever they are.
      for (long at = firstPage(pages); at < pages.length(); at += 1 + random.nextInt(4096)) {
        pages.seek(at);
        int before = pages.read();
        pages.seek(at);
        pages.write(before ^ (1 << random.nextInt(8)));
      }
    }
    Scan damaged = scan(caching, ROWS);
    assertTrue(damaged.count("disk_damaged") > ROWS * ROW_BYTES / 4096 / 2, "seed " + seed);
    Scan again = scan(caching, ROWS);
    assertEquals(0, again.count("disk_damaged"), again.text);
    assertTrue(again.count("disk_hits") > ROWS * ROW_BYTES / 4096, again.text);

    Folders.delete(cache());
    Files.writeString(cache(), "a file");
    Scan without = scan(caching, ROWS);
    assertEquals(0, without.count("disk_hits") + without.count("disk_misses"));
    assertTrue(
        caching
            .shell(database, "SELECT n FROM t LIMIT 1; PRAGMA grpsqlite_last_error;")
            .ok()
            .contains("cannot be used (Not a directory)"));
  }

  /** Before it the file has a hole. */
  private static long firstPage(RandomAccessFile pages) throws IOException {
    byte[] buffer = new byte[1 << 16];
    for (long at = 0; ; at += buffer.length) {
      pages.seek(at);
      int got = pages.read(buffer);
      for (int i = 0; i < got; i++) {
        if (buffer[i] != 0) {
          return at + i;
        }
      }
    }
  }

  @Test
  void aServerThatWasRestoredFromABackupIsNoticed() throws Exception {
    Path home = Files.createDirectory(folder.resolve("server"));
    Path backup = folder.resolve("backup");
    // A server that restarted gives no lease away for so long.
    try (ServerProcess server = Kind.ROCKSDB.start(home, "--session-ttl-ms", "1500")) {
      Client caching = caching(new Client(folder, server.url()));
      caching.shell(database, FILL).ok();
      scan(caching, ROWS);
      server.kill();
      copy(home.resolve("data"), backup);
      server.start();
      // The cache outlives the server's restart.
      assertTrue(scan(caching, ROWS).count("bytes_received") < 3 * 4096);
      for (int n = 2; n <= 4; n++) {
        caching.shell(database, "UPDATE t SET n = " + n + " WHERE id % 7 = " + n + ";").ok();
      }
      scan(caching, ROWS + 286 + 2 * 286 + 3 * 286);
      server.kill();
      Folders.delete(home.resolve("data"));
      copy(backup, home.resolve("data"));
      server.start();
      // The same versions again, with other content.
      caching.shell(database, "UPDATE t SET n = 9 WHERE id % 7 = 6;").ok();
      scan(caching, ROWS + 8 * 285);
      caching.shell(database, "UPDATE t SET n = 1 WHERE id % 7 = 6;").ok();
      caching.shell(database, "UPDATE t SET n = 2 WHERE id = 5;").ok();
      scan(caching, ROWS + 1);
    }
  }

  @Test
  void oneThatWentOnBeyondWhatIsKnownToo() throws Exception {
    Path home = Files.createDirectory(folder.resolve("server"));
    Path backup = folder.resolve("backup");
    try (ServerProcess server = Kind.ROCKSDB.start(home, "--session-ttl-ms", "1500")) {
      Client plain = new Client(folder, server.url());
      Client caching = caching(plain);
      plain.shell(database, FILL).ok();
      server.kill();
      copy(home.resolve("data"), backup);
      server.start();
      try (Program lives = plain.startPython("session.py", database)) {
        lives.readTo("--");
        for (int n = 2; n <= 4; n++) {
          plain.shell(database, "UPDATE t SET n = " + n + " WHERE id % 7 = " + n + ";").ok();
        }
        String lost = ROWS + 286 + 2 * 286 + 3 * 286 + "\n";
        assertEquals(lost, answer(lives, "SELECT sum(n) FROM t"));
        scan(caching, ROWS + 286 + 2 * 286 + 3 * 286);
        server.kill();
        Folders.delete(home.resolve("data"));
        copy(backup, home.resolve("data"));
        server.start();
        for (int n = 2; n <= 6; n++) {
          plain.shell(database, "UPDATE t SET n = 9 WHERE id = " + n + ";").ok();
        }
        int now = ROWS + 5 * 8;
        scan(caching, now);
        assertEquals(now + "\n", answer(lives, "SELECT sum(n) FROM t"));
        assertEquals("", answer(lives, "UPDATE t SET n = n + 1 WHERE id IN (2, 1000)"));
        assertEquals("ok\n", answer(lives, "PRAGMA integrity_check"));
        scan(caching, now + 2);
        lives.finish().ok();
      }
    }
  }

  private static String answer(Program session, String sql) throws Exception {
    session.send(sql + "\n");
    return session.readTo("--");
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file)));
      }
    }
  }

  /** {@code bank.py} says how a history is judged; a reader that sees a mixture fails at once. */
  @ParameterizedTest
  @EnumSource(names = {"VERSIONED", "ROCKSDB"})
  void p6_p7_processesThatShareAFolderAndAreKilledSeeWhatOthersSee(Kind kind) throws Exception {
    Client caching = caching(kind.client(folder));
    caching.python("bank.py", "open", database).ok();
    long seed = System.nanoTime();
    Random random = new Random(seed);
    List<Program> readers = new ArrayList<>();
    List<String> histories = new ArrayList<>(List.of("judge", "0", "writes"));
    int kills = 0;
    try (Program writer = caching.startPython("bank.py", "write", database, "writes")) {
      writer.readTo("writing");
      for (int i = 0; i < READERS; i++) {
        readers.add(reader(caching, i));
      }
      long end = System.nanoTime() + KILLING.toNanos();
      while (System.nanoTime() < end) {
        int one = random.nextInt(READERS);
        Program reader = readers.get(one);
        reader.readTo("reading");
        // Not a wait for something: a moment in its life.
        Thread.sleep(random.nextInt(300));
        assertTrue(reader.isAlive(), () -> reader.errors() + ", seed " + seed);
        reader.kill();
        reader.close();
        kills++;
        readers.set(one, reader(caching, one));
      }
      assertEquals("written\n", writer.finish().ok());
      for (int i = 0; i < READERS; i++) {
        readers.get(i).finish().ok();
        histories.add("read-" + i);
      }
    } finally {
      for (Program reader : readers) {
        reader.close();
      }
    }
    System.out.print(
        kind
            + ", "
            + kills
            + " kills: "
            + caching.python("bank.py", histories.toArray(new String[0])).ok());
  }

  private Program reader(Client client, int number) throws IOException {
    return client.startPython("bank.py", "read", "file:" + database + "?mode=ro", "read-" + number);
  }

  private Path cache() {
    return folder.resolve("cache");
  }

  private Client caching(Client client) {
    return client.with("GRPSQLITE_CACHE_DIR", cache().toString());
  }

  /** What a scan of the whole table counted. */
  private record Scan(String text) {
    long count(String name) {
      Matcher line = Pattern.compile("(?m)^" + name + " (\\d+)$").matcher(text);
      assertTrue(line.find(), text);
      return Long.parseLong(line.group(1));
    }
  }

  /**
   * Scans in a process of its own, and checks what it finds. Nothing comes that is not asked for.
   */
  private Scan scan(Client client, long sum) throws Exception {
    String found =
        client
            .shell(
                "file:" + database + "?mode=ro&prefetch_mb=0",
                "SELECT sum(n), sum(length(body)) FROM t; PRAGMA grpsqlite_stats;"
                    + " PRAGMA integrity_check;")
            .ok();
    assertTrue(found.startsWith(sum + "|" + ROWS * ROW_BYTES + "\n"), sum + " in " + found);
    assertTrue(found.endsWith("\nok\n"), found);
    return new Scan(found);
  }
}
