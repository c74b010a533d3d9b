package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "ls",
    description = "List the databases, without names to which nothing was ever committed.")
final class ListCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(
      arity = "0..1",
      paramLabel = "PREFIX",
      defaultValue = "",
      description = "Those whose name begins so.")
  private String prefix = "";

  @Option(names = "--all", description = "Names to which nothing was ever committed, too.")
  private boolean all;

  @Option(
      names = {"-l", "--long"},
      description = "With version, size and time of the last commit.")
  private boolean details;

  @Option(
      names = {"-0", "--null"},
      description = "End each name with a NUL: it may have anything else in it, a new line too.")
  private boolean nul;

  @Override
  public Integer call() throws IOException {
    Main top = Commands.of(main);
    if (nul && (details || top.json())) {
      throw new Refusal(Kind.USAGE, "--null is for names alone, without --long and --json");
    }
    List<Map<String, Object>> shapes = new ArrayList<>();
    try (ServerConnection connection = top.server().connect()) {
      connection
          .admin()
          .list(
              prefix,
              info -> {
                if (!all && Databases.isEmpty(info)) {
                  return;
                }
                if (top.json()) {
                  shapes.add(Databases.shape(info));
                } else if (details) {
                  top.out()
                      .printf(
                          "%10d  %9s  %-30s  %s%n",
                          info.getHeadVersion(),
                          Quantity.bytes(Databases.bytes(info)),
                          info.hasCommittedAt() ? Quantity.time(info.getCommittedAt()) : "-",
                          top.shown(info.getName()));
                } else if (nul) {
                  top.out().print(info.getName() + '\0');
                } else {
                  top.out().println(top.shown(info.getName()));
                }
              });
    }
    if (top.json()) {
      top.out().println(Json.of(Map.of("databases", shapes)));
    }
    return 0;
  }
}
