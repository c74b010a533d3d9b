package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.v1.AdminGrpc;
import io.grpc.Channel;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/** One check of one rule: a server, databases of its own, and what has to be given back. */
final class Trial {
  private final Target target;
  private final Offer offer;
  private final Names names;
  private final Keeper keeper;
  private final Deque<Runnable> ends = new ArrayDeque<>();

  Trial(Target target, Offer offer, Names names, Keeper keeper) {
    this.target = target;
    this.offer = offer;
    this.names = names;
    this.keeper = keeper;
  }

  Offer offer() {
    return offer;
  }

  Channel channel() {
    return target.channel();
  }

  String token() {
    return target.token();
  }

  /** A name that nobody has, of a database that is dropped in the end. */
  String name() {
    return names.next();
  }

  Names names() {
    return names;
  }

  Keeper keeper() {
    return keeper;
  }

  /** A client of the file service with a database that does not exist yet. */
  FileClient files() {
    return new FileClient(this, name());
  }

  /** A session with a database that was made for it. */
  PageClient pages() {
    return new PageClient(this, name());
  }

  AdminGrpc.AdminBlockingStub admin() {
    return AdminGrpc.newBlockingStub(channel())
        .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS);
  }

  /** To be done when the rule was checked, the last first; it may fail. */
  synchronized void atEnd(Runnable action) {
    ends.push(action);
  }

  synchronized void end() {
    while (!ends.isEmpty()) {
      try {
        ends.pop().run();
      } catch (io.grpc.StatusRuntimeException e) {
        // What cannot be given back ends by itself.
      }
    }
  }

  /** Asks again and again, until it is so. */
  static void await(long millis, String problem, BooleanSupplier condition) throws Violation {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() - deadline > 0) {
        throw new Violation(problem);
      }
      pause(Math.max(5, Math.min(100, millis / 50)));
    }
  }

  /** Lets real time pass at the server. */
  static void pause(long millis) {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
    long left = until - System.nanoTime();
    while (left > 0 && !Thread.currentThread().isInterrupted()) {
      LockSupport.parkNanos(left);
      left = until - System.nanoTime();
    }
  }
}
