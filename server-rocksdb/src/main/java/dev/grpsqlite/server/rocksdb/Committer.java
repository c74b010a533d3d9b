package dev.grpsqlite.server.rocksdb;

import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreException.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.rocksdb.RocksDBException;
import org.rocksdb.WriteBatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one thread that changes what databases are: heads, leases, names. So checks and what they
 * allow are serial without a lock, and changes that arrive while the disk syncs share the next sync
 * (P2). Thread-safe.
 *
 * <p>A group is decided on in memory, change after change, each seeing what those before it
 * decided; then written as one batch, synced if any of them asks for it; then published to the
 * readers; then answered. If the write fails nobody knows what became of it: all are told so, and
 * the databases concerned are read anew. While {@link WriteGuard} says that nothing can be written,
 * changes are decided on one by one, for some only have to be answered, and those that would be
 * written are refused.
 */
final class Committer {
  private static final Logger log = LoggerFactory.getLogger(Committer.class);

  /** Waiting changes: each has a caller that waits too. */
  private static final int WAITING = 4096;

  /** Waiting bytes, which are in the heap. */
  private static final long WAITING_BYTES = 64 << 20;

  /** A group's bounds: beyond them a sync takes so long that the first in it waits for the last. */
  private static final int GROUP = 256;

  private static final long GROUP_BYTES = 8 << 20;

  /** How soon it is noticed that writes can be taken again, or not, when none come. */
  private static final long LOOK_EVERY_MS = 1000;

  private final Engine engine;
  private final Databases databases;
  private final SyncMark mark;
  private final WriteGuard guard;
  private final Engine.PageWriter pageWriter;
  private final BlockingQueue<Change> queue = new ArrayBlockingQueue<>(WAITING);
  private final AtomicLong waitingBytes = new AtomicLong();
  private final Thread thread;
  private final Object closing = new Object();
  private boolean closed; // protected by closing

  Committer(Engine engine, Databases databases, SyncMark mark, WriteGuard guard) {
    this.engine = engine;
    this.databases = databases;
    this.mark = mark;
    this.guard = guard;
    this.pageWriter = engine.new PageWriter();
    this.thread = new Thread(this::run, "rocksdb-commit");
  }

  void start() {
    thread.start();
  }

  /** Puts a change in line, or fails it. */
  void submit(Change change) {
    if (waitingBytes.addAndGet(change.bytes()) > WAITING_BYTES) {
      waitingBytes.addAndGet(-change.bytes());
      change.fail(RocksErrors.limit("too many bytes are waiting to be committed"));
      return;
    }
    StoreException refusal;
    synchronized (closing) {
      if (closed) {
        refusal = RocksErrors.closed();
      } else if (queue.offer(change)) {
        return;
      } else {
        refusal = RocksErrors.limit("too many commits are waiting");
      }
    }
    waitingBytes.addAndGet(-change.bytes());
    change.fail(refusal);
  }

  private void run() {
    Change held = null;
    while (held != Stop.STOP) {
      try {
        if (held == null) {
          held = queue.poll(LOOK_EVERY_MS, TimeUnit.MILLISECONDS);
        }
        guard.look();
        if (held != null) {
          held = commitGroup(held);
          databases.makeRoom();
        }
      } catch (InterruptedException e) {
        log.warn("the commit thread was interrupted, and goes on"); // nobody of ours does that
      }
    }
  }

  /** Returns a change that has to wait for this group, if there is one. */
  private @Nullable Change commitGroup(Change first) {
    Optional<StoreException> refusal = guard.refusal();
    int most = refusal.isPresent() ? 1 : GROUP;
    List<Change> changes = new ArrayList<>();
    List<Runnable> after = new ArrayList<>();
    Change held = first;
    try (WriteBatch batch = new WriteBatch()) {
      Group group = new Group(engine, databases, pageWriter, batch);
      boolean written = false;
      try {
        while (held != null && held != Stop.STOP && group.claim(held.alone())) {
          waitingBytes.addAndGet(-held.bytes());
          changes.add(held);
          after.add(decide(held, group));
          held = changes.size() < most && batch.getDataSize() < GROUP_BYTES ? queue.poll() : null;
        }
        write(group, refusal.filter(why -> first.needsRoom() || guard.hasFailed()));
        written = true;
      } catch (RocksDBException | RuntimeException e) {
        StoreException why = RocksErrors.of(e);
        if (why.code() == Code.STORE_FAILED) {
          log.error("a group of {} changes failed", changes.size(), e);
        }
        group.touched().forEach(databases::readAgain);
        changes.forEach(change -> change.fail(why));
      }
      if (written) {
        after.forEach(Runnable::run);
      }
    }
    return held;
  }

  private static Runnable decide(Change change, Group group) throws RocksDBException {
    try {
      return change.apply(group);
    } catch (StoreException refusal) {
      return () -> change.fail(refusal);
    }
  }

  private void write(Group group, Optional<StoreException> refusal) {
    int count = group.batch.count();
    if (count == 0) {
      return;
    }
    if (refusal.isPresent()) {
      throw refusal.get();
    }
    try {
      if (group.isDurable()) {
        // Writes get consecutive numbers, so the batch ends at this one or, with others, behind it.
        long end = engine.sequence() + count;
        engine.writeSynced(group.batch);
        mark.synced(end);
      } else {
        engine.writeUnsynced(group.batch);
      }
    } catch (RocksDBException e) {
      guard.failed(e);
      throw RocksErrors.unknown(e);
    }
  }

  /** Waits until all that is in line is answered. */
  void close() {
    boolean interrupted = false;
    synchronized (closing) {
      closed = true;
    }
    while (true) {
      try {
        if (thread.isAlive()) {
          queue.put(Stop.STOP);
        }
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** The last in line. */
  private enum Stop implements Change {
    STOP;

    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public Runnable apply(Group group) {
      throw new IllegalStateException("never applied");
    }

    @Override
    public void fail(StoreException why) {}
  }
}
