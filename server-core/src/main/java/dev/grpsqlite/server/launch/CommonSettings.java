package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.admission.AdmissionLimits;
import dev.grpsqlite.server.auth.Quota;
import dev.grpsqlite.server.launch.ServerOptions.Service;
import dev.grpsqlite.server.session.SessionLimits;
import dev.grpsqlite.server.spi.PageStoreProvider.Check;
import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.slf4j.LoggerFactory;

/** The settings that every server has, whatever its storage. */
final class CommonSettings {
  static final String LISTEN = "listen";
  static final String METRICS_LISTEN = "metrics-listen";
  static final String LOG_LEVEL = "log-level";
  private static final String SERVICES = "services";
  private static final String TOKENS_FILE = "tokens-file";
  private static final String TLS_CERT = "tls-cert";
  private static final String TLS_KEY = "tls-key";
  private static final String TLS_CLIENT_CA = "tls-client-ca";
  private static final String INSECURE_NO_AUTH = "insecure-no-auth";
  private static final String NO_ATOMIC = "no-atomic";
  private static final String SESSION_TTL_MS = "session-ttl-ms";
  private static final String MAX_SESSIONS = "max-sessions";
  private static final String MAX_SESSIONS_PER_IDENTITY = "max-sessions-per-identity";
  private static final String MAX_LEASES_PER_SESSION = "max-leases-per-session";
  private static final String MAX_STAGED_BYTES_TOTAL = "max-staged-bytes-total";
  private static final String MAX_DATABASE_BYTES = "max-database-bytes";
  private static final String MAX_STORED_BYTES = "max-stored-bytes";
  private static final String MAX_STAGED_BYTES = "max-staged-bytes";
  private static final String MAX_MESSAGE_BYTES = "max-message-bytes";
  private static final String MAX_PAGES_PER_READ = "max-pages-per-read";
  private static final String MAX_CALLS = "max-calls-per-connection";
  private static final String MAX_CONNECTIONS = "max-connections";
  private static final String MAX_CONNECTIONS_PER_ADDRESS = "max-connections-per-address";
  private static final String CONNECTION_IDLE_MS = "connection-idle-ms";
  private static final String STALL_MS = "stall-ms";
  private static final String MAX_HEADER_BYTES = "max-header-bytes";
  private static final String MAX_RESETS = "max-resets-per-second";
  private static final String MAX_ALL_CALLS = "max-calls";
  private static final String MAX_CALL_BYTES = "max-call-bytes";
  private static final String MAX_VIEWS = "max-views";
  private static final String MAX_STAGED_BYTES_PER_IDENTITY = "max-staged-bytes-per-identity";
  private static final String DRAIN_MS = "drain-ms";

  private static final List<String> BOOLEANS = List.of("true", "false");
  private static final ServerOptions DEFAULTS = ServerOptions.DEFAULTS;

  private CommonSettings() {}

  /** A setting without a placeholder is a flag: true or false, and true where it is only named. */
  static final List<Setting> ALL =
      List.of(
          setting(
              LISTEN,
              "ADDRESS",
              "Where to serve clients: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0 is any free"
                  + " one. Can be given several times (separated by commas elsewhere).",
              "127.0.0.1:50051",
              Settings::addressesProblem),
          setting(
              METRICS_LISTEN,
              "HOST:PORT",
              "Where to show metrics to Prometheus, at /metrics. Not shown by default.",
              "",
              Settings::tcpAddressProblem),
          file(
              TOKENS_FILE,
              "Who may do what: tokens, identities, and the databases of each. Without it, whoever"
                  + " reaches the server may do everything. Read again when it changes."),
          file(
              TLS_CERT,
              "The server's certificate and what is between it and its authority, in PEM; TCP"
                  + " addresses are then served with TLS alone. Read again when it changes."),
          file(TLS_KEY, "The key of --tls-cert, in PEM (PKCS #8)."),
          file(
              TLS_CLIENT_CA,
              "Clients need a certificate of one of these authorities, in PEM. Read again when it"
                  + " changes."),
          setting(
              INSECURE_NO_AUTH,
              "",
              "Serve an address that other machines can reach although nobody is asked who it is.",
              "false",
              value -> Settings.choiceProblem(value, BOOLEANS)),
          setting(
              SERVICES,
              "LIST",
              "Which services to offer: page, file, or both separated by a comma.",
              "page,file",
              value -> Settings.choicesProblem(value, List.of("page", "file"))),
          setting(
              NO_ATOMIC,
              "",
              "Offer the file service alone, and without atomic batches: for trying clients"
                  + " against such servers.",
              "false",
              value -> Settings.choiceProblem(value, BOOLEANS)),
          number(
              SESSION_TTL_MS,
              "MS",
              "How long a session, and so a lease, lasts without a word from its client.",
              DEFAULTS.sessionTtl().toMillis(),
              100,
              3_600_000),
          number(
              MAX_SESSIONS,
              "N",
              "How many sessions there can be at one time.",
              DEFAULTS.sessions().sessions(),
              1,
              10_000_000),
          number(
              MAX_SESSIONS_PER_IDENTITY,
              "N",
              "How many of them can be of one identity, or where nobody is asked who it is, of the"
                  + " clients of one address.",
              DEFAULTS.sessions().sessionsPerIdentity(),
              1,
              10_000_000),
          number(
              MAX_LEASES_PER_SESSION,
              "N",
              "How many databases one session can have the right to write to at one time.",
              DEFAULTS.sessions().leasesPerSession(),
              1,
              10_000_000),
          number(
              MAX_VIEWS,
              "N",
              "How many open databases and fixed versions all sessions together can have; those of"
                  + " one identity, or address, half of them.",
              DEFAULTS.sessions().views(),
              2,
              10_000_000),
          number(
              MAX_STAGED_BYTES,
              "BYTES",
              "How much one session can have uploaded ahead of its commits.",
              DEFAULTS.maxStagedBytesPerSession(),
              0,
              Long.MAX_VALUE),
          number(
              MAX_STAGED_BYTES_PER_IDENTITY,
              "BYTES",
              "How much the sessions of one identity, or address, can.",
              DEFAULTS.sessions().stagedBytesPerIdentity(),
              0,
              Long.MAX_VALUE),
          number(
              MAX_STAGED_BYTES_TOTAL,
              "BYTES",
              "How much all sessions together can.",
              DEFAULTS.sessions().stagedBytes(),
              0,
              Long.MAX_VALUE),
          number(
              MAX_DATABASE_BYTES,
              "BYTES",
              "How large the newest version of a database can be; above what SQLite can, there is no"
                  + " limit.",
              DEFAULTS.quota().databaseBytes(),
              0,
              Long.MAX_VALUE),
          number(
              MAX_STORED_BYTES,
              "BYTES",
              "How large the newest versions of all databases can be together.",
              DEFAULTS.quota().bytes(),
              0,
              Long.MAX_VALUE),
          number(
              MAX_MESSAGE_BYTES,
              "BYTES",
              "The largest message that is received.",
              DEFAULTS.maxMessageBytes(),
              256 << 10,
              256 << 20),
          number(
              MAX_PAGES_PER_READ,
              "N",
              "How many pages can be asked for at once.",
              DEFAULTS.maxPagesPerRead(),
              1,
              10_000_000),
          number(
              MAX_CALLS,
              "N",
              "How many calls of one connection are served at one time; others wait.",
              DEFAULTS.maxCallsPerConnection(),
              1,
              1_000_000),
          number(
              MAX_ALL_CALLS,
              "N",
              "How many calls of all connections are served at one time, Watch among them; of the"
                  + " clients of one address, half of them.",
              DEFAULTS.admission().calls(),
              2,
              10_000_000),
          number(
              MAX_CALL_BYTES,
              "BYTES",
              "How much memory all calls together can take for requests that are not answered and"
                  + " answers that are not taken; those of one address, half of it.",
              DEFAULTS.admission().callBytes(),
              1 << 20,
              Long.MAX_VALUE),
          number(
              MAX_CONNECTIONS,
              "N",
              "How many connections there can be at one time; others are reset.",
              DEFAULTS.admission().connections(),
              1,
              10_000_000),
          number(
              MAX_CONNECTIONS_PER_ADDRESS,
              "N",
              "How many of them can come from one address; all Unix sockets are one.",
              DEFAULTS.admission().connectionsPerAddress(),
              1,
              10_000_000),
          number(
              CONNECTION_IDLE_MS,
              "MS",
              "After how long without a call a connection is closed.",
              DEFAULTS.admission().connectionIdle().toMillis(),
              100,
              86_400_000),
          number(
              STALL_MS,
              "MS",
              "How long a connection may take to begin, a request to go on arriving, and an answer"
                  + " to be taken.",
              DEFAULTS.admission().stall().toMillis(),
              100,
              3_600_000),
          number(
              MAX_HEADER_BYTES,
              "BYTES",
              "The largest headers of a request, tokens among them.",
              DEFAULTS.admission().headerBytes(),
              1024,
              1 << 20),
          number(
              MAX_RESETS,
              "N",
              "A client that gives up more of its calls in a second is cut off.",
              DEFAULTS.admission().resetsPerSecond(),
              1,
              1_000_000),
          number(
              DRAIN_MS,
              "MS",
              "How long calls may take to end when the server is stopped.",
              DEFAULTS.drain().toMillis(),
              0,
              3_600_000),
          setting(
              LOG_LEVEL,
              "LEVEL",
              "What to log, to standard error: error, warn, info, debug or trace.",
              "info",
              value ->
                  Settings.choiceProblem(
                      value, List.of("error", "warn", "info", "debug", "trace"))));

  private static Setting setting(
      String name, String placeholder, String description, String defaultValue, Check check) {
    return new Setting(name, placeholder, description, defaultValue, false, check);
  }

  private static Setting file(String name, String description) {
    return setting(name, "FILE", description, "", value -> value.isEmpty() ? "is empty" : "");
  }

  private static Setting number(
      String name, String placeholder, String description, long defaultValue, long min, long max) {
    return setting(
        name,
        placeholder,
        description,
        Long.toString(defaultValue),
        value -> Settings.integerProblem(value, min, max));
  }

  /** Reads the files that the settings name. */
  static Security security(Settings settings) throws UsageException, IOException {
    boolean certificate = settings.has(TLS_CERT);
    if (certificate != settings.has(TLS_KEY)) {
      throw new UsageException("--" + TLS_CERT + " and --" + TLS_KEY + " belong together");
    }
    if (settings.has(TLS_CLIENT_CA) && !certificate) {
      throw new UsageException("--" + TLS_CLIENT_CA + " needs --" + TLS_CERT + " and --" + TLS_KEY);
    }
    Security security =
        Security.load(
            new Security.Places(
                settings.path(TOKENS_FILE),
                settings.path(TLS_CERT),
                settings.path(TLS_KEY),
                settings.path(TLS_CLIENT_CA)));
    for (String address : settings.list(LISTEN)) {
      check(ListenAddress.parse(address), security, settings.isTrue(INSECURE_NO_AUTH));
    }
    return security;
  }

  private static void check(ListenAddress address, Security security, boolean insecure)
      throws UsageException {
    if (!(address instanceof ListenAddress.Tcp tcp)
        || tcp.address().getAddress().isLoopbackAddress()) {
      return;
    }
    if (!security.asksWhoCalls() && !insecure) {
      throw new UsageException(
          "other machines can reach "
              + address
              + ", and nobody is asked who it is: give --"
              + TOKENS_FILE
              + " or --"
              + TLS_CLIENT_CA
              + ", listen on 127.0.0.1 or a Unix socket, or say --"
              + INSECURE_NO_AUTH);
    }
    if (security.key() == null) {
      LoggerFactory.getLogger(CommonSettings.class)
          .warn("what goes over {} is not encrypted (--{} and --{})", address, TLS_CERT, TLS_KEY);
    }
  }

  static ServerOptions options(Settings settings) {
    Set<Service> services =
        settings.list(SERVICES).stream()
            .map(name -> Service.valueOf(name.toUpperCase(Locale.ROOT)))
            .collect(Collectors.toSet());
    return new ServerOptions(
        services,
        !settings.isTrue(NO_ATOMIC),
        Duration.ofMillis(settings.integer(SESSION_TTL_MS)),
        new SessionLimits(
            settings.integer(MAX_SESSIONS),
            settings.integer(MAX_SESSIONS_PER_IDENTITY),
            settings.integer(MAX_LEASES_PER_SESSION),
            settings.bytes(MAX_STAGED_BYTES_TOTAL),
            settings.bytes(MAX_STAGED_BYTES_PER_IDENTITY),
            settings.integer(MAX_VIEWS)),
        settings.bytes(MAX_STAGED_BYTES),
        settings.integer(MAX_MESSAGE_BYTES),
        settings.integer(MAX_PAGES_PER_READ),
        settings.integer(MAX_CALLS),
        new AdmissionLimits(
            settings.integer(MAX_CONNECTIONS),
            settings.integer(MAX_CONNECTIONS_PER_ADDRESS),
            Duration.ofMillis(settings.integer(CONNECTION_IDLE_MS)),
            Duration.ofMillis(settings.integer(STALL_MS)),
            settings.integer(MAX_HEADER_BYTES),
            settings.integer(MAX_RESETS),
            settings.integer(MAX_ALL_CALLS),
            settings.bytes(MAX_CALL_BYTES)),
        Duration.ofMillis(settings.integer(DRAIN_MS)),
        Quota.ofAll(settings.bytes(MAX_STORED_BYTES), settings.bytes(MAX_DATABASE_BYTES)));
  }
}
