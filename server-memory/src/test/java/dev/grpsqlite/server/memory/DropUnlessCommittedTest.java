package dev.grpsqlite.server.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.LeaseWish;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.ReadDelegations;
import dev.grpsqlite.server.session.Session;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Versions;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A database that goes with the session which was to commit to it, while another opens it. */
class DropUnlessCommittedTest {
  private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
  private final SessionTable sessions =
      new SessionTable(() -> 0, Duration.ofSeconds(10), SessionLimits.DEFAULTS);
  private final MemoryPageStore memory = new MemoryPageStore(sessions, Clock.systemUTC());
  private final ArrayDeque<Runnable> heldBack = new ArrayDeque<>();

  /** The method that waits until it is run. */
  private String slow = "";

  private final AnnouncingStore store =
      new AnnouncingStore(
          HeldBackStore.of(memory, (method, arguments) -> method.equals(slow), heldBack),
          new ReadDelegations(() -> 0, timer));
  private final Leases leases = new Leases(store, sessions, new Heads(store), () -> 0, timer);
  private final DatabaseId database = store.findOrCreate("db").join().id();
  private final Session other = sessions.open(new SessionId(2, 2), "other", "");

  DropUnlessCommittedTest() {
    Versions unused = new Versions(store, sessions, leases, timer); // which drops
  }

  @AfterEach
  void stop() {
    assertTrue(heldBack.isEmpty());
    timer.shutdownNow();
    store.close();
  }

  /** Ends the session that was to commit. */
  private void end() {
    Session importing = sessions.open(new SessionId(1, 1), "import", "");
    importing.dropUnlessCommitted(database);
    CompletableFuture<Void> unused = sessions.close(importing.id(), "");
  }

  @Test
  void whoOpensItWhileItIsDroppedWaitsAndFindsNone() {
    slow = "drop";
    end();
    assertEquals(1, heldBack.size(), "its drop");
    Session.PendingView view = other.enterView(database, 0);
    CompletableFuture<Void> decided = leases.whenNotBeingDropped(database);
    assertFalse(decided.isDone());
    heldBack.remove().run();
    decided.join();
    assertTrue(store.find("db").join().isEmpty());
    view.failed();
    assertTrue(leases.whenNotBeingDropped(database).isDone());
  }

  @Test
  void whatIsOpenBeforeTheLastLookStays() {
    slow = "info";
    end();
    heldBack.remove().run(); // the first look: is it worth a session?
    assertEquals(1, heldBack.size(), "the last look");
    Session.PendingView view = other.enterView(database, 0);
    CompletableFuture<Void> decided = leases.whenNotBeingDropped(database);
    heldBack.remove().run();
    decided.join();
    view.established(0);
    assertTrue(store.find("db").join().isPresent());
    assertTrue(leases.acquire(other, database, LeaseWish.ANY).join().isGranted());
  }
}
