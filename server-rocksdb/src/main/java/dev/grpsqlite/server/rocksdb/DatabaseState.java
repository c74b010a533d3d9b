package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.SessionId;
import dev.grpsqlite.server.spi.StageId;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What is needed of a database again and again, as it is stored: nothing is here that is not
 * durable, the stages aside.
 *
 * <p>The volatile fields are what readers see. Head, lease and floor are written by the commit
 * thread alone, once what they say is durable; what it has decided but not yet written is in the
 * {@code next} fields, which no other thread touches. Stages come and go under the object's lock.
 */
final class DatabaseState {
  final DatabaseId id;
  final long number;
  final String name;
  final Instant createdAt;

  volatile VersionRecord head;
  volatile LeaseState lease;

  /** The oldest version that can be read. */
  volatile long oldest;

  /**
   * This object is not the database's any more: it was dropped, or the object made room for others.
   * Whoever finds this set looks the database up again.
   */
  volatile boolean stale;

  /** Was looked up since the last search for objects that can go. */
  volatile boolean used = true;

  private volatile List<Stage> stages;

  // The commit thread's.
  VersionRecord nextHead;
  LeaseState nextLease;

  /** The collector has been told durably that there is something to collect. */
  boolean toCollect;

  DatabaseState(
      DatabaseId id,
      long number,
      String name,
      Instant createdAt,
      VersionRecord head,
      LeaseState lease,
      long oldest,
      boolean toCollect,
      List<Stage> stages) {
    this.id = id;
    this.number = number;
    this.name = name;
    this.createdAt = createdAt;
    this.head = head;
    this.lease = lease;
    this.oldest = oldest;
    this.toCollect = toCollect;
    this.stages = List.copyOf(stages);
    this.nextHead = head;
    this.nextLease = lease;
  }

  DatabaseInfo info() {
    VersionRecord now = head;
    return new DatabaseInfo(
        id, name, now.snapshot(), oldest, createdAt, Instant.ofEpochMilli(now.committedAtMillis()));
  }

  /** Those that wait for their commit, and those whose pages are still being deleted. */
  List<Stage> stages() {
    return stages;
  }

  @Nullable Stage stage(SessionId session, StageId stage) {
    for (Stage each : stages) {
      if (each.is(session, stage)) {
        return each;
      }
    }
    return null;
  }

  /** Says whether it could, which it can't if this object is stale. */
  synchronized boolean add(Stage stage) {
    if (stale) {
      return false;
    }
    List<Stage> more = new ArrayList<>(stages);
    more.add(stage);
    stages = List.copyOf(more);
    return true;
  }

  synchronized void remove(Stage stage) {
    List<Stage> fewer = new ArrayList<>(stages);
    fewer.remove(stage);
    stages = List.copyOf(fewer);
  }

  /** Makes this object stale if it can be forgotten. The commit thread's. */
  synchronized boolean retire() {
    if (stages.isEmpty()) {
      stale = true;
    }
    return stale;
  }

  /** An attempt number that no stage of that version has. Protected by the stage thread's order. */
  int freeAttempt(long version) {
    int attempt = Keys.INLINE;
    for (Stage each : stages) {
      if (each.version == version) {
        attempt = Math.max(attempt, each.attempt);
      }
    }
    return attempt + 1;
  }
}
