package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Every key of the layout that {@link dev.grpsqlite.server.rocksdb the package} explains. Numbers
 * are big-endian, so that the order of the bytes is theirs.
 *
 * <p>The pages are a column family of their own; the first byte of a key in the other one says what
 * it is.
 */
final class Keys {
  static final byte NAME = 'N';
  static final byte ID = 'I';
  static final byte DATABASE = 'D';
  static final byte HEAD = 'H';
  static final byte LEASE = 'L';
  static final byte OLDEST = 'O';
  static final byte COLLECTED = 'K';
  static final byte VERSION = 'V';
  static final byte CHANGED = 'C';
  static final byte STAGE = 'S';
  static final byte FILE = 'F';
  static final byte TO_COLLECT = 'Q';
  static final byte DROPPED = 'X';
  static final byte RESTORED = 'R';
  static final byte RETENTION = 'E';
  static final byte FORKED_FROM = 'P';
  static final byte FORK_POINT = 'T';
  static final byte HELD = 'U';
  static final byte RELEASED = 'Z';
  static final byte STORE = 'M';

  /** What is under {@link #STORE}. */
  static final byte[] NEXT_DATABASE = {STORE, 'n'};

  static final byte[] BOOT = {STORE, 'b'};

  /** Never there. */
  static final byte[] NOTHING = {STORE, '0'};

  /** The kinds of all that belongs to one database, begins with its number and goes with it. */
  static final byte[] OF_A_DATABASE = {
    DATABASE,
    HEAD,
    LEASE,
    OLDEST,
    COLLECTED,
    VERSION,
    CHANGED,
    STAGE,
    FILE,
    TO_COLLECT,
    RESTORED,
    RETENTION
  };

  /** What stays with the images that its forks need, until the last of them is gone. */
  static final byte[] FOR_ITS_FORKS = {FORK_POINT, HELD, RELEASED};

  /** A page's key: database 8, page 4, complement of the version 8, attempt 4. */
  static final int PAGE_BYTES = 24;

  /** Database and page: what the images of one page have in common. */
  static final int PAGE_PREFIX_BYTES = 12;

  /** The attempt of the pages that come with the commit itself, and first in the order. */
  static final int INLINE = 0;

  static final int CHUNK_BYTES = 1 + 8 + 8 + 4 + 4;

  private static final int HELD_BYTES = 1 + 8 + 8 + 8 + 4 + 4;

  private Keys() {}

  static byte[] name(String name) {
    return text(NAME, name);
  }

  static byte[] text(byte kind, String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + utf8.length).put(kind).put(utf8).array();
  }

  static String nameOf(byte[] key) {
    return new String(key, 1, key.length - 1, StandardCharsets.UTF_8);
  }

  static byte[] id(DatabaseId id) {
    ByteBuffer key = ByteBuffer.allocate(1 + DatabaseId.BYTES).put(ID);
    id.write(key);
    return key.array();
  }

  static byte[] of(byte kind, long database) {
    return ByteBuffer.allocate(9).put(kind).putLong(database).array();
  }

  static long databaseOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(1);
  }

  static byte[] version(long database, long version) {
    return of(VERSION, database, version);
  }

  /** Of the kinds whose keys go on with a version. */
  static byte[] of(byte kind, long database, long version) {
    return ByteBuffer.allocate(17).put(kind).putLong(database).putLong(version).array();
  }

  static long versionOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(9);
  }

  static byte[] stage(long database, long version, int attempt) {
    return attempt(STAGE, database, version, attempt);
  }

  /** What all chunks of one attempt's list begin with. */
  static byte[] changed(long database, long version, int attempt) {
    return attempt(CHANGED, database, version, attempt);
  }

  private static byte[] attempt(byte kind, long database, long version, int attempt) {
    return ByteBuffer.allocate(21)
        .put(kind)
        .putLong(database)
        .putLong(version)
        .putInt(attempt)
        .array();
  }

  static int attemptOf(byte[] key) {
    return ByteBuffer.wrap(key).getInt(17);
  }

  static byte[] changed(long database, long version, int attempt, int chunk) {
    return ByteBuffer.allocate(CHUNK_BYTES)
        .put(CHANGED)
        .putLong(database)
        .putLong(version)
        .putInt(attempt)
        .putInt(chunk)
        .array();
  }

  static int chunkOf(byte[] key) {
    return ByteBuffer.wrap(key).getInt(21);
  }

  static byte[] restored(long database, CommitId commit) {
    ByteBuffer key = ByteBuffer.allocate(9 + CommitId.BYTES).put(RESTORED).putLong(database);
    commit.write(key);
    return key.array();
  }

  /** That a version of a database is the beginning of another one. */
  static byte[] forkPoint(long database, long version, long fork) {
    return ByteBuffer.allocate(25)
        .put(FORK_POINT)
        .putLong(database)
        .putLong(version)
        .putLong(fork)
        .array();
  }

  /** That an image is kept for forks alone, and which fork point was the newest to need it. */
  static byte[] held(long database, long forkPoint, long version, long page, int attempt) {
    return ByteBuffer.allocate(HELD_BYTES)
        .put(HELD)
        .putLong(database)
        .putLong(forkPoint)
        .putLong(version)
        .putInt((int) page)
        .putInt(attempt)
        .array();
  }

  static long heldVersionOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(17);
  }

  /** The image's own key. */
  static byte[] heldPageOf(byte[] key) {
    ByteBuffer from = ByteBuffer.wrap(key);
    return page(
        from.getLong(1),
        Integer.toUnsignedLong(from.getInt(25)),
        from.getLong(17),
        from.getInt(29));
  }

  static byte[] page(long database, long page, long version, int attempt) {
    byte[] key = new byte[PAGE_BYTES];
    page(ByteBuffer.wrap(key), database, page, version, attempt);
    return key;
  }

  static void page(ByteBuffer to, long database, long page, long version, int attempt) {
    to.putLong(database).putInt((int) page).putLong(~version).putInt(attempt);
  }

  static boolean areOfSamePage(byte[] one, byte[] other) {
    return Arrays.equals(one, 0, PAGE_PREFIX_BYTES, other, 0, PAGE_PREFIX_BYTES);
  }

  static long pageDatabaseOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong();
  }

  static long pageOf(byte[] key) {
    return Integer.toUnsignedLong(ByteBuffer.wrap(key).getInt(8));
  }

  static long pageVersionOf(byte[] key) {
    return ~ByteBuffer.wrap(key).getLong(12);
  }

  static int pageAttemptOf(byte[] key) {
    return ByteBuffer.wrap(key).getInt(20);
  }

  /** A side file's size. No name contains the byte 0 that ends it here. */
  static byte[] fileSize(long database, String file) {
    return file(database, file, 's', 0).array();
  }

  static byte[] fileChunk(long database, String file, long chunk) {
    return file(database, file, 'c', 8).putLong(chunk).array();
  }

  private static ByteBuffer file(long database, String file, char kind, int more) {
    byte[] utf8 = file.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(1 + 8 + utf8.length + 2 + more)
        .put(FILE)
        .putLong(database)
        .put(utf8)
        .put((byte) 0)
        .put((byte) kind);
  }

  static boolean startsWith(byte[] key, byte[] prefix) {
    if (key.length < prefix.length) {
      return false;
    }
    for (int i = 0; i < prefix.length; i++) {
      if (key[i] != prefix[i]) {
        return false;
      }
    }
    return true;
  }
}
