package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.spi.PageStoreProvider;
import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import dev.grpsqlite.server.spi.StoreOpenException;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A server's {@code main}: {@code <backend>-server}, where the backend is the one on the class
 * path.
 *
 * <p>Prints one line to standard output for each address when all of them are served: {@code
 * memory-server listening on 127.0.0.1:50051}, and {@code memory-server metrics on …}. Everything
 * else goes to standard error. Exit codes: 0 after SIGTERM or SIGINT, 1 if it cannot start, 2 if a
 * setting is wrong; the last two with one line that says why.
 */
public final class Launcher {
  /**
   * These warn, with a stack trace, of each client that went away while something was being sent to
   * it, as to who watches it always may be; and of each message that is too large, of which its
   * client is told: a few bytes would be kilobytes in the log. Kept here, for a level goes with its
   * logger.
   */
  private static final List<java.util.logging.Logger> OF_CLIENTS =
      Stream.of("NettyServerHandler", "NettyServerStream")
          .map(name -> "io.grpc.netty.shaded.io.grpc.netty." + name)
          .map(java.util.logging.Logger::getLogger)
          .toList();

  private static final int EXIT_CANNOT_START = 1;
  private static final int EXIT_USAGE = 2;

  private final PrintStream out;
  private final PrintStream err;
  private final Map<String, String> environment;
  private final List<PageStoreProvider> backends;

  private Launcher(
      PrintStream out,
      PrintStream err,
      Map<String, String> environment,
      List<PageStoreProvider> backends) {
    this.out = out;
    this.err = err;
    this.environment = environment;
    this.backends = backends;
  }

  public static void main(String[] arguments) throws InterruptedException {
    List<PageStoreProvider> backends =
        ServiceLoader.load(PageStoreProvider.class).stream()
            .map(ServiceLoader.Provider::get)
            .toList();
    Started started =
        new Launcher(System.out, System.err, System.getenv(), backends).start(arguments);
    StorageServer server = started.server;
    if (server == null) {
      System.exit(started.exitCode);
      return;
    }
    Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(server), "shutdown"));
    // Who reads these lines may stop the server at once, and finds it stopping as it should.
    started.lines.forEach(System.out::println);
    System.out.flush();
    // Until a signal ends the process.
    new CountDownLatch(1).await();
  }

  /**
   * Runs when a signal ends the process. The JVM would then exit with 128 + the signal's number, as
   * if it had been killed; a server that was asked to stop and did exits with 0.
   */
  private static void stop(StorageServer server) {
    int exitCode = 0;
    try {
      server.close();
    } catch (RuntimeException e) {
      log().error("the server did not stop as it should", e);
      exitCode = EXIT_CANNOT_START;
    }
    System.out.flush();
    System.err.flush();
    Runtime.getRuntime().halt(exitCode);
  }

  /** A running server and what to print of it, or the exit code where there is none. */
  private record Started(@Nullable StorageServer server, List<String> lines, int exitCode) {
    static Started not(int exitCode) {
      return new Started(null, List.of(), exitCode);
    }
  }

  /** Does all that main does, up to the point where the server runs. */
  private Started start(String[] arguments) {
    String name = serverName(backends.size() == 1 ? backends.get(0) : null);
    try {
      PageStoreProvider backend = backend(arguments);
      name = serverName(backend);
      return start(name, backend, arguments);
    } catch (UsageException e) {
      err.println(name + ": " + e.getMessage() + " (--help shows all settings)");
      return Started.not(EXIT_USAGE);
    } catch (StoreOpenException | IOException e) {
      err.println(name + ": " + e.getMessage());
      return Started.not(EXIT_CANNOT_START);
    }
  }

  private static String serverName(@Nullable PageStoreProvider backend) {
    return backend == null ? "server" : backend.name() + "-server";
  }

  /** The one that there is, or that is asked for; its settings are not known yet. */
  private PageStoreProvider backend(String[] arguments) throws UsageException {
    String wanted = environment.get(Settings.environmentName(CommandLineOptions.BACKEND));
    String option = "--" + CommandLineOptions.BACKEND;
    for (int i = 0; i < arguments.length; i++) {
      if (arguments[i].startsWith(option + "=")) {
        wanted = arguments[i].substring(option.length() + 1);
      } else if (arguments[i].equals(option) && i + 1 < arguments.length) {
        wanted = arguments[i + 1];
      }
    }
    String there =
        backends.stream().map(PageStoreProvider::name).sorted().collect(Collectors.joining(", "));
    if (wanted != null) {
      for (PageStoreProvider backend : backends) {
        if (backend.name().equals(wanted)) {
          return backend;
        }
      }
      throw new UsageException("there is no backend '" + wanted + "'; there are: " + there);
    }
    if (backends.size() != 1) {
      throw new UsageException(
          backends.isEmpty()
              ? "there is no backend on the class path"
              : "choose one with " + option + ": " + there);
    }
    return backends.get(0);
  }

  private Started start(String name, PageStoreProvider backend, String[] arguments)
      throws UsageException, StoreOpenException, IOException {
    List<Setting> known = new ArrayList<>(backend.settings());
    Map<String, String> defaults = backend.commonDefaults();
    for (Setting setting : CommonSettings.ALL) {
      known.add(
          defaults.containsKey(setting.name())
              ? setting.withDefault(defaults.getOrDefault(setting.name(), ""))
              : setting);
    }
    CommandLineOptions options = new CommandLineOptions(name, known);
    CommandLineOptions.Given given = options.parse(arguments);
    if (given.help()) {
      out.print(options.usage());
      return Started.not(0);
    }
    if (given.version()) {
      out.println(name + " " + version());
      return Started.not(0);
    }
    String config =
        given.config() != null
            ? given.config()
            : environment.get(Settings.environmentName(CommandLineOptions.CONFIG));
    Settings settings =
        Settings.resolve(
            known, given.values(), environment, config == null ? null : Path.of(config));
    setUpLogging(settings.get(CommonSettings.LOG_LEVEL));
    Security security = CommonSettings.security(settings);
    StorageServer server =
        StorageServer.builder(
                name + " " + version(),
                pins -> backend.open(settings.of(backend.settings()), pins, Clock.systemUTC()))
            .options(CommonSettings.options(settings))
            .security(security)
            .open();
    try {
      return new Started(server, listen(name, server, settings), 0);
    } catch (IOException | RuntimeException e) {
      server.close();
      throw e;
    }
  }

  private static List<String> listen(String name, StorageServer server, Settings settings)
      throws IOException {
    List<String> lines = new ArrayList<>();
    for (String address : settings.list(CommonSettings.LISTEN)) {
      lines.add(name + " listening on " + server.listen(ListenAddress.parse(address)));
    }
    String metrics = settings.get(CommonSettings.METRICS_LISTEN);
    if (!metrics.isEmpty()) {
      lines.add(
          name
              + " metrics on "
              + server.listenForMetrics((ListenAddress.Tcp) ListenAddress.parse(metrics)));
    }
    return lines;
  }

  private static String version() {
    String version = Launcher.class.getPackage().getImplementationVersion();
    return version == null ? "unpackaged" : version;
  }

  /** Before the first logger is made. One line for each event; gRPC's own go the same way. */
  private static void setUpLogging(String level) {
    Map<String, String> simpleLogger =
        Map.of(
            "logFile", "System.err",
            "defaultLogLevel", level.toLowerCase(Locale.ROOT),
            "showDateTime", "true",
            "dateTimeFormat", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "showThreadName", "false",
            "showShortLogName", "true",
            // It warns of options that a Unix socket does not have, for each connection.
            "log.io.grpc.netty.shaded", "error");
    simpleLogger.forEach((key, value) -> setIfAbsent("org.slf4j.simpleLogger." + key, value));
    setIfAbsent(
        "java.util.logging.SimpleFormatter.format",
        "%1$tFT%1$tT.%1$tL%1$tz %4$s %3$s - %5$s%6$s%n");
    java.util.logging.Logger.getLogger("").setLevel(java.util.logging.Level.WARNING);
    OF_CLIENTS.forEach(logger -> logger.setLevel(java.util.logging.Level.SEVERE));
  }

  private static void setIfAbsent(String property, String value) {
    if (System.getProperty(property) == null) {
      System.setProperty(property, value);
    }
  }

  private static Logger log() {
    return LoggerFactory.getLogger(Launcher.class);
  }
}
