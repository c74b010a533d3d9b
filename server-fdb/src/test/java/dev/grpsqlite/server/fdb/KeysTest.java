package dev.grpsqlite.server.fdb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.apple.foundationdb.Range;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class KeysTest {
  private static final DatabaseId DATABASE = new DatabaseId(-2, 7);
  private static final DatabaseId OTHER = new DatabaseId(-2, 8);
  private final Keys keys = new Keys("p");

  @Test
  void aPagesImagesAreSideBySideTheNewestFirst() {
    List<byte[]> inOrder =
        List.of(
            keys.image(DATABASE, 1, 3, Keys.INLINE),
            keys.imagesFrom(DATABASE, 2, Long.MAX_VALUE),
            keys.image(DATABASE, 2, 1L << 40, Keys.INLINE),
            keys.imagesFrom(DATABASE, 2, 7),
            keys.image(DATABASE, 2, 7, Keys.INLINE),
            keys.image(DATABASE, 2, 7, 5), // a commit's own pages come before
            keys.image(DATABASE, 2, 7, 5 | 1L << 63), // what a client staged
            keys.imagesFrom(DATABASE, 2, 6),
            keys.image(DATABASE, 2, 0, Keys.INLINE),
            keys.imagesEnd(DATABASE, 2),
            keys.image(DATABASE, 4_294_967_294L, 0, Keys.INLINE),
            keys.imagesEnd(DATABASE, 4_294_967_294L));
    assertAscending(inOrder);
    byte[] key = keys.image(DATABASE, 4_294_967_294L, 1L << 40, -3);
    assertEquals(4_294_967_294L, keys.imagePage(key));
    assertEquals(1L << 40, keys.imageVersion(key));
    assertEquals(-3, keys.imageAttempt(key));
  }

  private static void assertAscending(List<byte[]> keys) {
    for (int i = 1; i < keys.size(); i++) {
      assertTrue(ByteArrayUtil.compareUnsigned(keys.get(i - 1), keys.get(i)) <= 0, "number " + i);
    }
  }

  @Test
  void allOfADatabaseIsInOneRangeAndNothingOfAnother() {
    Range all = keys.all(DATABASE);
    List<byte[]> inside = ofDatabase(DATABASE);
    for (int i = 0; i < inside.size(); i++) {
      assertTrue(isIn(all, inside.get(i)), "number " + i);
    }
    for (byte[] key : ofDatabase(OTHER)) {
      assertFalse(isIn(all, key));
    }
    for (byte[] key : ofStore(keys)) {
      assertFalse(isIn(all, key));
    }
  }

  @Test
  void noTwoKindsHaveTheSameKey() {
    List<byte[]> all = new ArrayList<>(ofDatabase(DATABASE));
    all.addAll(ofStore(keys));
    for (int i = 0; i < all.size(); i++) {
      for (int j = 0; j < i; j++) {
        assertFalse(ByteArrayUtil.startsWith(all.get(i), all.get(j)), "number " + i + " and " + j);
      }
    }
  }

  @Test
  void storesOfOtherPrefixesAreApart() {
    for (String other : List.of("", "q", "pp", "p\0", "p\0N")) {
      Range theirs = Range.startsWith(new Keys(other).root());
      for (byte[] key : ofStore(keys)) {
        assertFalse(isIn(theirs, key), other);
      }
    }
  }

  @Test
  void whatIsInAKeyIsReadBack() {
    SessionId session = new SessionId(3, -4);
    StageId stage = new StageId(-5, 6);
    byte[] staged = keys.stage(DATABASE, session, stage);
    assertEquals(session, keys.stagingSession(staged));
    assertEquals(stage, keys.stageOf(staged));
    byte[] index = keys.stagedBy(session, DATABASE, stage);
    assertEquals(DATABASE, keys.stagedFor(index));
    assertEquals(stage, keys.stageOfIndex(index));
    assertTrue(isIn(keys.stagedBy(session), index));
    byte[] changed = keys.changed(DATABASE, 9, -10, 11);
    assertEquals(9, keys.versionOf(changed));
    assertEquals(-10, keys.changedAttempt(changed));
    assertTrue(isIn(keys.changed(DATABASE, 9, -10), changed));
    assertTrue(isIn(keys.changedIn(DATABASE, 9, 10), changed));
    assertFalse(isIn(keys.changedIn(DATABASE, 10, 12), changed));
    assertEquals(12, keys.versionOf(keys.version(DATABASE, 12)));
    assertEquals(-13, keys.processOf(keys.process(-13)));
    assertEquals(DATABASE, keys.todoOf(keys.todo(DATABASE)));
    assertEquals("ä/b", keys.nameOf(keys.name("ä/b")));
    assertEquals(4_294_967_294L, keys.keptPage(keys.keptForFork(DATABASE, 14, 4_294_967_294L)));
    assertEquals(15, keys.chunkOf(keys.fileChunk(DATABASE, "wal", 15)));
  }

  private List<byte[]> ofDatabase(DatabaseId id) {
    return List.of(
        keys.created(id),
        keys.head(id),
        keys.lease(id),
        keys.oldest(id),
        keys.retention(id),
        keys.collected(id),
        keys.dropped(id),
        keys.version(id, 1),
        keys.attempts(id, 1),
        keys.restored(id, new CommitId(1, 1)),
        keys.changed(id, 1, 1, 1),
        keys.stage(id, new SessionId(1, 1), new StageId(1, 1)),
        keys.abandoned(id, 1, 1),
        keys.fork(id, 1, OTHER),
        keys.keptForFork(id, 1, 1),
        keys.forkGone(id, 1),
        keys.fileSize(id, "f"),
        keys.fileChunk(id, "f", 1),
        keys.fileChunk(id, "f2", 1),
        keys.image(id, 1, 1, 0));
  }

  private static List<byte[]> ofStore(Keys keys) {
    return List.of(
        keys.layout(),
        keys.name("a"),
        keys.todo(DATABASE),
        keys.stagedBy(new SessionId(1, 1), DATABASE, new StageId(1, 1)),
        keys.process(1),
        keys.beat(1),
        keys.pin(1, DATABASE));
  }

  private static boolean isIn(Range range, byte[] key) {
    return ByteArrayUtil.compareUnsigned(range.begin, key) <= 0
        && ByteArrayUtil.compareUnsigned(key, range.end) < 0;
  }
}
