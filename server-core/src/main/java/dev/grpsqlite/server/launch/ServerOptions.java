package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.page.PageServiceLimits;
import java.time.Duration;
import java.util.Set;

/**
 * How a server behaves, its addresses and its storage aside. Every bound is there so that one
 * client cannot take what all need (P9).
 *
 * @param services which to serve
 * @param atomicBatch whether the file service has AtomicWriteBatch
 * @param sessionTtl how long a session lasts without a KeepAlive
 * @param maxSessions of all clients; each takes a few KiB
 * @param maxStagedBytesPerSession of its transactions that are under way
 * @param maxMessageBytes that the server receives
 * @param maxPagesPerRead in one ReadPages; the answer is streamed
 * @param maxCallsPerConnection at one time; further ones wait at the client
 * @param drain how long to let calls finish when the server is stopped
 */
public record ServerOptions(
    Set<Service> services,
    boolean atomicBatch,
    Duration sessionTtl,
    int maxSessions,
    long maxStagedBytesPerSession,
    int maxMessageBytes,
    int maxPagesPerRead,
    int maxCallsPerConnection,
    Duration drain) {

  /** What a server can offer to clients. */
  public enum Service {
    /** {@code grpsqlite.v1.PageStore} and {@code grpsqlite.v1.Admin}. */
    PAGE,
    /** {@code grpc_vfs.Grpsqlite}. */
    FILE
  }

  public static final ServerOptions DEFAULTS =
      new ServerOptions(
          Set.of(Service.PAGE, Service.FILE),
          true,
          Duration.ofSeconds(10),
          10_000,
          64L << 30,
          4 << 20,
          65_536,
          256,
          Duration.ofSeconds(5));

  public ServerOptions {
    services = Set.copyOf(services);
  }

  public ServerOptions withServices(Set<Service> other) {
    return new ServerOptions(
        other,
        atomicBatch,
        sessionTtl,
        maxSessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        drain);
  }

  public ServerOptions withAtomicBatch(boolean other) {
    return new ServerOptions(
        services,
        other,
        sessionTtl,
        maxSessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        drain);
  }

  public ServerOptions withSessionTtl(Duration other) {
    return new ServerOptions(
        services,
        atomicBatch,
        other,
        maxSessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        drain);
  }

  PageServiceLimits pageServiceLimits() {
    return new PageServiceLimits(maxMessageBytes, maxStagedBytesPerSession, maxPagesPerRead);
  }
}
