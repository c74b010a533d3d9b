package dev.grpsqlite.server.spi;

import java.time.Duration;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;

/**
 * What the servers that share one engine know of each other: which sessions live, who waits for
 * whose lease, and that something moved. A store that only one server can have open has {@link
 * #NONE}.
 *
 * <p>Each session has a record in the engine, which the server that hears of the session changes. A
 * server that sees a record stand still for a TTL, by its own clock, takes the session for dead and
 * removes the record, which is final: so no two clocks are compared, and no session that a client
 * still trusts in loses a lease.
 *
 * <p>Thread-safe; futures as in {@link PageStore}.
 */
public interface Neighbours {
  /** There is no other server. */
  Neighbours NONE =
      new Neighbours() {
        @Override
        public boolean canBe() {
          return false;
        }

        @Override
        public void listen(Listener listener, LongSupplier nanoTime, Duration ttl) {}

        @Override
        public CompletableFuture<OptionalLong> heard(
            SessionId session, boolean opened, long incarnation) {
          return CompletableFuture.completedFuture(OptionalLong.of(incarnation));
        }

        @Override
        public CompletableFuture<Boolean> ended(SessionId session, boolean closed) {
          return CompletableFuture.completedFuture(true);
        }

        @Override
        public CompletableFuture<Boolean> isDead(SessionId session) {
          return CompletableFuture.completedFuture(true);
        }

        @Override
        public void askToYield(SessionId holder, DatabaseId database, long epoch) {}

        @Override
        public void watchHead(DatabaseId database, BooleanSupplier wanted) {}

        @Override
        public void watchLease(DatabaseId database) {}
      };

  /** Whether several servers can share the engine. The other methods matter only then. */
  boolean canBe();

  /**
   * Whom to tell what others did, and by which clock sessions die. To be called once, before the
   * first session.
   */
  void listen(Listener listener, LongSupplier nanoTime, Duration ttl);

  /**
   * A session was heard of. Complete when every server can know, so only then is its client told.
   *
   * @param opened it may be new, and is begun then
   * @param incarnation the number by which this server knows it
   * @return the number by which all do, not 0: another one if it was over, and so without what it
   *     had, and is begun again; empty if it was taken for dead, and is over for good
   */
  CompletableFuture<OptionalLong> heard(SessionId session, boolean opened, long incarnation);

  /**
   * A session has ended here.
   *
   * @param closed its client said so; else it was not heard of here for a TTL
   * @return false if it lives on at another server, so that what it had is not to be given back
   */
  CompletableFuture<Boolean> ended(SessionId session, boolean closed);

  /**
   * Whether a session that is not alive here is over for good: it ended, or was not heard of by
   * anybody for a TTL.
   */
  CompletableFuture<Boolean> isDead(SessionId session);

  /** Has the server that last heard of the holder of a lease ask it to yield. */
  void askToYield(SessionId holder, DatabaseId database, long epoch);

  /** Tells the listener whenever the head of a database may have moved, as long as it is wanted. */
  void watchHead(DatabaseId database, BooleanSupplier wanted);

  /** Tells the listener once, when the lease of a database may have changed. */
  void watchLease(DatabaseId database);

  /** Called on the store's threads; does not block. */
  interface Listener {
    void headMayHaveMoved(DatabaseId database);

    void leaseMayBeFree(DatabaseId database);

    /** Somebody at another server waits for a lease of a session that was here. */
    void leaseWanted(SessionId holder, DatabaseId database, long epoch);
  }
}
