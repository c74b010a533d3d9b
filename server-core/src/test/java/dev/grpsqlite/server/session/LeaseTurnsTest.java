package dev.grpsqlite.server.session;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.SessionId;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;

class LeaseTurnsTest {
  private static final SessionId SESSION = new SessionId(1, 1);
  private static final DatabaseId DATABASE = new DatabaseId(1, 1);

  private final LeaseTurns turns = new LeaseTurns();

  @Test
  void oneComesAfterTheOtherAndNobodyElseWaits() {
    CompletableFuture<Integer> under = new CompletableFuture<>();
    CompletableFuture<Integer> first = turns.inTurn(SESSION, DATABASE, () -> under);
    CompletableFuture<Integer> second =
        turns.inTurn(SESSION, DATABASE, () -> CompletableFuture.completedFuture(2));
    assertFalse(second.isDone());
    assertEquals(3, turns.inTurn(new SessionId(1, 2), DATABASE, () -> done(3)).join());
    assertEquals(4, turns.inTurn(SESSION, new DatabaseId(1, 2), () -> done(4)).join());
    under.completeExceptionally(new IllegalStateException());
    assertThrows(CompletionException.class, first::join);
    assertEquals(2, second.join());
    assertEquals(5, turns.inTurn(SESSION, DATABASE, () -> done(5)).join());
  }

  @Test
  void anyNumberMayWait() {
    CompletableFuture<Integer> under = new CompletableFuture<>();
    CompletableFuture<Integer> last = turns.inTurn(SESSION, DATABASE, () -> under);
    for (int i = 0; i < 100_000; i++) {
      int number = i;
      last = turns.inTurn(SESSION, DATABASE, () -> done(number));
    }
    assertFalse(last.isDone());
    under.complete(0);
    assertTrue(last.isDone());
    assertEquals(99_999, last.join());
  }

  private static CompletableFuture<Integer> done(int value) {
    return CompletableFuture.completedFuture(value);
  }
}
