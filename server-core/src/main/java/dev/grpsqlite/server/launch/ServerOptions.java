package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.admission.AdmissionLimits;
import dev.grpsqlite.server.auth.Quota;
import dev.grpsqlite.server.page.PageServiceLimits;
import dev.grpsqlite.server.session.SessionLimits;
import java.time.Duration;
import java.util.Set;

/**
 * How a server behaves, its addresses and its storage aside. Every bound is there so that one
 * client cannot take what all need (P9).
 *
 * @param services which to serve
 * @param atomicBatch whether the file service has AtomicWriteBatch
 * @param sessionTtl how long a session lasts without a KeepAlive
 * @param sessions how much there can be of what sessions have
 * @param maxStagedBytesPerSession of its transactions that are under way
 * @param maxMessageBytes that the server receives
 * @param maxPagesPerRead in one ReadPages; the answer is streamed
 * @param maxCallsPerConnection at one time; further ones wait at the client
 * @param admission what may be under way of all connections
 * @param drain how long to let calls finish when the server is stopped
 * @param quota of all databases
 */
public record ServerOptions(
    Set<Service> services,
    boolean atomicBatch,
    Duration sessionTtl,
    SessionLimits sessions,
    long maxStagedBytesPerSession,
    int maxMessageBytes,
    int maxPagesPerRead,
    int maxCallsPerConnection,
    AdmissionLimits admission,
    Duration drain,
    Quota quota) {

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
          SessionLimits.DEFAULTS,
          64L << 30,
          4 << 20,
          65_536,
          256,
          AdmissionLimits.DEFAULTS,
          Duration.ofSeconds(5),
          Quota.ofAll(Long.MAX_VALUE, Long.MAX_VALUE));

  public ServerOptions {
    services = Set.copyOf(services);
  }

  public ServerOptions withServices(Set<Service> other) {
    return new ServerOptions(
        other,
        atomicBatch,
        sessionTtl,
        sessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        admission,
        drain,
        quota);
  }

  public ServerOptions withAtomicBatch(boolean other) {
    return new ServerOptions(
        services,
        other,
        sessionTtl,
        sessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        admission,
        drain,
        quota);
  }

  public ServerOptions withSessionTtl(Duration other) {
    return new ServerOptions(
        services,
        atomicBatch,
        other,
        sessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        admission,
        drain,
        quota);
  }

  public ServerOptions withSessions(SessionLimits other) {
    return new ServerOptions(
        services,
        atomicBatch,
        sessionTtl,
        other,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        admission,
        drain,
        quota);
  }

  public ServerOptions withAdmission(AdmissionLimits other) {
    return new ServerOptions(
        services,
        atomicBatch,
        sessionTtl,
        sessions,
        maxStagedBytesPerSession,
        maxMessageBytes,
        maxPagesPerRead,
        maxCallsPerConnection,
        other,
        drain,
        quota);
  }

  PageServiceLimits pageServiceLimits() {
    return new PageServiceLimits(maxMessageBytes, maxStagedBytesPerSession, maxPagesPerRead);
  }
}
