package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.spi.PageStoreProvider.Setting;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The values of all settings: from the command line, else the environment, else the configuration
 * file, else the default. Whoever reads them finds them checked.
 */
final class Settings {
  private static final String ENVIRONMENT_PREFIX = "GRPSQLITE_";

  private final Map<String, String> values;

  private Settings(Map<String, String> values) {
    this.values = values;
  }

  /** The value, or empty if there is none. */
  String get(String name) {
    return values.getOrDefault(name, "");
  }

  boolean has(String name) {
    return values.containsKey(name);
  }

  /** Null if there is none. */
  @Nullable Path path(String name) {
    return has(name) ? Path.of(get(name)) : null;
  }

  boolean isTrue(String name) {
    return get(name).equals("true");
  }

  int integer(String name) {
    return Integer.parseInt(get(name));
  }

  long bytes(String name) {
    return Long.parseLong(get(name));
  }

  /** Of a setting that takes several values. */
  List<String> list(String name) {
    return Arrays.stream(get(name).split(",", -1))
        .map(String::trim)
        .filter(value -> !value.isEmpty())
        .toList();
  }

  /** Those among these settings that have a value. */
  Map<String, String> of(List<Setting> settings) {
    return settings.stream()
        .map(Setting::name)
        .filter(values::containsKey)
        .collect(Collectors.toMap(name -> name, this::get));
  }

  static String environmentName(String setting) {
    return ENVIRONMENT_PREFIX + setting.toUpperCase(Locale.ROOT).replace('-', '_');
  }

  static Settings resolve(
      List<Setting> known,
      Map<String, String> commandLine,
      Map<String, String> environment,
      @Nullable Path file)
      throws UsageException {
    Map<String, Setting> byName =
        known.stream()
            .collect(
                Collectors.toMap(Setting::name, each -> each, (a, b) -> a, LinkedHashMap::new));
    Map<String, FromFile> fromFile = file == null ? Map.of() : read(file, byName);
    Map<String, String> values = new LinkedHashMap<>();
    for (Setting setting : byName.values()) {
      String name = setting.name();
      String variable = environmentName(name);
      FromFile inFile = fromFile.get(name);
      String value;
      String source;
      if (commandLine.containsKey(name)) {
        value = commandLine.getOrDefault(name, "");
        source = "--" + name;
      } else if (environment.containsKey(variable)) {
        value = environment.getOrDefault(variable, "");
        source = variable;
      } else if (inFile != null) {
        value = inFile.value;
        source = file + ":" + inFile.line + ": " + name;
      } else if (setting.required()) {
        throw new UsageException(
            "--" + name + " " + setting.placeholder() + " is needed: " + setting.description());
      } else if (setting.defaultValue().isEmpty()) {
        continue;
      } else {
        value = setting.defaultValue();
        source = "--" + name;
      }
      String problem = setting.check().problem(value);
      if (!problem.isEmpty()) {
        throw new UsageException(source + ": " + problem);
      }
      values.put(name, value);
    }
    return new Settings(values);
  }

  private record FromFile(String value, int line) {}

  private static Map<String, FromFile> read(Path file, Map<String, Setting> known)
      throws UsageException {
    List<String> lines;
    try {
      lines = Files.readAllLines(file, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UsageException("cannot read the configuration file " + file + ": " + e);
    }
    Map<String, FromFile> result = new LinkedHashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i).trim();
      if (line.isEmpty() || line.startsWith("#") || line.startsWith("!")) {
        continue;
      }
      String place = file + ":" + (i + 1) + ": ";
      int equals = line.indexOf('=');
      if (equals < 0) {
        throw new UsageException(place + "'" + line + "' is not NAME = VALUE");
      }
      String name = line.substring(0, equals).trim();
      if (!known.containsKey(name)) {
        throw new UsageException(
            place
                + "there is no setting '"
                + name
                + "'; there are "
                + known.keySet().stream().sorted().collect(Collectors.joining(", ")));
      }
      FromFile value = new FromFile(line.substring(equals + 1).trim(), i + 1);
      FromFile before = result.put(name, value);
      if (before != null) {
        throw new UsageException(place + "'" + name + "' is set already in line " + before.line);
      }
    }
    return result;
  }

  // ---- What a value may be

  /** A whole number in a range. */
  static String integerProblem(String value, long min, long max) {
    try {
      long number = Long.parseLong(value);
      if (number >= min && number <= max) {
        return "";
      }
    } catch (NumberFormatException e) {
      // Said below.
    }
    return "'" + value + "' is not a number from " + min + " to " + max;
  }

  static String choiceProblem(String value, List<String> choices) {
    return choices.contains(value)
        ? ""
        : "'" + value + "' is not one of " + String.join(", ", choices);
  }

  /** Each of several values, separated by commas, none twice. */
  static String choicesProblem(String value, List<String> choices) {
    List<String> seen = new ArrayList<>();
    for (String each : value.split(",", -1)) {
      String problem = choiceProblem(each.trim(), choices);
      if (!problem.isEmpty()) {
        return problem;
      }
      if (seen.contains(each.trim())) {
        return "'" + each.trim() + "' is there twice";
      }
      seen.add(each.trim());
    }
    return "";
  }

  static String addressProblem(String value) {
    try {
      ListenAddress.parse(value);
      return "";
    } catch (IllegalArgumentException e) {
      return String.valueOf(e.getMessage());
    }
  }

  static String addressesProblem(String value) {
    for (String each : value.split(",", -1)) {
      String problem = addressProblem(each.trim());
      if (!problem.isEmpty()) {
        return problem;
      }
    }
    return "";
  }

  static String tcpAddressProblem(String value) {
    return value.startsWith("unix:") ? "'" + value + "' is not HOST:PORT" : addressProblem(value);
  }
}
