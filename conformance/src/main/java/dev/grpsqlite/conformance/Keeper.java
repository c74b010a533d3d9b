package dev.grpsqlite.conformance;

import com.google.protobuf.ByteString;
import dev.grpsqlite.proto.v1.KeepAliveRequest;
import dev.grpsqlite.proto.v1.KeepAliveResponse;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import io.grpc.Channel;
import io.grpc.stub.StreamObserver;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/** Keeps the sessions of rules alive, as clients do; those of rules about just that aside. */
final class Keeper implements AutoCloseable {
  private final Channel channel;
  private final Set<ByteString> sessions = ConcurrentHashMap.newKeySet();
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "keeper");
            thread.setDaemon(true);
            return thread;
          });

  Keeper(Channel channel) {
    this.channel = channel;
  }

  void start(long ttlMs) {
    long period = Math.max(50, ttlMs / 4);
    ScheduledFuture<?> unused =
        timer.scheduleAtFixedRate(this::keepAlive, period, period, TimeUnit.MILLISECONDS);
  }

  void keep(ByteString session) {
    sessions.add(session);
  }

  void forget(ByteString session) {
    sessions.remove(session);
  }

  private void keepAlive() {
    for (ByteString session : sessions) {
      PageStoreGrpc.newStub(channel)
          .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS)
          .keepAlive(
              KeepAliveRequest.newBuilder().setSessionId(session).build(),
              new StreamObserver<>() {
                @Override
                public void onNext(KeepAliveResponse answer) {}

                @Override
                public void onError(Throwable error) {
                  // The rule will see what became of its session.
                }

                @Override
                public void onCompleted() {}
              });
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
  }
}
