package dev.grpsqlite.bench;

import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.Dist;
import java.util.ArrayList;
import java.util.List;

/** The clients: scripts in {@code src/main/python/}, which print one number a line. */
final class Scripts {
  private Scripts() {}

  static List<Double> run(Client client, String script, Object... arguments) throws Exception {
    List<String> command = new ArrayList<>();
    command.add("/usr/bin/python3");
    command.add("-B");
    command.add(Dist.root().resolve("bench/src/main/python").resolve(script).toString());
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    return client
        .run("", command.toArray(new String[0]))
        .ok()
        .lines()
        .map(Double::valueOf)
        .toList();
  }
}
