package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Help.Ansi;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;

/** The command line: an option for each setting, and what is an option alone. */
final class CommandLineOptions {
  static final String CONFIG = "config";
  static final String BACKEND = "backend";
  private static final String HELP = "help";
  private static final String VERSION = "version";

  private final CommandLine commandLine;
  private final List<Setting> settings;

  CommandLineOptions(String serverName, List<Setting> settings) {
    this.settings = settings;
    CommandSpec spec = CommandSpec.create().name(serverName);
    spec.usageMessage()
        .customSynopsis(serverName + " [OPTION]...")
        .description("A storage server for SQLite databases.")
        .width(100)
        .sortOptions(false)
        .footer(
            "",
            "Each setting can also be given as an environment variable (--log-level is "
                + Settings.environmentName("log-level")
                + ") or in the configuration file (log-level = debug); the command line comes"
                + " first, then the environment.",
            "When it is ready, the server prints one line for each address to standard output: "
                + serverName
                + " listening on ADDRESS",
            "Exit codes: 0 stopped, 1 cannot start, 2 a setting is wrong.");
    settings.forEach(setting -> spec.addOption(option(setting)));
    spec.addOption(
        OptionSpec.builder("--" + CONFIG)
            .paramLabel("FILE")
            .type(String.class)
            .description("A file of settings, one NAME = VALUE on a line.")
            .build());
    spec.addOption(
        OptionSpec.builder("--" + BACKEND)
            .paramLabel("NAME")
            .type(String.class)
            .description("Which storage to use, where several are on the class path.")
            .build());
    spec.addOption(
        OptionSpec.builder("--" + HELP).usageHelp(true).description("Show this.").build());
    spec.addOption(
        OptionSpec.builder("--" + VERSION)
            .versionHelp(true)
            .description("Show the version.")
            .build());
    commandLine = new CommandLine(spec);
  }

  private static OptionSpec option(Setting setting) {
    String description =
        setting.description()
            + (setting.required() ? " Needed." : "")
            + (setting.defaultValue().isEmpty() || isFlag(setting)
                ? ""
                : " Default: " + setting.defaultValue());
    OptionSpec.Builder option =
        OptionSpec.builder("--" + setting.name()).description(description.replace("%", "%%"));
    if (isFlag(setting)) {
      return option.type(boolean.class).arity("0").build();
    }
    return option
        .type(List.class)
        .auxiliaryTypes(String.class)
        .paramLabel(setting.placeholder())
        .build();
  }

  static boolean isFlag(Setting setting) {
    return setting.placeholder().isEmpty();
  }

  String usage() {
    return commandLine.getUsageMessage(Ansi.OFF);
  }

  /** What was given. */
  record Given(
      boolean help,
      boolean version,
      @Nullable String config,
      @Nullable String backend,
      Map<String, String> values) {}

  Given parse(String[] arguments) throws UsageException {
    ParseResult result;
    try {
      result = commandLine.parseArgs(arguments);
    } catch (ParameterException e) {
      throw new UsageException(String.valueOf(e.getMessage()).lines().findFirst().orElse(""));
    }
    Map<String, String> values = new HashMap<>();
    for (Setting setting : settings) {
      String option = "--" + setting.name();
      if (!result.hasMatchedOption(option)) {
        continue;
      }
      if (isFlag(setting)) {
        values.put(setting.name(), "true");
        continue;
      }
      List<String> all = result.matchedOptionValue(option, List.of());
      if (all.size() > 1 && !setting.name().equals(CommonSettings.LISTEN)) {
        throw new UsageException(option + " is given " + all.size() + " times");
      }
      values.put(setting.name(), String.join(",", all));
    }
    return new Given(
        result.isUsageHelpRequested(),
        result.isVersionHelpRequested(),
        result.matchedOptionValue("--" + CONFIG, null),
        result.matchedOptionValue("--" + BACKEND, null),
        values);
  }
}
