package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "shell",
    description = {
      "Open a database in the sqlite3 that is installed, with the extension loaded.",
      "More arguments go to sqlite3; those that begin with a dash, behind --."
    })
final class ShellCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(index = "0", paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Parameters(
      index = "1..*",
      arity = "0..*",
      paramLabel = "ARGUMENT",
      description = "For sqlite3, e.g. SQL.")
  private List<String> arguments = new ArrayList<>();

  @Option(names = "--readonly", description = "Open it read-only.")
  private boolean readOnly;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Main top = Commands.of(main);
    Path library = Home.library();
    if (!Files.exists(library)) {
      throw new Refusal(Kind.FAILED, "there is no extension " + library);
    }
    List<String> command = new ArrayList<>(List.of("sqlite3"));
    command.addAll(List.of("-cmd", ".load " + quoted(library.toString())));
    command.addAll(
        List.of(
            "-cmd", ".open " + (readOnly ? "--readonly " : "") + quoted(uri(name)), ":memory:"));
    command.addAll(arguments); // sqlite3 takes options behind the database too.
    try {
      return Child.run(command, top.server().forTheExtension());
    } catch (IOException e) {
      throw new Refusal(
          Kind.FAILED,
          "sqlite3 cannot be started; install it, e.g. apt install sqlite3 ("
              + e.getMessage()
              + ")");
    }
  }

  /**
   * The database of that name and no other, whatever the name: as it is, a dash would begin an
   * option, and SQLite has its own idea of what {@code file:} is.
   */
  static String uri(String name) {
    if (name.isEmpty()) {
      throw new Refusal(Kind.USAGE, "a database has a name");
    }
    if (name.equals(":memory:")) {
      throw new Refusal(
          Kind.USAGE, "what is called :memory: SQLite keeps in memory, not at the server");
    }
    StringBuilder uri = new StringBuilder("file:");
    for (byte each : name.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) Byte.toUnsignedInt(each);
      boolean isItself =
          (c >= 'a' && c <= 'z')
              || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9')
              || "-._~".indexOf(c) >= 0
              || (c == '/' && !uri.toString().equals("file:")); // what follows // would be a host
      uri.append(isItself ? String.valueOf(c) : String.format("%%%02X", (int) c));
    }
    return uri.append("?vfs=grpsqlite").toString();
  }

  /** As the shell reads a word of a dot-command. */
  private static String quoted(String text) {
    if (text.chars().anyMatch(c -> c < ' ')) {
      throw new Refusal(Kind.USAGE, "a path with control characters cannot be given to sqlite3");
    }
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }
}
