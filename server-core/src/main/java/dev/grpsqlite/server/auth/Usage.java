package dev.grpsqlite.server.auth;

import dev.grpsqlite.server.spi.Commit;
import dev.grpsqlite.server.spi.CommitId;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.DatabaseInfo;
import dev.grpsqlite.server.spi.Snapshot;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * How large the databases of a store are, together by quota: counted once, then kept up with what
 * is committed. Some 200 bytes for each database. What is under way counts as if it were done, so
 * that two commits cannot share the room for one; sent twice, it counts once.
 *
 * <p>Thread-safe by its monitor, under which nothing waits.
 */
final class Usage {
  /** Of one quota. */
  private static final class Total {
    private final Quota quota;
    private long databases;
    private long bytes;

    Total(Quota quota) {
      this.quota = quota;
    }
  }

  private static final class Entry {
    private final String name;
    private List<Total> totals = List.of();
    private long version = -1;
    private long bytes;
    private final List<Pending> pending = new ArrayList<>();

    Entry(String name) {
      this.name = name;
    }

    long counted() {
      return pending.stream().mapToLong(each -> each.bytes).reduce(bytes, Math::max);
    }
  }

  /** A commit under way. */
  record Pending(CommitId id, long bytes) {}

  private final Map<DatabaseId, Entry> entries = new HashMap<>();

  /** Databases that are being made, as if they were there. */
  private final Map<String, Entry> making = new HashMap<>();

  private final Set<DatabaseId> dropped = new HashSet<>();
  private List<Quota> quotas = List.of();
  private List<Total> totals = List.of();

  static long bytes(Snapshot snapshot) {
    return snapshot.pageSize() * snapshot.pageCount();
  }

  static long bytes(Commit commit) {
    return commit.pageSize() * commit.pageCount();
  }

  /** Counts by these quotas from now on. */
  synchronized void countBy(List<Quota> newQuotas) {
    if (newQuotas.equals(quotas)) {
      return;
    }
    quotas = newQuotas;
    totals = newQuotas.stream().map(Total::new).toList();
    entries.values().forEach(this::enter);
    making.values().forEach(this::enter);
  }

  private void enter(Entry entry) {
    entry.totals =
        totals.stream().filter(total -> total.quota.pattern().matches(entry.name)).toList();
    long bytes = entry.counted();
    for (Total total : entry.totals) {
      total.databases++;
      total.bytes += bytes;
    }
  }

  private static void leave(Entry entry) {
    long bytes = entry.counted();
    for (Total total : entry.totals) {
      total.databases--;
      total.bytes -= bytes;
    }
  }

  /** A database as it was seen. What is newer is known already stays. */
  synchronized void seen(DatabaseInfo info) {
    if (dropped.contains(info.id())) {
      return;
    }
    Entry entry = entries.get(info.id());
    if (entry == null) {
      entry = new Entry(info.name());
      entries.put(info.id(), entry);
      enter(entry);
    }
    update(entry, info.head().version(), bytes(info.head()));
  }

  private static void update(Entry entry, long version, long bytes) {
    if (version > entry.version) {
      long before = entry.counted();
      entry.version = version;
      entry.bytes = bytes;
      add(entry, entry.counted() - before);
    }
  }

  private static void add(Entry entry, long bytes) {
    entry.totals.forEach(total -> total.bytes += bytes);
  }

  /** All databases have been seen: who was dropped meanwhile need not be remembered. */
  synchronized void allSeen() {
    dropped.clear();
  }

  /** As it was made. */
  synchronized void forget() {
    entries.clear();
    making.clear();
    dropped.clear();
    quotas = List.of();
    totals = List.of();
  }

  /**
   * @param whileCounting whether an older look at it may still be under way
   */
  synchronized void dropped(DatabaseId database, boolean whileCounting) {
    Entry entry = entries.remove(database);
    if (entry != null) {
      leave(entry);
    }
    if (whileCounting) {
      dropped.add(database);
    }
  }

  /**
   * Takes room for a commit that makes a database this large.
   *
   * @return null if there is none: see {@link #refusal}. What shrinks always has room
   */
  synchronized @Nullable Pending begin(DatabaseId database, CommitId id, long bytes) {
    Pending pending = new Pending(id, bytes);
    Entry entry = entries.get(database);
    if (entry == null) {
      return pending; // It does not exist; the store will say so.
    }
    long growth = bytes - entry.counted();
    boolean again = entry.pending.stream().anyMatch(each -> each.id.equals(id));
    if (growth > 0 && !again && problem(entry, bytes, growth, 0) != null) {
      return null;
    }
    entry.pending.add(pending);
    add(entry, Math.max(0, growth));
    return pending;
  }

  /**
   * Takes room for the commits of a group together, or for none of them. What one of them gives up
   * is no room for another before they are made.
   *
   * @return of each commit, in their order. Fails with QUOTA
   */
  synchronized List<Pending> beginAll(List<Commit> commits) {
    List<Pending> begun = new ArrayList<>();
    for (Commit commit : commits) {
      Pending pending = begin(commit.database(), commit.id(), bytes(commit));
      if (pending == null) {
        StoreException refusal = refusal(commit.database(), bytes(commit));
        for (int i = 0; i < begun.size(); i++) {
          end(commits.get(i).database(), begun.get(i), -1);
        }
        throw refusal;
      }
      begun.add(pending);
    }
    return begun;
  }

  /** The commit made this version, or (-1) none. */
  synchronized void end(DatabaseId database, Pending pending, long version) {
    Entry entry = entries.get(database);
    if (entry == null) {
      return;
    }
    long before = entry.counted();
    entry.pending.remove(pending);
    if (version > entry.version) {
      entry.version = version;
      entry.bytes = pending.bytes;
    }
    add(entry, entry.counted() - before);
  }

  synchronized StoreException refusal(DatabaseId database, long bytes) {
    Entry entry = entries.get(database);
    String problem = entry == null ? null : problem(entry, bytes, bytes - entry.counted(), 0);
    return new StoreException(Code.QUOTA, problem == null ? "there was no room" : problem);
  }

  /**
   * Takes room for a new database.
   *
   * @return whether this caller took it, and is to say when it is {@link #made}; fails with QUOTA
   */
  synchronized boolean beginMaking(String name, long bytes) {
    if (making.containsKey(name)) {
      return false;
    }
    Entry entry = new Entry(name);
    entry.bytes = bytes;
    entry.totals = totals.stream().filter(total -> total.quota.pattern().matches(name)).toList();
    String problem = problem(entry, bytes, bytes, 1);
    if (problem != null) {
      throw new StoreException(Code.QUOTA, problem);
    }
    making.put(name, entry);
    enter(entry);
    return true;
  }

  synchronized void made(String name) {
    Entry entry = making.remove(name);
    if (entry != null) {
      leave(entry);
    }
  }

  private static @Nullable String problem(Entry entry, long bytes, long growth, long databases) {
    for (Total total : entry.totals) {
      Quota quota = total.quota;
      if (bytes > quota.databaseBytes()) {
        return entry.name + " would have " + bytes + " bytes of at most " + quota.databaseBytes();
      }
      if (total.bytes + growth > quota.bytes()) {
        return "the databases "
            + quota.pattern()
            + " would have "
            + (total.bytes + growth)
            + " bytes together, of at most "
            + quota.bytes();
      }
      if (total.databases + databases > quota.databases() && databases > 0) {
        return "there are "
            + total.databases
            + " databases "
            + quota.pattern()
            + ", and no more are allowed";
      }
    }
    return null;
  }
}
