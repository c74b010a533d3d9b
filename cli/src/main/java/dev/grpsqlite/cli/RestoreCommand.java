package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Commands.Choice;
import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Admin;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "restore",
    description = "Bring an old content back, as a new version: nothing is lost.")
final class RestoreCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Mixin private final Choice choice = new Choice();

  @Override
  public Integer call() throws IOException {
    if (choice.at().isHead()) {
      throw new Refusal(Kind.USAGE, "say which content: --version N or --at TIME");
    }
    Main top = Commands.of(main);
    try (ServerConnection connection = top.server().connect()) {
      Admin admin = connection.admin();
      long version =
          Change.of(
              admin,
              name,
              () -> admin.restore(name, choice.at()),
              before ->
                  "restored "
                      + name
                      + ", and may be at it still; grpsqlite history tells: then there is a version"
                      + " above "
                      + before.getHeadVersion());
      Map<String, Object> shape = new LinkedHashMap<>();
      shape.put("name", name);
      shape.put("version", version);
      top.answer(shape, name + ": restored, as version " + version);
    }
    return 0;
  }
}
