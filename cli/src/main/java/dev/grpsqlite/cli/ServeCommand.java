package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Unmatched;

/**
 * Starts a server. Where the command line begins with {@code serve BACKEND}, the start script has
 * done so already, and the server is the process; here it is a child of this one.
 */
@Command(
    name = "serve",
    description = {
      "Start a server: grpsqlite serve rocksdb --data data",
      "All that follows is the server's; grpsqlite serve BACKEND --help shows its settings."
    })
final class ServeCommand implements Callable<Integer> {
  private static final String SUFFIX = "-server";

  @Parameters(index = "0", paramLabel = "BACKEND", description = "Which server, e.g. rocksdb.")
  private String backend = "";

  @Unmatched private List<String> arguments = new ArrayList<>();

  @Override
  public Integer call() throws IOException, InterruptedException {
    List<String> backends;
    try (Stream<Path> files = Files.list(Home.bin())) {
      backends =
          files
              .map(file -> file.getFileName().toString())
              .filter(file -> file.endsWith(SUFFIX))
              .map(file -> file.substring(0, file.length() - SUFFIX.length()))
              .sorted()
              .toList();
    }
    if (!backends.contains(backend)) {
      throw new Refusal(
          Kind.USAGE,
          "there is no server '" + backend + "'; there are: " + String.join(", ", backends));
    }
    List<String> command = new ArrayList<>();
    command.add(Home.bin().resolve(backend + SUFFIX).toString());
    command.addAll(arguments);
    return Child.run(command, Map.of());
  }
}
