package dev.grpsqlite.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class PunctualTest {
  private final AtomicLong nanos = new AtomicLong();
  private final Punctual punctual = new Punctual(100, nanos::get);
  private final Violation refusal = new Violation("refused");

  @Test
  void whatIsRefusedInTimeIsTheServersFault() {
    assertSame(refusal, assertThrows(Violation.class, () -> punctual.expect(() -> refuse(100))));
  }

  @Test
  void whatIsRefusedTooLateIsNot() {
    NotShown late = assertThrows(NotShown.class, () -> punctual.expect(() -> refuse(103)));
    assertEquals(
        "this machine is too busy: the kit itself, or an answer, was 3 ms late", late.getMessage());
    assertSame(refusal, late.getSuppressed()[0]);
  }

  @Test
  void aCallRenewsFromWhenItIsSent() throws Exception {
    pass(60);
    punctual.renew(() -> pass(30));
    assertThrows(Violation.class, () -> punctual.expect(() -> refuse(70)));
    assertThrows(NotShown.class, () -> punctual.expect(() -> refuse(1)));
  }

  @Test
  void whatComesOutWellMayBeLate() throws Exception {
    punctual.renew(() -> pass(200));
    assertThrows(NotShown.class, () -> punctual.renew(() -> refuse(0)));
  }

  private void refuse(long afterMillis) throws Violation {
    pass(afterMillis);
    throw refusal;
  }

  private void pass(long millis) {
    nanos.addAndGet(TimeUnit.MILLISECONDS.toNanos(millis));
  }
}
