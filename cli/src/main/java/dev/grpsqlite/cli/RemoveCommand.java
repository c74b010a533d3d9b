package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Admin;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.Charset;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "rm",
    description = "Remove a database and its history. Its forks keep what they need.")
final class RemoveCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Option(
      names = {"-f", "--force"},
      description = "Do not ask.")
  private boolean force;

  @Override
  public Integer call() throws IOException {
    Main top = Commands.of(main);
    if (!force) {
      if (!Boolean.getBoolean("grpsqlite.asks")) {
        throw new Refusal(Kind.USAGE, "nobody can be asked; --force removes without asking");
      }
      top.err().print("Remove " + name + " with all its versions? (yes/no) ");
      top.err().flush();
      String answer =
          new BufferedReader(new InputStreamReader(System.in, Charset.defaultCharset())).readLine();
      if (!"yes".equals(answer)) {
        throw new Refusal(Kind.FAILED, name + " was not removed");
      }
    }
    try (ServerConnection connection = top.server().connect()) {
      Admin admin = connection.admin();
      Change.of(
          admin,
          name,
          () -> {
            admin.drop(name);
            return true;
          },
          before -> "removed " + name + ", and may be at it still; grpsqlite stat tells");
      Map<String, Object> shape = new LinkedHashMap<>();
      shape.put("name", name);
      shape.put("removed", true);
      top.answer(shape, name + ": removed");
    }
    return 0;
  }
}
