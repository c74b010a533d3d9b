package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Range;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import com.apple.foundationdb.tuple.Tuple;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * Where everything is; the {@linkplain dev.grpsqlite.server.fdb package} says what the keys mean.
 * Numbers are big-endian, so that keys are in their order.
 */
@SuppressWarnings("ByteBufferBackingArray") // all of them are allocated in here
final class Keys {
  /** No images of a stage, or of a commit in parts, have this number. */
  static final long INLINE = 0;

  private static final int ATTEMPT_BYTES = Long.BYTES;
  private static final int PROCESS_BYTES = Long.BYTES;

  private final byte[] root;

  /**
   * @param prefix what tells this store's keys from those of others in the cluster; no store's keys
   *     are among those of another, whatever their prefixes
   */
  Keys(String prefix) {
    root = Tuple.from(prefix).pack();
  }

  // ---- Of the store

  /** Which layout all others have. */
  byte[] layout() {
    return buffer('L', 0).array();
  }

  byte[] name(String name) {
    return utf8((byte) 'N', name);
  }

  /** Names that begin so; all of them for "". */
  Range names(String prefix) {
    return Range.startsWith(name(prefix));
  }

  String nameOf(byte[] key) {
    int from = root.length + 1;
    return new String(key, from, key.length - from, StandardCharsets.UTF_8);
  }

  /** The background has something to do for a database. */
  byte[] todo(DatabaseId database) {
    ByteBuffer key = buffer('Q', DatabaseId.BYTES);
    database.write(key);
    return key.array();
  }

  Range todos() {
    return Range.startsWith(buffer('Q', 0).array());
  }

  DatabaseId todoOf(byte[] key) {
    return DatabaseId.read(ByteBuffer.wrap(key, root.length + 1, DatabaseId.BYTES));
  }

  /** That a session has a stage. */
  byte[] stagedBy(SessionId session, DatabaseId database, StageId stage) {
    ByteBuffer key = buffer('G', SessionId.BYTES + DatabaseId.BYTES + StageId.BYTES);
    session.write(key);
    database.write(key);
    stage.write(key);
    return key.array();
  }

  Range stagedBy(SessionId session) {
    ByteBuffer key = buffer('G', SessionId.BYTES);
    session.write(key);
    return Range.startsWith(key.array());
  }

  DatabaseId stagedFor(byte[] key) {
    return DatabaseId.read(
        ByteBuffer.wrap(key, root.length + 1 + SessionId.BYTES, DatabaseId.BYTES));
  }

  StageId stageOfIndex(byte[] key) {
    return StageId.read(
        ByteBuffer.wrap(key, root.length + 1 + SessionId.BYTES + DatabaseId.BYTES, StageId.BYTES));
  }

  /** A process that may pin versions. */
  byte[] process(long process) {
    return buffer('H', PROCESS_BYTES).putLong(process).array();
  }

  Range processes() {
    return Range.startsWith(buffer('H', 0).array());
  }

  long processOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(root.length + 1);
  }

  /** Changes as long as a process lives. */
  byte[] beat(long process) {
    return buffer('B', PROCESS_BYTES).putLong(process).array();
  }

  /** The oldest version of a database that a process's sessions may read. */
  byte[] pin(long process, DatabaseId database) {
    ByteBuffer key = buffer('P', PROCESS_BYTES + DatabaseId.BYTES).putLong(process);
    database.write(key);
    return key.array();
  }

  Range pins(long process) {
    return Range.startsWith(buffer('P', PROCESS_BYTES).putLong(process).array());
  }

  /** Before all keys of the store. */
  byte[] root() {
    return root.clone();
  }

  /** A session that lives, and which process heard of it last. */
  byte[] session(SessionId session) {
    ByteBuffer key = buffer('S', SessionId.BYTES);
    session.write(key);
    return key.array();
  }

  Range sessions() {
    return Range.startsWith(buffer('S', 0).array());
  }

  SessionId sessionOf(byte[] key) {
    return SessionId.read(ByteBuffer.wrap(key, root.length + 1, SessionId.BYTES));
  }

  /** For a process: somebody waits for a lease of a session. */
  byte[] letter(long process, SessionId holder, DatabaseId database) {
    ByteBuffer key =
        buffer('M', PROCESS_BYTES + SessionId.BYTES + DatabaseId.BYTES).putLong(process);
    holder.write(key);
    database.write(key);
    return key.array();
  }

  Range letters(long process) {
    return Range.startsWith(buffer('M', PROCESS_BYTES).putLong(process).array());
  }

  SessionId letterHolder(byte[] key) {
    return SessionId.read(ByteBuffer.wrap(key, root.length + 1 + PROCESS_BYTES, SessionId.BYTES));
  }

  DatabaseId letterDatabase(byte[] key) {
    return DatabaseId.read(
        ByteBuffer.wrap(key, root.length + 1 + PROCESS_BYTES + SessionId.BYTES, DatabaseId.BYTES));
  }

  /** Changes when there is a letter for a process. */
  byte[] bell(long process) {
    return buffer('W', PROCESS_BYTES).putLong(process).array();
  }

  // ---- Of a database

  Range allDatabases() {
    return Range.startsWith(buffer('D', 0).array());
  }

  /** All that belongs to a database, its name aside. */
  Range all(DatabaseId database) {
    return Range.startsWith(prefix(database, 0).array());
  }

  byte[] created(DatabaseId database) {
    return of(database, 'd');
  }

  byte[] head(DatabaseId database) {
    return of(database, 'h');
  }

  byte[] lease(DatabaseId database) {
    return of(database, 'l');
  }

  byte[] oldest(DatabaseId database) {
    return of(database, 'o');
  }

  byte[] retention(DatabaseId database) {
    return of(database, 'e');
  }

  byte[] collected(DatabaseId database) {
    return of(database, 'k');
  }

  /** There as long as a database that was dropped is needed by forks. */
  byte[] dropped(DatabaseId database) {
    return of(database, 'x');
  }

  byte[] version(DatabaseId database, long version) {
    return numbered(database, 'v', version);
  }

  /** Versions in [from, to). */
  Range versions(DatabaseId database, long from, long to) {
    return new Range(version(database, from), version(database, to));
  }

  long versionOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(root.length + 1 + DatabaseId.BYTES + 1);
  }

  /** Under which numbers the images of a version are, if not INLINE alone. */
  byte[] attempts(DatabaseId database, long version) {
    return numbered(database, 'g', version);
  }

  byte[] restored(DatabaseId database, CommitId commit) {
    ByteBuffer key = prefix(database, 1 + CommitId.BYTES).put((byte) 'r');
    commit.write(key);
    return key.array();
  }

  Range restored(DatabaseId database) {
    return Range.startsWith(of(database, 'r'));
  }

  byte[] changed(DatabaseId database, long version, long attempt, int chunk) {
    return prefix(database, 1 + Long.BYTES + ATTEMPT_BYTES + Integer.BYTES)
        .put((byte) 'c')
        .putLong(version)
        .putLong(attempt)
        .putInt(chunk)
        .array();
  }

  Range changed(DatabaseId database, long version, long attempt) {
    byte[] key =
        prefix(database, 1 + Long.BYTES + ATTEMPT_BYTES)
            .put((byte) 'c')
            .putLong(version)
            .putLong(attempt)
            .array();
    return Range.startsWith(key);
  }

  /** Lists of the versions in [from, to). */
  Range changedIn(DatabaseId database, long from, long to) {
    return new Range(numbered(database, 'c', from), numbered(database, 'c', to));
  }

  long changedAttempt(byte[] key) {
    return ByteBuffer.wrap(key).getLong(root.length + 1 + DatabaseId.BYTES + 1 + Long.BYTES);
  }

  byte[] stage(DatabaseId database, SessionId session, StageId stage) {
    ByteBuffer key = prefix(database, 1 + SessionId.BYTES + StageId.BYTES).put((byte) 's');
    session.write(key);
    stage.write(key);
    return key.array();
  }

  Range stages(DatabaseId database, SessionId session) {
    ByteBuffer key = prefix(database, 1 + SessionId.BYTES).put((byte) 's');
    session.write(key);
    return Range.startsWith(key.array());
  }

  Range stages(DatabaseId database) {
    return Range.startsWith(of(database, 's'));
  }

  SessionId stagingSession(byte[] key) {
    return SessionId.read(
        ByteBuffer.wrap(key, root.length + 1 + DatabaseId.BYTES + 1, SessionId.BYTES));
  }

  StageId stageOf(byte[] key) {
    return StageId.read(ByteBuffer.wrap(key, afterKind() + SessionId.BYTES, StageId.BYTES));
  }

  /** Staged images that nothing needs. */
  byte[] abandoned(DatabaseId database, long version, long attempt) {
    return prefix(database, 1 + Long.BYTES + ATTEMPT_BYTES)
        .put((byte) 'a')
        .putLong(version)
        .putLong(attempt)
        .array();
  }

  Range abandoned(DatabaseId database) {
    return Range.startsWith(of(database, 'a'));
  }

  long abandonedAttempt(byte[] key) {
    return changedAttempt(key);
  }

  byte[] fork(DatabaseId database, long version, DatabaseId fork) {
    ByteBuffer key =
        prefix(database, 1 + Long.BYTES + DatabaseId.BYTES).put((byte) 't').putLong(version);
    fork.write(key);
    return key.array();
  }

  Range forks(DatabaseId database) {
    return Range.startsWith(of(database, 't'));
  }

  /** Forks of versions in [from, to). */
  Range forks(DatabaseId database, long from, long to) {
    return new Range(numbered(database, 't', from), numbered(database, 't', to));
  }

  byte[] keptForFork(DatabaseId database, long version, long page) {
    return prefix(database, 1 + Long.BYTES + Integer.BYTES)
        .put((byte) 'u')
        .putLong(version)
        .putInt((int) page)
        .array();
  }

  Range keptForFork(DatabaseId database, long version) {
    return Range.startsWith(numbered(database, 'u', version));
  }

  long keptPage(byte[] key) {
    return Integer.toUnsignedLong(
        ByteBuffer.wrap(key).getInt(root.length + 1 + DatabaseId.BYTES + 1 + Long.BYTES));
  }

  /** A fork of this version is gone. */
  byte[] forkGone(DatabaseId database, long version) {
    return numbered(database, 'z', version);
  }

  Range forksGone(DatabaseId database) {
    return Range.startsWith(of(database, 'z'));
  }

  /** Sizes and bytes of all side files. */
  Range files(DatabaseId database) {
    return new Range(of(database, 'F'), of(database, 'H'));
  }

  byte[] fileSize(DatabaseId database, String file) {
    return inFile(database, 'F', file, 0).array();
  }

  byte[] fileChunk(DatabaseId database, String file, long chunk) {
    return inFile(database, 'G', file, Long.BYTES).putLong(chunk).array();
  }

  long chunkOf(byte[] key) {
    return ByteBuffer.wrap(key).getLong(key.length - Long.BYTES);
  }

  private ByteBuffer inFile(DatabaseId database, char kind, String file, int more) {
    byte[] name = file.getBytes(StandardCharsets.UTF_8);
    return prefix(database, 1 + name.length + 1 + more)
        .put((byte) kind)
        .put(name)
        .put((byte) 0); // no name has one, so none is the beginning of another
  }

  // ---- Images

  byte[] image(DatabaseId database, long page, long version, long attempt) {
    return prefix(database, 1 + Integer.BYTES + Long.BYTES + ATTEMPT_BYTES)
        .put((byte) 'p')
        .putInt((int) page)
        .putLong(~version)
        .putLong(attempt)
        .array();
  }

  /** Before all images of a page at a version or below it. */
  byte[] imagesFrom(DatabaseId database, long page, long version) {
    return prefix(database, 1 + Integer.BYTES + Long.BYTES)
        .put((byte) 'p')
        .putInt((int) page)
        .putLong(~version)
        .array();
  }

  /** Behind all images of a page. */
  byte[] imagesEnd(DatabaseId database, long page) {
    byte[] last = prefix(database, 1 + Integer.BYTES).put((byte) 'p').putInt((int) page).array();
    return ByteArrayUtil.strinc(last);
  }

  /** All images of all pages. */
  Range images(DatabaseId database) {
    return Range.startsWith(of(database, 'p'));
  }

  private int afterKind() {
    return root.length + 1 + DatabaseId.BYTES + 1;
  }

  long imagePage(byte[] key) {
    return Integer.toUnsignedLong(ByteBuffer.wrap(key).getInt(afterKind()));
  }

  long imageVersion(byte[] key) {
    return ~ByteBuffer.wrap(key).getLong(afterKind() + Integer.BYTES);
  }

  long imageAttempt(byte[] key) {
    return ByteBuffer.wrap(key).getLong(afterKind() + Integer.BYTES + Long.BYTES);
  }

  // ---- How keys are made

  private byte[] of(DatabaseId database, char kind) {
    return prefix(database, 1).put((byte) kind).array();
  }

  private byte[] numbered(DatabaseId database, char kind, long number) {
    return prefix(database, 1 + Long.BYTES).put((byte) kind).putLong(number).array();
  }

  /** With room for more, and positioned there. */
  private ByteBuffer prefix(DatabaseId database, int more) {
    ByteBuffer key = buffer('D', DatabaseId.BYTES + more);
    database.write(key);
    return key;
  }

  private ByteBuffer buffer(char kind, int more) {
    return ByteBuffer.allocate(root.length + 1 + more).put(root).put((byte) kind);
  }

  private byte[] utf8(byte kind, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return buffer((char) kind, bytes.length).put(bytes).array();
  }
}
