package dev.grpsqlite.conformance;

import io.grpc.ChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** {@code grpsqlite-conformance}. */
public final class Main {
  static final int KEPT = 0;
  static final int NOT_KEPT = 1;
  static final int WRONG_USE = 2;
  static final int NO_SERVER = 3;

  private static final String NAME = "grpsqlite-conformance";

  /** What servers send may be larger than what they receive. */
  private static final int MAX_MESSAGE_BYTES = 64 << 20;

  private final PrintStream out;
  private final PrintStream err;

  Main(PrintStream out, PrintStream err) {
    this.out = out;
    this.err = err;
  }

  public static void main(String[] arguments) throws InterruptedException {
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    System.exit(new Main(out, System.err).run(arguments));
  }

  /** The exit code. */
  int run(String... arguments) throws InterruptedException {
    CommandLine commandLine = new CommandLine(spec());
    try {
      ParseResult given = commandLine.parseArgs(arguments);
      if (given.hasMatchedOption("--help")) {
        commandLine.usage(out);
        return KEPT;
      }
      if (given.hasMatchedOption("--document")) {
        out.print(Rules.document());
        return KEPT;
      }
      return check(given);
    } catch (ParameterException e) {
      return fail(WRONG_USE, String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    } catch (UsageException e) {
      return fail(WRONG_USE, String.valueOf(e.getMessage()));
    } catch (NoServerException e) {
      return fail(NO_SERVER, String.valueOf(e.getMessage()));
    }
  }

  private int fail(int code, String message) {
    err.println(NAME + ": " + message + (code == WRONG_USE ? " (--help shows all options)" : ""));
    return code;
  }

  private int check(ParseResult given)
      throws UsageException, NoServerException, InterruptedException {
    List<Rule> rules = selected(given.matchedOptionValue("--rules", ""));
    KnownFailures known = knownFailures(given.matchedOptionValue("--known-failures", ""));
    long start = System.nanoTime();
    try (Target target = target(given);
        Run run = new Run(target)) {
      Set<Service> services = services(given.matchedOptionValue("--service", ""), run, target);
      out.println("looking at " + about(run.offer(), services) + " at " + target.address());
      List<Result> results =
          run.check(rules, services, known, result -> out.println(Report.line(result)));
      long millis = (System.nanoTime() - start) / 1_000_000;
      out.println(Report.summary(results, millis));
      String file = given.matchedOptionValue("--junit-xml", "");
      if (!file.isEmpty()) {
        write(file, Report.junit(results, target.address(), millis));
      }
      return results.stream().anyMatch(Result::isBad) ? NOT_KEPT : KEPT;
    }
  }

  private static String about(Offer offer, Set<Service> services) {
    List<String> parts = new ArrayList<>();
    for (Service service : services) {
      parts.add("the " + service.word() + " service");
    }
    String name = offer.page().map(page -> " of " + page.getServerName()).orElse("");
    return String.join(" and ", parts) + name;
  }

  private static void write(String file, String text) throws UsageException {
    try {
      Files.writeString(Path.of(file), text);
    } catch (IOException e) {
      throw new UsageException("--junit-xml: cannot write " + file + ": " + e);
    }
  }

  /** Empty: all of them. */
  static List<Rule> selected(String patterns) throws UsageException {
    if (patterns.isEmpty()) {
      return Rules.ALL;
    }
    List<Rule> result = new ArrayList<>();
    for (String pattern : patterns.split(",", -1)) {
      List<Rule> found =
          Rules.ALL.stream().filter(rule -> matches(pattern.strip(), rule.number())).toList();
      if (found.isEmpty()) {
        throw new UsageException("--rules: there is no rule " + pattern);
      }
      result.addAll(found);
    }
    return Rules.ALL.stream().filter(result::contains).toList();
  }

  private static boolean matches(String pattern, String number) {
    return pattern.endsWith("*")
        ? number.startsWith(pattern.substring(0, pattern.length() - 1))
        : number.equals(pattern);
  }

  private static KnownFailures knownFailures(String file) throws UsageException {
    if (file.isEmpty()) {
      return KnownFailures.NONE;
    }
    try {
      return KnownFailures.parse(file, Files.readAllLines(Path.of(file)), Rules.ALL);
    } catch (IOException e) {
      throw new UsageException("--known-failures: cannot read " + file + ": " + e);
    }
  }

  private static Set<Service> services(String word, Run run, Target target)
      throws UsageException, NoServerException {
    Set<Service> result = EnumSet.noneOf(Service.class);
    for (Service service : Service.values()) {
      if (word.isEmpty() ? run.offer().has(service) : service.word().equals(word)) {
        result.add(service);
      }
    }
    if (result.isEmpty()) {
      throw new UsageException("--service is file or page, not " + word);
    }
    for (Service service : result) {
      if (!run.offer().has(service)) {
        throw new NoServerException(
            "the server at " + target.address() + " has no " + service.word() + " service");
      }
    }
    return result;
  }

  private static Target target(ParseResult given) throws UsageException {
    String address = given.matchedOptionValue("--target", "");
    if (!address.matches(".+:\\d{1,5}")) {
      throw new UsageException("--target is HOST:PORT, not " + address);
    }
    return new Target(
        NettyChannelBuilder.forTarget("dns:///" + address, credentials(given))
            .maxInboundMessageSize(MAX_MESSAGE_BYTES)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .build(),
        address,
        given.matchedOptionValue("--token", ""));
  }

  private static ChannelCredentials credentials(ParseResult given) throws UsageException {
    @Nullable File ca = file(given, "--tls-ca");
    @Nullable File cert = file(given, "--tls-cert");
    @Nullable File key = file(given, "--tls-key");
    if (ca == null && cert == null && key == null && !given.hasMatchedOption("--tls")) {
      return InsecureChannelCredentials.create();
    }
    try {
      TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
      if (ca != null) {
        tls.trustManager(ca);
      }
      if (cert != null && key != null) {
        tls.keyManager(cert, key);
      } else if (cert != null || key != null) {
        throw new UsageException("--tls-cert and --tls-key belong together");
      }
      return tls.build();
    } catch (IOException e) {
      throw new UsageException("the TLS files cannot be used: " + e);
    }
  }

  private static @Nullable File file(ParseResult given, String option) {
    String name = given.matchedOptionValue(option, "");
    return name.isEmpty() ? null : new File(name);
  }

  private static CommandSpec spec() {
    CommandSpec spec = CommandSpec.create().name(NAME);
    spec.usageMessage()
        .customSynopsis(NAME + " --target HOST:PORT [OPTION]...")
        .description(
            "Checks a storage server, in whatever language, against the rules in docs/rules.md."
                + " Takes less than two minutes. It makes databases whose names begin with"
                + " conformance- and a random number, and drops them where the server can.")
        .width(100)
        .sortOptions(false)
        .footer(
            "",
            "Exit codes: 0 all required rules are kept, known failures aside; 1 some are not, or a"
                + " known failure is none any more; 2 wrong use; 3 no server, or not the service.");
    value(spec, "--target", "HOST:PORT", "Where the server is.");
    value(spec, "--service", "file|page", "One service alone; else all that the server has.");
    value(
        spec,
        "--rules",
        "NUMBERS",
        "Only these, with commas between them; FILE-1* means all that begin so.");
    value(spec, "--token", "TOKEN", "Who we are, as a bearer token.");
    flag(spec, "--tls", "With TLS; implied by the three below.");
    value(
        spec, "--tls-ca", "FILE", "PEM: who signed the server's certificate, if not a known one.");
    value(spec, "--tls-cert", "FILE", "PEM: our certificate.");
    value(spec, "--tls-key", "FILE", "PEM: its private key.");
    value(
        spec,
        "--known-failures",
        "FILE",
        "Rules that the server is known not to keep, a line each: NUMBER reason.");
    value(spec, "--junit-xml", "FILE", "Write the results there as well.");
    flag(spec, "--document", "Print docs/rules.md.");
    spec.addOption(OptionSpec.builder("--help").usageHelp(true).description("Show this.").build());
    return spec;
  }

  private static void value(CommandSpec spec, String name, String label, String description) {
    spec.addOption(
        OptionSpec.builder(name)
            .paramLabel(label)
            .type(String.class)
            .description(description)
            .build());
  }

  private static void flag(CommandSpec spec, String name, String description) {
    spec.addOption(
        OptionSpec.builder(name).type(boolean.class).arity("0").description(description).build());
  }
}
