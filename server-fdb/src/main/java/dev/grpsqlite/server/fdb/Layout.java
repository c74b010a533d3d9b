package dev.grpsqlite.server.fdb;

import com.apple.foundationdb.Range;
import com.apple.foundationdb.Transaction;
import dev.grpsqlite.server.spi.StoreException;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.util.concurrent.CompletableFuture;

/** Which layout the keys of a store have. A server that knows another one would not see them. */
final class Layout {
  /** Of what {@linkplain dev.grpsqlite.server.fdb the package} explains; changes with it. */
  static final int NUMBER = 1;

  private static final long NONE = 0;

  private Layout() {}

  /**
   * Marks a store that is empty; leaves any other alone.
   *
   * @throws StoreOpenException if its layout is not this one
   * @throws StoreException if the cluster does not answer
   */
  static void claim(Transactions transactions, Keys keys, String prefix)
      throws InterruptedException, StoreOpenException {
    long found = Futures.get(transactions.write(transaction -> claim(transaction, keys)));
    if (found == NUMBER) {
      return;
    }
    String what =
        found == NONE
            ? "no mark of its layout, so it is nothing that this server made"
            : "layout %d, and this server knows layout %d alone".formatted(found, NUMBER);
    throw new StoreOpenException(
        "the store with the prefix %s has %s; %s"
            .formatted(
                prefix,
                what,
                found > NUMBER ? "start a newer fdb-server" : "name another prefix, with --prefix"),
        null);
  }

  /** The layout of what is there now. */
  private static CompletableFuture<Long> claim(Transaction transaction, Keys keys) {
    Range all = Range.startsWith(keys.root());
    return transaction
        .get(keys.layout())
        .thenCombine(
            Databases.list(transaction, all.begin, all.end, 1, false),
            (mark, first) -> {
              if (mark != null) {
                return Values.number(mark);
              }
              if (!first.isEmpty()) {
                return NONE;
              }
              transaction.set(keys.layout(), Values.number(NUMBER));
              return (long) NUMBER;
            });
  }
}
