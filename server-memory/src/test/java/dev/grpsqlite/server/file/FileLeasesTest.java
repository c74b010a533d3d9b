package dev.grpsqlite.server.file;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.auth.Caller;
import dev.grpsqlite.server.memory.HeldBackStore;
import dev.grpsqlite.server.memory.MemoryPageStore;
import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.ReadDelegations;
import dev.grpsqlite.server.session.SessionException;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.spi.DatabaseId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Leases of the file service, on a disk that takes its time. */
class FileLeasesTest {
  private static final Duration TTL = Duration.ofSeconds(10);
  private static final SessionLimits LIMITS =
      new SessionLimits(10, 10, 10, Long.MAX_VALUE, Long.MAX_VALUE, 1000);

  private final Caller anyone = Access.open().caller(null, null);
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final AtomicLong nanos = new AtomicLong();
  private final SessionTable sessions = new SessionTable(nanos::get, TTL, LIMITS);
  private final MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
  private final DatabaseId database = memory.findOrCreate("db").join().id();
  private final ArrayDeque<Runnable> heldBack = new ArrayDeque<>();
  private final AnnouncingStore store =
      new AnnouncingStore(
          HeldBackStore.of(memory, (method, of) -> method.equals("acquireLease"), heldBack),
          new ReadDelegations(nanos::get, timer));
  private final FileLeases leases =
      new FileLeases(
          store, sessions, new Leases(store, sessions, new Heads(store), nanos::get, timer));

  @AfterEach
  void close() {
    store.close();
    timer.shutdownNow();
  }

  @Test
  void aLeaseHasItsTimeFromWhenItIsGranted() {
    CompletableFuture<Optional<FileLease>> asked = acquire();
    passes(TTL.minusSeconds(1));
    heldBack.remove().run();
    FileLease lease = asked.join().orElseThrow();
    passes(TTL.minusSeconds(1));
    assertTrue(leases.renew(lease, anyone).join());
    passes(TTL);
    assertNull(memory.lease(database).join().holder(), "nobody has renewed it since");
  }

  @Test
  void aLeaseGrantedAfterItsTimeIsGivenBack() {
    CompletableFuture<Optional<FileLease>> asked = acquire();
    passes(TTL);
    heldBack.remove().run();
    CompletionException failure = assertThrows(CompletionException.class, asked::join);
    SessionException cause = assertInstanceOf(SessionException.class, failure.getCause());
    assertEquals(SessionException.Code.NO_SUCH_SESSION, cause.code());
    assertNull(memory.lease(database).join().holder());
  }

  private CompletableFuture<Optional<FileLease>> acquire() {
    return leases.acquire(database, anyone, "");
  }

  private void passes(Duration time) {
    nanos.addAndGet(time.toNanos());
    sessions.expire();
  }
}
