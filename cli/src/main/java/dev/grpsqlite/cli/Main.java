package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Relay;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.jspecify.annotations.Nullable;
import org.slf4j.ILoggerFactory;
import org.slf4j.LoggerFactory;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;

/** The command {@code grpsqlite}, and what all its commands share. */
@Command(
    name = "grpsqlite",
    description = "Looks after SQLite databases at a gRPSQLite server.",
    synopsisSubcommandLabel = "COMMAND",
    usageHelpWidth = 100,
    versionProvider = Main.Version.class,
    footer = {
      "",
      "Exit codes: 0 done; 1 failed; 2 wrong usage; 3 no server; 4 no such database, version or"
          + " file; 5 it exists already or another is writing; 6 not allowed; 7 the file is no"
          + " database or is damaged; 8 this server cannot do that; 9 the outcome is not known."
    })
final class Main implements Runnable {
  private static final List<Class<?>> COMMANDS =
      List.of(
          ShellCommand.class,
          ImportCommand.class,
          ExportCommand.class,
          ListCommand.class,
          StatCommand.class,
          HistoryCommand.class,
          ForkCommand.class,
          RestoreCommand.class,
          RemoveCommand.class,
          ServeCommand.class,
          BenchCommand.class,
          DoctorCommand.class,
          Completion.class);

  /** Whether what is printed goes to a terminal; the script that starts this looks. */
  private static final String TERMINAL_OUT = "grpsqlite.terminal";

  private static final String TERMINAL_ERR = "grpsqlite.progress";

  /** Is there; it warns if two threads are the first to use it. */
  private static final CountDownLatch LOGGING = new CountDownLatch(1);

  private final PrintStream out;
  private final PrintStream err;

  @Mixin private final ServerOptions server = new ServerOptions();

  @Option(
      names = "--json",
      scope = ScopeType.INHERIT,
      description = "Print JSON, errors too; see docs/cli.md for the shapes.")
  private boolean json;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Show this.")
  @SuppressWarnings("UnusedVariable") // picocli looks at it
  private boolean help;

  // Of the command alone: others have a --version that is a database's.
  @Option(
      names = {"-V", "--version"},
      versionHelp = true,
      description = "Show the version.")
  @SuppressWarnings("UnusedVariable") // picocli looks at it
  private boolean versionWanted;

  private Main(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  public static void main(String[] arguments) throws InterruptedException {
    // Beside picocli's classes.
    Thread loading = new Thread(() -> load(List.of(arguments)), "loading");
    loading.setDaemon(true);
    loading.start();
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    PrintStream err = new PrintStream(System.err, true, StandardCharsets.UTF_8);
    int exitCode = new Main(out, err).execute(arguments);
    out.flush();
    if (out.checkError()) {
      // Nobody reads it any more, as in `grpsqlite ls | head`.
      exitCode = exitCode == 0 ? Kind.FAILED.exitCode : exitCode;
    }
    System.exit(exitCode);
  }

  private static void load(List<String> arguments) {
    try {
      ILoggerFactory unused = LoggerFactory.getILoggerFactory();
    } finally {
      LOGGING.countDown();
    }
    if (arguments.contains("import")) {
      SourceFile.load();
    }
    if (Home.relay().isPresent()) {
      Relay.load();
    } else {
      ServerConnection.load();
    }
  }

  private int execute(String[] arguments) throws InterruptedException {
    CommandLine line = commandLine(Arrays.asList(arguments));
    LOGGING.await();
    line.setCaseInsensitiveEnumValuesAllowed(true)
        .setParameterExceptionHandler(this::usageError)
        .setExecutionExceptionHandler((e, command, result) -> failed(e));
    return line.execute(arguments);
  }

  /**
   * With the commands of these names; each takes milliseconds to set up, and so if any is named, no
   * other is.
   */
  private CommandLine commandLine(Collection<String> named) {
    CommandLine line = new CommandLine(this);
    List<Class<?>> meant =
        COMMANDS.stream()
            .filter(command -> named.contains(command.getAnnotation(Command.class).name()))
            .toList();
    (meant.isEmpty() ? COMMANDS : meant).forEach(line::addSubcommand);
    return line;
  }

  private int usageError(ParameterException e, String[] given) {
    // What is wrong may stand before it, and nothing behind that was looked at.
    json |= Arrays.stream(given).takeWhile(word -> !word.equals("--")).anyMatch("--json"::equals);
    // What was typed may have a token in it.
    String message = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    return report(
        Kind.USAGE,
        "",
        server.withoutToken(message)
            + " ("
            + e.getCommandLine().getCommandSpec().qualifiedName()
            + " --help)");
  }

  private int failed(Exception e) throws Exception {
    if (e instanceof Refusal refusal) {
      return report(refusal.kind(), "", refusal.getMessage());
    }
    if (e instanceof RemoteException remote) {
      return report(Errors.kind(remote), remote.reason(), Errors.sentence(remote));
    }
    if (e instanceof NoSuchFileException missing) {
      return report(Kind.NOT_FOUND, "", "there is no " + missing.getFile());
    }
    if (e instanceof FileAlreadyExistsException there) {
      return report(Kind.IN_THE_WAY, "", there.getFile() + " exists already");
    }
    if (e instanceof AccessDeniedException denied && denied.getReason() == null) {
      return report(Kind.FAILED, "", denied.getFile() + ": you have not the right to");
    }
    if (e instanceof FileSystemException file) {
      String reason = file.getReason();
      return report(Kind.FAILED, "", file.getFile() + ": " + (reason == null ? e : reason));
    }
    if (e instanceof IOException) {
      return report(Kind.FAILED, "", String.valueOf(e.getMessage()));
    }
    throw e;
  }

  private int report(Kind kind, String reason, String message) {
    out.flush();
    if (json) {
      Map<String, Object> error = new LinkedHashMap<>();
      error.put("error", message);
      error.put("kind", kind.name());
      error.put("reason", reason);
      err.println(Json.of(error));
    } else {
      err.println(
          "grpsqlite: " + (Boolean.getBoolean(TERMINAL_ERR) ? Terminal.shown(message) : message));
    }
    return kind.exitCode;
  }

  @Override
  public void run() {
    if (!json) {
      commandLine(List.of()).usage(err);
    }
    throw new Refusal(Kind.USAGE, "name a command");
  }

  ServerOptions server() {
    return server;
  }

  PrintStream out() {
    return out;
  }

  PrintStream err() {
    return err;
  }

  boolean json() {
    return json;
  }

  /** Prints an answer: one JSON value, or what is for people. */
  void answer(Map<String, ?> shape, String text) {
    out.println(json ? Json.of(shape) : text);
  }

  /** As {@link Terminal#shown}, if a terminal gets it; anything else gets it as it is. */
  String shown(String text) {
    return Boolean.getBoolean(TERMINAL_OUT) ? Terminal.shown(text) : text;
  }

  Progress progress(String what, long bytes) {
    return new Progress(what, bytes, err, Boolean.getBoolean(TERMINAL_ERR));
  }

  /** Says why nothing seems to happen, on a terminal alone. */
  void note(String text) {
    if (Boolean.getBoolean(TERMINAL_ERR)) {
      err.println(Terminal.shown(text));
    }
  }

  static String version() {
    String version = Main.class.getPackage().getImplementationVersion();
    return version == null ? "unpackaged" : version;
  }

  /** Of {@code --version}. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"grpsqlite " + version()};
    }
  }

  @Command(
      name = "completion",
      description =
          "Print what completes its command lines in bash: source <(grpsqlite completion)")
  static final class Completion implements Runnable {
    @CommandLine.ParentCommand private @Nullable Main main;

    @Override
    public void run() {
      Main top = Commands.of(main);
      top.out()
          .print(AutoComplete.bash("grpsqlite", new Main(top.out, top.err).commandLine(List.of())));
    }
  }
}
