package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Commands.Choice;
import dev.grpsqlite.pageclient.Admin;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.proto.v1.DatabaseInfo;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "fork",
    description = "Make a database that begins as another is, or was, in constant time.")
final class ForkCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(index = "0", paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Parameters(index = "1", paramLabel = "NEW-NAME", description = "What the fork is called.")
  private String newName = "";

  @Mixin private final Choice choice = new Choice();

  @Override
  public Integer call() throws IOException {
    Main top = Commands.of(main);
    try (ServerConnection connection = top.server().connect()) {
      Admin admin = connection.admin();
      DatabaseInfo fork =
          Change.of(
              admin,
              name,
              () -> admin.fork(name, newName, choice.at()),
              before -> "made " + newName + ", and may be at it still; grpsqlite stat tells");
      top.answer(
          Databases.shape(fork),
          "%s: as %s was at version %d".formatted(newName, name, fork.getForkedAtVersion()));
    }
    return 0;
  }
}
