package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.KeyValue;
import com.apple.foundationdb.Range;
import com.apple.foundationdb.tuple.ByteArrayUtil;
import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.SessionId;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The other {@code fdb-server} processes of the cluster. A session's record has the process that
 * last heard of it, a number that was not used before, and the session's incarnation; processes
 * have boxes in which others put what is for them; and what moves is watched by FoundationDB's
 * watches. Thread-safe.
 */
final class FdbNeighbours implements Neighbours {
  private static final Logger log = LoggerFactory.getLogger(FdbNeighbours.class);

  /** A session that is heard of more often is written down this often in a TTL. */
  private static final int WRITES_PER_TTL = 20;

  private static final int RECORDS = 5000;

  /** Long after anybody who waits for a lease would have found out. */
  private static final int SWEPT_AFTER_TTLS = 6;

  /** Each takes some 100 bytes. Who is forgotten is looked at anew, and for longer. */
  private static final int MOST_SEEN = 100_000;

  private static final Executor LATER = CompletableFuture.delayedExecutor(1, TimeUnit.SECONDS);

  private final Transactions transactions;
  private final Keys keys;
  private final long process;
  private final SecureRandom random = new SecureRandom();

  private final ConcurrentHashMap<SessionId, Heard> heardHere = new ConcurrentHashMap<>();

  /** Since when a record has been the same. */
  private final ConcurrentHashMap<SessionId, Heard> seen = new ConcurrentHashMap<>();

  private final Set<DatabaseId> watchedHeads = ConcurrentHashMap.newKeySet();
  private final Set<DatabaseId> watchedLeases = ConcurrentHashMap.newKeySet();

  private volatile @Nullable Listener listener;
  private volatile LongSupplier nanoTime = System::nanoTime;
  private volatile long ttlNanos;
  private volatile boolean reading;

  private record Heard(long number, long nanos) {}

  FdbNeighbours(Transactions transactions, Keys keys, long process) {
    this.transactions = transactions;
    this.keys = keys;
    this.process = process;
  }

  @Override
  public boolean canBe() {
    return true;
  }

  @Override
  public void listen(Listener newListener, LongSupplier clock, Duration ttl) {
    nanoTime = clock;
    ttlNanos = ttl.toNanos();
    listener = newListener;
    lookAround();
    if (!reading) {
      reading = true;
      readBox();
    }
  }

  /** What there is at the beginning begins to stand still now. */
  private void lookAround() {
    Range all = keys.sessions();
    CompletableFuture<Void> unused =
        lookAround(all.begin, all.end, nanoTime.getAsLong())
            .exceptionally(
                error -> {
                  log.warn("sessions of other servers are looked at when it comes to them", error);
                  return null;
                });
  }

  private CompletableFuture<Void> lookAround(byte[] from, byte[] end, long nanos) {
    return transactions
        .read(transaction -> Databases.list(transaction, from, end, RECORDS, false))
        .thenCompose(
            found -> {
              for (KeyValue each : found) {
                note(keys.sessionOf(each.getKey()), number(each.getValue()), nanos);
              }
              return found.size() < RECORDS
                  ? Futures.done()
                  : lookAround(
                      ByteArrayUtil.join(found.get(found.size() - 1).getKey(), new byte[1]),
                      end,
                      nanos);
            });
  }

  // ---- Sessions

  private static byte[] record(long process, long number, long incarnation) {
    return ByteBuffer.allocate(3 * Long.BYTES)
        .putLong(process)
        .putLong(number)
        .putLong(incarnation)
        .array();
  }

  private static long processOf(byte[] record) {
    return ByteBuffer.wrap(record).getLong();
  }

  private static long number(byte[] record) {
    return ByteBuffer.wrap(record).getLong(Long.BYTES);
  }

  private static long incarnation(byte[] record) {
    return ByteBuffer.wrap(record).getLong(2 * Long.BYTES);
  }

  @Override
  public CompletableFuture<OptionalLong> heard(
      SessionId session, boolean opened, long incarnation) {
    long now = nanoTime.getAsLong();
    Heard before = heardHere.get(session);
    if (!opened && before != null && now - before.nanos < ttlNanos / WRITES_PER_TTL) {
      return Futures.done(OptionalLong.of(incarnation));
    }
    long number = random.nextLong();
    // Not this server's: a session that it has may be over for the others, which gave away its own.
    long begun = random.nextLong() | 1;
    byte[] key = keys.session(session);
    return transactions
        .write(
            transaction ->
                transaction
                    .get(key)
                    .thenApply(
                        value -> {
                          if (value == null && !opened) {
                            return OptionalLong.empty();
                          }
                          long is = value == null ? begun : incarnation(value);
                          transaction.set(key, record(process, number, is));
                          return OptionalLong.of(is);
                        }))
        .thenApply(
            is -> {
              if (is.isPresent()) {
                heardHere.put(session, new Heard(number, now));
              } else {
                heardHere.remove(session);
              }
              return is;
            });
  }

  @Override
  public CompletableFuture<Boolean> ended(SessionId session, boolean closed) {
    Heard last = heardHere.remove(session);
    byte[] key = keys.session(session);
    return transactions.write(
        transaction ->
            transaction
                .get(key)
                .thenApply(
                    value -> {
                      if (value == null) {
                        return true;
                      }
                      if (closed || (last != null && number(value) == last.number)) {
                        transaction.clear(key);
                        return true;
                      }
                      return false;
                    }));
  }

  @Override
  public CompletableFuture<Boolean> isDead(SessionId session) {
    byte[] key = keys.session(session);
    return transactions
        .read(transaction -> transaction.get(key))
        .thenCompose(
            value -> {
              if (value == null) {
                seen.remove(session);
                return Futures.done(true);
              }
              long number = number(value);
              long now = nanoTime.getAsLong();
              Heard since = note(session, number, now);
              return now - since.nanos < ttlNanos
                  ? Futures.done(false)
                  : removeIfStill(session, number);
            });
  }

  private Heard note(SessionId session, long number, long nanos) {
    if (seen.size() >= MOST_SEEN) {
      seen.clear();
    }
    return seen.compute(
        session,
        (id, before) ->
            before != null && before.number == number ? before : new Heard(number, nanos));
  }

  /**
   * Removes the records of sessions that nobody hears of any more, and nobody asks for: their
   * clients went, and so did the processes that knew them. To be called now and then.
   *
   * @param ended gives back what such a session had
   */
  CompletableFuture<Void> sweep(Function<SessionId, CompletableFuture<Void>> ended) {
    Range all = keys.sessions();
    return lookAround(all.begin, all.end, nanoTime.getAsLong())
        .thenCompose(
            looked -> {
              long now = nanoTime.getAsLong();
              CompletableFuture<Void> swept = Futures.done();
              for (Map.Entry<SessionId, Heard> each : seen.entrySet()) {
                SessionId session = each.getKey();
                if (now - each.getValue().nanos >= SWEPT_AFTER_TTLS * ttlNanos) {
                  swept =
                      swept
                          .thenCompose(done -> removeIfStill(session, each.getValue().number))
                          .thenCompose(dead -> dead ? ended.apply(session) : Futures.done());
                }
              }
              return swept;
            });
  }

  /** From here on, whoever hears of the session finds that it is over. */
  private CompletableFuture<Boolean> removeIfStill(SessionId session, long number) {
    byte[] key = keys.session(session);
    return transactions
        .write(
            transaction ->
                transaction
                    .get(key)
                    .thenApply(
                        value -> {
                          if (value != null && number(value) != number) {
                            return false;
                          }
                          transaction.clear(key);
                          return true;
                        }))
        .thenApply(
            dead -> {
              if (dead) {
                seen.remove(session);
              }
              return dead;
            });
  }

  // ---- What is for whom

  @Override
  public void askToYield(SessionId holder, DatabaseId database, long epoch) {
    CompletableFuture<Void> unused =
        transactions
            .<Void>write(
                transaction ->
                    transaction
                        .snapshot()
                        .get(keys.session(holder))
                        .thenApply(
                            value -> {
                              if (value != null) {
                                long at = processOf(value);
                                transaction.set(
                                    keys.letter(at, holder, database), Values.number(epoch));
                                transaction.set(keys.bell(at), Values.number(random.nextLong()));
                              }
                              return null;
                            }))
            .exceptionally(
                error -> {
                  log.warn("the holder of a lease was not asked; it will be again", error);
                  return null;
                });
  }

  /** Takes what is in the box, and again whenever the bell rings. */
  private void readBox() {
    CompletableFuture<Void> unused =
        transactions
            .write(
                transaction ->
                    Databases.list(transaction, keys.letters(process))
                        .thenApply(
                            letters -> {
                              transaction.clear(keys.letters(process));
                              return new Box(letters, transaction.watch(keys.bell(process)));
                            }))
            .thenCompose(
                box -> {
                  Listener told = listener;
                  for (KeyValue letter : box.letters) {
                    if (told != null) {
                      told.leaseWanted(
                          keys.letterHolder(letter.getKey()),
                          keys.letterDatabase(letter.getKey()),
                          Values.number(letter.getValue()));
                    }
                  }
                  return box.bell;
                })
            .whenComplete((rung, error) -> again(error, this::readBox));
  }

  private record Box(List<KeyValue> letters, CompletableFuture<Void> bell) {}

  private void again(@Nullable Throwable error, Runnable work) {
    if (error == null) {
      work.run();
    } else if (!transactions.isClosed()) {
      log.debug("a watch failed; it is set again", error);
      LATER.execute(
          () -> {
            if (!transactions.isClosed()) {
              work.run();
            }
          });
    }
  }

  @Override
  public void watchHead(DatabaseId database, BooleanSupplier wanted) {
    if (watchedHeads.add(database)) {
      watchHeadAgain(database, wanted);
    }
  }

  private void watchHeadAgain(DatabaseId database, BooleanSupplier wanted) {
    if (!wanted.getAsBoolean()) {
      watchedHeads.remove(database);
      if (!wanted.getAsBoolean() || !watchedHeads.add(database)) {
        return;
      } // else somebody wants it again, and has found it watched
    }
    CompletableFuture<Void> unused =
        watch(keys.head(database))
            .thenCompose(
                changed -> {
                  Listener told = listener;
                  if (told != null) {
                    told.headMayHaveMoved(database); // perhaps before it was watched
                  }
                  return changed.changed;
                })
            .whenComplete((moved, error) -> again(error, () -> watchHeadAgain(database, wanted)));
  }

  @Override
  public void watchLease(DatabaseId database) {
    if (watchedLeases.add(database)) {
      CompletableFuture<Void> unused =
          watch(keys.lease(database))
              .thenCompose(changed -> changed.changed)
              .whenComplete(
                  (moved, error) -> {
                    watchedLeases.remove(database);
                    Listener told = listener;
                    if (told != null && error == null) {
                      told.leaseMayBeFree(database);
                    }
                  });
    }
  }

  private record Watched(CompletableFuture<Void> changed) {}

  /** Complete when it is watched. */
  private CompletableFuture<Watched> watch(byte[] key) {
    return transactions.write(transaction -> Futures.done(new Watched(transaction.watch(key))));
  }
}
