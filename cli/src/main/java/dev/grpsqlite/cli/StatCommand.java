package dev.grpsqlite.cli;

import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(name = "stat", description = "Show one database.")
final class StatCommand implements Callable<Integer> {
  @ParentCommand private @Nullable Main main;

  @Parameters(paramLabel = "NAME", description = "The database.")
  private String name = "";

  @Override
  public Integer call() throws IOException {
    Main top = Commands.of(main);
    try (ServerConnection connection = top.server().connect()) {
      Map<String, Object> shape = Databases.shape(connection.admin().stat(name));
      String text =
          shape.entrySet().stream()
              .filter(entry -> entry.getValue() != null)
              .map(
                  entry ->
                      String.format(
                          "%-18s %s", entry.getKey(), top.shown(String.valueOf(entry.getValue()))))
              .collect(Collectors.joining(System.lineSeparator()));
      top.answer(shape, text);
    }
    return 0;
  }
}
