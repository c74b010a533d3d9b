package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.rocksdb.Values.Created;
import dev.grpsqlite.server.rocksdb.Values.Forked;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.LeaseState;
import dev.grpsqlite.server.spi.Retention;
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

  /** Version 0. */
  final VersionRecord first;

  /** If it is a fork: its own fork point, its parent's, and so on. */
  final List<Forked> origins;

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

  /** Its own; null where the store's setting holds. */
  volatile @Nullable Retention retention;

  private volatile List<Stage> stages;

  // The commit thread's.
  VersionRecord nextHead;
  LeaseState nextLease;
  @Nullable Retention nextRetention;

  /** The collector has been told durably that there is something to collect. */
  boolean toCollect;

  DatabaseState(
      long number,
      Created created,
      List<Forked> origins,
      VersionRecord head,
      LeaseState lease,
      @Nullable Retention retention,
      long oldest,
      boolean toCollect,
      List<Stage> stages) {
    this.id = created.id();
    this.number = number;
    this.name = created.name();
    this.createdAt = Instant.ofEpochMilli(created.atMillis());
    this.origins = List.copyOf(origins);
    this.first = first(created, origins);
    this.head = head;
    this.retention = retention;
    this.lease = lease;
    this.oldest = oldest;
    this.toCollect = toCollect;
    this.stages = List.copyOf(stages);
    this.nextHead = head;
    this.nextLease = lease;
    this.nextRetention = retention;
  }

  /** Version 0 of a database. */
  static VersionRecord first(Created created, List<Forked> origins) {
    return origins.isEmpty()
        ? VersionRecord.first(0, 0, created.atMillis())
        : VersionRecord.first(
            origins.get(0).pageSize(), origins.get(0).pageCount(), created.atMillis());
  }

  DatabaseInfo info() {
    long oldestNow = oldest; // before the head, which is never below it
    VersionRecord now = head;
    return new DatabaseInfo(
        id,
        name,
        now.snapshot(),
        oldestNow,
        createdAt,
        Instant.ofEpochMilli(now.committedAtMillis()),
        retention,
        origins.isEmpty() ? null : origins.get(0).told());
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
