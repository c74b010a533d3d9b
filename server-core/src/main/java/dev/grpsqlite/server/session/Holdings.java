package dev.grpsqlite.server.session;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** How much some sessions have together: those of one identity, or all. Thread-safe. */
final class Holdings {
  final AtomicInteger sessions = new AtomicInteger();
  final AtomicInteger views = new AtomicInteger();
  final AtomicInteger predictors = new AtomicInteger();
  final AtomicLong stagedBytes = new AtomicLong();
}
