package dev.grpsqlite.server.launch;

import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import dev.grpsqlite.server.admission.CallsUnderWay;
import dev.grpsqlite.server.admission.Connections;
import dev.grpsqlite.server.auth.QuotaStore;
import dev.grpsqlite.server.file.FileService;
import dev.grpsqlite.server.launch.ServerOptions.Service;
import dev.grpsqlite.server.page.AdminService;
import dev.grpsqlite.server.page.PageStoreService;
import dev.grpsqlite.server.session.AnnouncingStore;
import dev.grpsqlite.server.session.Heads;
import dev.grpsqlite.server.session.Leases;
import dev.grpsqlite.server.session.ReadDelegations;
import dev.grpsqlite.server.session.SessionTable;
import dev.grpsqlite.server.session.ToldByNeighbours;
import dev.grpsqlite.server.session.Versions;
import dev.grpsqlite.server.session.Watches;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.spi.StoreOpenException;
import dev.grpsqlite.server.wire.Callers;
import dev.grpsqlite.server.wire.RequestArrays;
import dev.grpsqlite.server.wire.SharedBytes;
import dev.grpsqlite.server.wire.UnreadableRequests;
import io.grpc.BindableService;
import io.grpc.Server;
import io.grpc.ServerBuilder;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.prometheus.metrics.exporter.httpserver.HTTPServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A running server: the services over one store, on any number of addresses.
 *
 * <p>{@link #close} drains it and closes the store. Thread-safe.
 */
public final class StorageServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(StorageServer.class);

  /** A file that changed is used after twice this time. */
  private static final long FILES_PERIOD_MS = 500;

  private static final long STALLED_PERIOD_MS = 1000;

  private static final long HEALTH_PERIOD_MS = 500;

  /** Opens a store, given what it may not collect. */
  @FunctionalInterface
  public interface StoreOpener {
    PageStore open(SnapshotPins pins) throws StoreOpenException;
  }

  private final String name;
  private final ServerOptions options;
  private final Security security;
  private final SessionTable sessions;
  private final PageStore store;
  private final Leases leases;
  private final Watches watches;
  private final Metrics metrics;
  private final HealthStatusManager health = new HealthStatusManager();
  private final List<String> dataServices = new ArrayList<>();
  private final List<ServerServiceDefinition> services = new ArrayList<>();
  private final Listeners listeners;
  private final Connections connections;
  private final CallsUnderWay callsUnderWay;
  private final List<Server> servers = new ArrayList<>();
  private final ScheduledExecutorService ticker;
  private @Nullable HTTPServer metricsServer;
  private boolean closed;

  private StorageServer(Builder builder) throws StoreOpenException {
    name = builder.name;
    options = builder.options;
    security = builder.security;
    sessions = new SessionTable(builder.nanoTime, options.sessionTtl(), options.sessions());
    security.access().whenReplaced(sessions::endOfUnknown);
    // What no quota lets through is not announced.
    ticker = ticker();
    ReadDelegations delegations = new ReadDelegations(System::nanoTime, ticker);
    AnnouncingStore announcing =
        new AnnouncingStore(
            new QuotaStore(builder.opener.open(sessions), security.access(), options.quota()),
            delegations);
    delegations.outlastAnother();
    store = announcing;
    Heads heads = new Heads(announcing);
    leases = new Leases(announcing, sessions, heads, builder.nanoTime, ticker);
    sessions.meet(store.neighbours());
    store
        .neighbours()
        .listen(new ToldByNeighbours(heads, leases), builder.nanoTime, options.sessionTtl());
    watches = new Watches(heads, sessions, leases, builder.nanoTime, ticker);
    metrics = new Metrics(sessions, leases, watches, security);
    connections = new Connections(options.admission(), metrics);
    callsUnderWay = new CallsUnderWay(options.admission(), metrics, connections, System::nanoTime);
    metrics.show(connections, callsUnderWay, options);
    metrics.show(store);
    listeners = new Listeners(options, security, connections);
    Versions versions = new Versions(store, sessions, leases, ticker);
    RequestArrays arrays = new RequestArrays();
    List<BindableService> bindable = new ArrayList<>();
    // Without atomic commits there is the file service's write-through path alone.
    if (options.services().contains(Service.PAGE) && options.atomicBatch()) {
      bindable.add(
          new PageStoreService(
              store,
              sessions,
              leases,
              heads,
              watches,
              options.pageServiceLimits(),
              arrays,
              metrics,
              builder.name));
      bindable.add(new AdminService(store, leases, versions));
    }
    if (options.services().contains(Service.FILE)) {
      bindable.add(
          new FileService(
              store,
              sessions,
              leases,
              versions,
              metrics,
              options.atomicBatch(),
              options.maxMessageBytes()));
    }
    for (BindableService service : bindable) {
      ServerServiceDefinition definition = service.bindService();
      if (service instanceof PageStoreService) {
        definition =
            SharedBytes.in(
                definition,
                PageStoreGrpc.getStagePagesMethod(),
                StagePagesRequest.parser(),
                arrays);
      }
      Callers callers = new Callers(security.access(), service instanceof FileService);
      services.add(
          ServerInterceptors.intercept(UnreadableRequests.refused(definition), callers, metrics));
      dataServices.add(definition.getServiceDescriptor().getName());
    }
    showHealth();
    services.add(health.getHealthService().bindService());
    services.add(
        ServerInterceptors.intercept(
            ProtoReflectionServiceV1.newInstance(), new Callers(security.access(), false)));
    tick(options.sessionTtl());
  }

  private static ScheduledExecutorService ticker() {
    ScheduledThreadPoolExecutor executor =
        new ScheduledThreadPoolExecutor(
            1,
            work -> {
              Thread thread = new Thread(work, "sessions");
              thread.setDaemon(true);
              return thread;
            });
    executor.setRemoveOnCancelPolicy(true);
    // What comes when the server has ended its calls is for nobody.
    executor.setRejectedExecutionHandler(new ThreadPoolExecutor.DiscardPolicy());
    return executor;
  }

  /** What is done now and then; when all is there. */
  private void tick(Duration ttl) {
    long period = Math.max(10, Math.min(1000, ttl.toMillis() / 10));
    ScheduledFuture<?> unused =
        ticker.scheduleWithFixedDelay(this::expireSessions, period, period, TimeUnit.MILLISECONDS);
    ScheduledFuture<?> unusedToo =
        ticker.scheduleWithFixedDelay(
            this::lookAtFiles, FILES_PERIOD_MS, FILES_PERIOD_MS, TimeUnit.MILLISECONDS);
    ScheduledFuture<?> unusedThree =
        ticker.scheduleWithFixedDelay(
            this::endStalledCalls, STALLED_PERIOD_MS, STALLED_PERIOD_MS, TimeUnit.MILLISECONDS);
    ScheduledFuture<?> unusedFour =
        ticker.scheduleWithFixedDelay(
            this::showHealth, HEALTH_PERIOD_MS, HEALTH_PERIOD_MS, TimeUnit.MILLISECONDS);
  }

  /** The server as a whole is well as long as it answers; a service, as long as it takes writes. */
  private void showHealth() {
    ServingStatus status =
        store.refusesWrites().isEmpty() ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
    dataServices.forEach(service -> health.setStatus(service, status));
  }

  private void endStalledCalls() {
    try {
      callsUnderWay.endStalled();
    } catch (RuntimeException e) {
      log.error("calls were not all looked at", e);
    }
  }

  private void lookAtFiles() {
    try {
      security.look().forEach(metrics::fileChanged);
    } catch (RuntimeException e) {
      log.error("the files of tokens and certificates were not looked at", e);
    }
  }

  /** Ends the sessions whose time has come. The server does so itself, several times in a TTL. */
  public void expireSessions() {
    try {
      sessions.expire();
    } catch (RuntimeException e) {
      // A schedule ends with the first exception; sessions must not live for ever for it.
      log.error("sessions were not all looked at", e);
    }
  }

  /**
   * Serves an address as well.
   *
   * @return the address with the port that it was given
   * @throws IOException with a message for the operator
   */
  public synchronized ListenAddress listen(ListenAddress address) throws IOException {
    checkOpen();
    ServerBuilder<?> builder = listeners.builder(address);
    Server server = start(builder, address);
    return address instanceof ListenAddress.Tcp
        ? new ListenAddress.Tcp((InetSocketAddress) server.getListenSockets().get(0))
        : address;
  }

  /** Serves what a builder is for, for instance calls within the process. */
  public synchronized void serve(ServerBuilder<?> builder) throws IOException {
    checkOpen();
    start(builder, "the given builder");
  }

  private Server start(ServerBuilder<?> builder, Object address) throws IOException {
    services.forEach(builder::addService);
    builder
        .directExecutor()
        .maxInboundMessageSize(options.maxMessageBytes())
        .addStreamTracerFactory(callsUnderWay)
        .intercept(callsUnderWay);
    Server server = builder.build();
    try {
      server.start();
    } catch (IOException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new IOException("cannot listen on " + address + ": " + cause.getMessage(), e);
    }
    servers.add(server);
    return server;
  }

  /**
   * Shows the metrics to Prometheus, by HTTP at {@code /metrics}.
   *
   * @return the address with the port that it was given
   */
  public synchronized ListenAddress.Tcp listenForMetrics(ListenAddress.Tcp address)
      throws IOException {
    checkOpen();
    try {
      HTTPServer started =
          HTTPServer.builder()
              .inetAddress(address.address().getAddress())
              .port(address.address().getPort())
              .registry(metrics.registry())
              .buildAndStart();
      metricsServer = started;
      return new ListenAddress.Tcp(
          new InetSocketAddress(address.address().getAddress(), started.getPort()));
    } catch (IOException e) {
      throw new IOException("cannot listen on " + address + ": " + e.getMessage(), e);
    }
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the server is closed");
    }
  }

  public String name() {
    return name;
  }

  /** Refuses new calls, gives those under way some seconds, and closes the store. Idempotent. */
  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    health.enterTerminalState();
    servers.forEach(Server::shutdown);
    watches.close();
    leases.close();
    long deadline = System.nanoTime() + options.drain().toNanos();
    boolean interrupted = false;
    for (Server server : servers) {
      try {
        if (!server.awaitTermination(deadline - System.nanoTime(), TimeUnit.NANOSECONDS)) {
          server.shutdownNow();
        }
      } catch (InterruptedException e) {
        interrupted = true;
        server.shutdownNow();
      }
    }
    // Another server over this store may grant leases as soon as it is there.
    interrupted |= !slept(leases.delegatedYet());
    ticker.shutdownNow();
    if (metricsServer != null) {
      metricsServer.close();
    }
    listeners.close();
    store.close();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private static boolean slept(Duration duration) {
    try {
      Thread.sleep(duration.toMillis() + (duration.isZero() ? 0 : 1));
      return true;
    } catch (InterruptedException e) {
      return false;
    }
  }

  public static Builder builder(String name, StoreOpener opener) {
    return new Builder(name, opener);
  }

  /** Not thread-safe. */
  public static final class Builder {
    private final String name;
    private final StoreOpener opener;
    private ServerOptions options = ServerOptions.DEFAULTS;
    private Security security = Security.none();
    private LongSupplier nanoTime = System::nanoTime;

    private Builder(String name, StoreOpener opener) {
      this.name = name;
      this.opener = opener;
    }

    public Builder options(ServerOptions value) {
      options = value;
      return this;
    }

    /** Whom to serve, and how; everybody and in the clear, if it is not said. */
    public Builder security(Security value) {
      security = value;
      return this;
    }

    /** The clock of sessions; as {@link System#nanoTime}. */
    public Builder nanoTime(LongSupplier value) {
      nanoTime = value;
      return this;
    }

    /** Opens the store; the server then has no address yet. */
    public StorageServer open() throws StoreOpenException {
      return new StorageServer(this);
    }
  }
}
