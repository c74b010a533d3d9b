package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.admission.AdmissionLimits;
import dev.grpsqlite.server.admission.CallsUnderWay;
import dev.grpsqlite.server.admission.Connections;
import dev.grpsqlite.server.admission.Refusals;
import dev.grpsqlite.server.auth.ServerKey;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.EngineFigure;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.wire.Traffic;
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import io.grpc.Metadata;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.Status;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.CounterWithCallback;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.GaugeWithCallback;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;

/**
 * What a server counts. Label values are the methods it serves and the gRPC codes, so that no
 * client can make more. Thread-safe.
 */
final class Metrics implements Traffic, Refusals, ServerInterceptor {
  private static final double NANOS = 1e9;

  private final PrometheusRegistry registry = new PrometheusRegistry();
  private final Counter rpcs =
      counter(
          "grpsqlite_rpcs_total", "RPCs that ended, by method and gRPC code.", "method", "code");
  private final Histogram seconds =
      Histogram.builder()
          .withoutExemplars()
          .name("grpsqlite_rpc_seconds")
          .help("From the arrival of an RPC to its end.")
          .labelNames("method")
          .classicOnly()
          .classicUpperBounds(
              0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
              1, 2.5, 5, 10)
          .register(registry);
  private final Gauge inFlight =
      Gauge.builder()
          .withoutExemplars()
          .name("grpsqlite_rpcs_in_flight")
          .help("RPCs that have not ended.")
          .register(registry);
  private final Counter commits =
      counter(
          "grpsqlite_commits_total",
          "Commits of the page service that were answered with a version.");
  private final Counter pagesRead =
      counter(
          "grpsqlite_pages_read_total", "Pages, or ranges of a file, that were sent to clients.");
  private final Counter bytesRead = counter("grpsqlite_page_read_bytes_total", "Bytes of them.");
  private final Counter pagesAhead =
      counter(
          "grpsqlite_pages_ahead_total",
          "Of the pages read, those that were sent before a client asked for them.");
  private final Counter pagesWritten =
      counter(
          "grpsqlite_pages_written_total",
          "Pages, or ranges of a file, that came from clients, staged or committed.");
  private final Counter bytesWritten =
      counter("grpsqlite_page_written_bytes_total", "Bytes of them.");

  private final Counter refusals =
      counter(
          "grpsqlite_refused_total",
          "Connections and calls that were refused or ended for what all clients share.",
          "limit");
  private final Histogram requestBytes =
      Histogram.builder()
          .withoutExemplars()
          .name("grpsqlite_request_bytes")
          .help("Bytes of the requests that were received.")
          .classicOnly()
          .classicUpperBounds(256, 4096, 65_536, 1 << 20, 4 << 20, 16 << 20, 64 << 20)
          .register(registry);

  private final Counter fileChanges =
      counter(
          "grpsqlite_security_file_changes_total",
          "Files of tokens or certificates that changed, and were taken or refused.",
          "file",
          "outcome");

  /** Exemplars are looked for at every count, and nobody traces here. */
  private Counter counter(String name, String help, String... labels) {
    return Counter.builder()
        .name(name)
        .help(help)
        .labelNames(labels)
        .withoutExemplars()
        .register(registry);
  }

  Metrics(SessionTable sessions, Leases leases, Watches watches, Security security) {
    ServerKey key = security.key();
    if (key != null) {
      gauge(
          "grpsqlite_tls_certificate_end_timestamp_seconds",
          "When the certificate that the server shows ends, in Unix time.",
          () -> key.notAfter().getEpochSecond());
    }
    gauge("grpsqlite_sessions", "Sessions that are open.", sessions::size);
    gauge("grpsqlite_leases", "Leases that open sessions were given.", sessions::leases);
    gauge("grpsqlite_views", "Views of databases that open sessions have.", sessions::views);
    gauge("grpsqlite_watches", "Watch streams that are open.", watches::size);
    gauge("grpsqlite_lease_waiters", "Calls that wait for a lease.", leases::waiting);
    CounterWithCallback.builder()
        .name("grpsqlite_lease_yields_asked_total")
        .help("Times that the holder of a lease was told that somebody waits for it.")
        .callback(callback -> callback.call((double) leases.yieldsAsked()))
        .register(registry);
    CounterWithCallback.builder()
        .name("grpsqlite_read_delegations_total")
        .help("Times that a reader was told that the head stays as it is for a moment.")
        .callback(callback -> callback.call((double) leases.delegated()))
        .register(registry);
    CounterWithCallback.builder()
        .name("grpsqlite_read_delegation_waits_total")
        .help("Leases granted, and databases dropped, later for such a reader.")
        .callback(callback -> callback.call((double) leases.waitedForReaders()))
        .register(registry);
    gauge(
        "grpsqlite_staged_bytes",
        "Bytes that open sessions have staged for commits to come.",
        () -> (double) sessions.stagedBytes());
  }

  /** Shows what is under way, and the limit of everything that has one. */
  void show(Connections connections, CallsUnderWay calls, ServerOptions options) {
    gauge("grpsqlite_connections", "Connections that are open.", connections::size);
    gauge(
        "grpsqlite_call_bytes",
        "Bytes of requests that are not answered and of answers that are not taken.",
        () -> (double) calls.bytes());
    AdmissionLimits admission = options.admission();
    SessionLimits sessions = options.sessions();
    Map<String, Double> limits = new LinkedHashMap<>();
    limits.put("connections", (double) admission.connections());
    limits.put("connections_per_address", (double) admission.connectionsPerAddress());
    limits.put("calls", (double) admission.calls());
    limits.put("calls_per_connection", (double) options.maxCallsPerConnection());
    limits.put("call_bytes", (double) admission.callBytes());
    limits.put("header_bytes", (double) admission.headerBytes());
    limits.put("message_bytes", (double) options.maxMessageBytes());
    limits.put("pages_per_read", (double) options.maxPagesPerRead());
    limits.put("sessions", (double) sessions.sessions());
    limits.put("sessions_per_identity", (double) sessions.sessionsPerIdentity());
    limits.put("leases_per_session", (double) sessions.leasesPerSession());
    limits.put("views", (double) sessions.views());
    limits.put("staged_bytes", (double) sessions.stagedBytes());
    limits.put("staged_bytes_per_identity", (double) sessions.stagedBytesPerIdentity());
    limits.put("staged_bytes_per_session", (double) options.maxStagedBytesPerSession());
    Gauge shown =
        Gauge.builder()
            .name("grpsqlite_limit")
            .help("How much there can be at most, as the server was set.")
            .labelNames("of")
            .register(registry);
    limits.forEach((of, most) -> shown.labelValues(of).set(most));
  }

  /** Shows how the storage engine is. */
  void show(PageStore store) {
    gauge(
        "grpsqlite_store_refuses_writes",
        "1 while the storage takes no writes; the log says why.",
        () -> store.refusesWrites().isPresent() ? 1 : 0);
    for (EngineFigure figure : store.figures()) {
      gauge(figure.name(), figure.help(), figure.value());
    }
  }

  @Override
  public void refused(Limit limit) {
    refusals.labelValues(limit.name().toLowerCase(Locale.ROOT)).inc();
  }

  @Override
  public void requestReceived(long bytes) {
    requestBytes.observe((double) bytes);
  }

  void fileChanged(Security.Change change) {
    fileChanges.labelValues(change.kind().label(), change.taken() ? "taken" : "refused").inc();
  }

  private void gauge(String name, String help, DoubleSupplier value) {
    GaugeWithCallback.builder()
        .name(name)
        .help(help)
        .callback(callback -> callback.call(value.getAsDouble()))
        .register(registry);
  }

  PrometheusRegistry registry() {
    return registry;
  }

  @Override
  public void pagesRead(long pages, long bytes) {
    pagesRead.inc(pages);
    bytesRead.inc(bytes);
  }

  @Override
  public void pagesAhead(long pages) {
    pagesAhead.inc(pages);
  }

  @Override
  public void pagesWritten(long pages, long bytes) {
    pagesWritten.inc(pages);
    bytesWritten.inc(bytes);
  }

  @Override
  public void committed() {
    commits.inc();
  }

  @Override
  public <ReqT, RespT> ServerCall.Listener<ReqT> interceptCall(
      ServerCall<ReqT, RespT> call, Metadata headers, ServerCallHandler<ReqT, RespT> next) {
    CountedCall<ReqT, RespT> counted = new CountedCall<>(call);
    inFlight.inc();
    return new SimpleForwardingServerCallListener<>(next.startCall(counted, headers)) {
      @Override
      public void onComplete() {
        counted.ended(null);
        super.onComplete();
      }

      @Override
      public void onCancel() {
        counted.ended(Status.Code.CANCELLED);
        super.onCancel();
      }
    };
  }

  /** gRPC ends each call with exactly one of onComplete and onCancel. */
  private final class CountedCall<ReqT, RespT> extends SimpleForwardingServerCall<ReqT, RespT> {
    private final long startNanos = System.nanoTime();
    private volatile Status.Code closedWith = Status.Code.UNKNOWN;

    CountedCall(ServerCall<ReqT, RespT> call) {
      super(call);
    }

    @Override
    public void close(Status status, Metadata trailers) {
      closedWith = status.getCode();
      super.close(status, trailers);
    }

    void ended(Status.@Nullable Code code) {
      String method = getMethodDescriptor().getFullMethodName();
      inFlight.dec();
      rpcs.labelValues(method, (code == null ? closedWith : code).name()).inc();
      seconds.labelValues(method).observe((System.nanoTime() - startNanos) / NANOS);
    }
  }
}
