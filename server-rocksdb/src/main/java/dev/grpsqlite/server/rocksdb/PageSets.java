package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Engine.Tier;
import dev.grpsqlite.server.spi.PageSet;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StoreException;
import java.util.HashMap;
import java.util.Map;
import org.rocksdb.RocksDBException;
import org.rocksdb.RocksIterator;

/**
 * The sets of pages of all stages, which are in the heap, and how much they take together. No
 * session gets more than twice what is left then for the others: so one that stages pages far apart
 * from each other, of which each takes much, leaves room for those whose sets are small, which are
 * most. The stage thread's own.
 */
final class PageSets {
  private final Engine engine;
  private final long most;
  private long taken;
  private final Map<SessionId, Long> takenBySession = new HashMap<>();

  /**
   * @param most bytes of the heap
   */
  PageSets(Engine engine, long most) {
    this.engine = engine;
    this.most = most;
  }

  /** Fails with LIMIT if there is no room for what a session wants to stage. */
  void checkRoom(SessionId session, long[] pages) {
    long more = PageSet.mostBytes(pages);
    long left = most - taken - more;
    if (takenBySession.getOrDefault(session, 0L) + more > 2 * left) {
      throw noRoom();
    }
  }

  private StoreException noRoom() {
    return RocksErrors.limit(
        ("the numbers of the staged pages take %d bytes of memory, and may take %d;"
                + " try again when other transactions are over, or in smaller ones")
            .formatted(taken, most));
  }

  /** Adds pages for which there is room. */
  void add(Stage stage, long[] pages) {
    stage.pages.addAll(pages);
    count(stage, stage.pages.bytes());
  }

  private void count(Stage stage, long bytes) {
    SessionId session = stage.record.session();
    long more = bytes - stage.counted;
    long ofSession = takenBySession.getOrDefault(session, 0L) + more;
    if (ofSession == 0) {
      takenBySession.remove(session);
    } else {
      takenBySession.put(session, ofSession);
    }
    taken += more;
    stage.counted = bytes;
  }

  /**
   * Has the set of a stage that an earlier run left. This is not done before somebody wants it: the
   * server can start whatever was staged. If it fails, it can be tried again.
   */
  void read(Stage stage) throws RocksDBException {
    if (!stage.unread) {
      return;
    }
    byte[] prefix = Keys.changed(stage.database, stage.version, stage.attempt);
    int chunks = 0;
    try (RocksIterator each = engine.metaIterator(Tier.DISK)) {
      each.seek(prefix);
      for (; each.isValid() && Keys.startsWith(each.key(), prefix); each.next()) {
        chunks = Keys.chunkOf(each.key()) + 1;
        long[] pages = Values.pages(each.value());
        if (taken + PageSet.mostBytes(pages) > most) {
          throw noRoom(); // shares don't matter: each had what was right when it was staged
        }
        add(stage, pages);
      }
      each.status();
    } catch (RocksDBException | StoreException e) {
      release(stage);
      throw e;
    }
    stage.chunks = chunks;
    stage.unread = false;
  }

  /** Gives the set of a stage to one that has the same pages. */
  void move(Stage from, Stage to) {
    to.pages = from.pages;
    release(from);
    count(to, to.pages.bytes());
  }

  /** Forgets the set of a stage that nobody looks at any more. */
  void release(Stage stage) {
    count(stage, 0);
    stage.pages = new PageSet();
  }
}
