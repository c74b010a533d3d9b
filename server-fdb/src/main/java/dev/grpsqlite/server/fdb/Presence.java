package dev.grpsqlite.server.fdb;

import static dev.grpsqlite.server.fdb.Futures.get;

import com.apple.foundationdb.KeyValue;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongSupplier;

/**
 * Which processes there are. Each counts in a key of its own; whoever sees a count stand still for
 * long enough, by its own clock, takes the process for dead. So no two clocks are compared.
 *
 * <p>Not thread-safe: the background's own.
 */
final class Presence {
  private final Transactions transactions;
  private final Databases databases;
  private final Keys keys;
  private final Pins pins;
  private final long process;
  private final long deadAfterNanos;
  private final LongSupplier nanoTime;

  /** Since when a count has been seen. */
  private record Seen(long count, long sinceNanos) {}

  private final Map<Long, Seen> others = new HashMap<>();
  private long count;

  Presence(
      Transactions transactions,
      Databases databases,
      Pins pins,
      long process,
      Duration deadAfter,
      LongSupplier nanoTime) {
    this.transactions = transactions;
    this.databases = databases;
    this.keys = databases.keys;
    this.pins = pins;
    this.process = process;
    this.deadAfterNanos = deadAfter.toNanos();
    this.nanoTime = nanoTime;
  }

  /** Says that this process is here; before it pins anything, and now and then. */
  void beat() throws InterruptedException {
    count++;
    boolean wasKnown =
        get(
            transactions.write(
                transaction ->
                    transaction
                        .get(keys.process(process))
                        .thenApply(
                            known -> {
                              transaction.set(keys.beat(process), Values.number(count));
                              if (known == null) {
                                transaction.set(keys.process(process), Values.NOTHING);
                              }
                              return known != null;
                            })));
    if (!wasKnown && count > 1) {
      get(pins.publishAgain());
    }
  }

  /** Removes what dead processes left. */
  void removeDead() throws InterruptedException {
    List<KeyValue> processes =
        get(transactions.read(transaction -> Databases.list(transaction, keys.processes())));
    Set<Long> there = new HashSet<>();
    long now = nanoTime.getAsLong();
    for (KeyValue each : processes) {
      long other = keys.processOf(each.getKey());
      if (other != process) {
        there.add(other);
        long counted =
            get(transactions.read(transaction -> databases.number(transaction, keys.beat(other))));
        Seen seen = others.get(other);
        if (seen == null || seen.count != counted) {
          others.put(other, new Seen(counted, now));
        } else if (now - seen.sinceNanos >= deadAfterNanos) {
          remove(other, counted);
        }
      }
    }
    others.keySet().retainAll(there);
  }

  private void remove(long dead, long counted) throws InterruptedException {
    get(
        transactions.write(
            transaction ->
                databases
                    .number(transaction, keys.beat(dead))
                    .thenAccept(
                        now -> {
                          if (now == counted) {
                            transaction.clear(keys.process(dead));
                            transaction.clear(keys.beat(dead));
                            transaction.clear(keys.pins(dead));
                            transaction.clear(keys.letters(dead));
                            transaction.clear(keys.bell(dead));
                          }
                        })));
  }
}
