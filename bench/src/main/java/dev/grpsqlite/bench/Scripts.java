package dev.grpsqlite.bench;

import dev.grpsqlite.e2e.Client;
import dev.grpsqlite.e2e.Dist;
import dev.grpsqlite.e2e.Program;
import java.util.ArrayList;
import java.util.List;

/** The clients: scripts in {@code src/main/python/}, which print one number a line. */
final class Scripts {
  private Scripts() {}

  static List<Double> run(Client client, String script, Object... arguments) throws Exception {
    return client.run("", command(script, arguments)).ok().lines().map(Double::valueOf).toList();
  }

  /** One that goes on until its input ends. */
  static Program start(Client client, String script, Object... arguments) throws Exception {
    return client.start(command(script, arguments));
  }

  private static String[] command(String script, Object... arguments) {
    List<String> command = new ArrayList<>();
    command.add("/usr/bin/python3");
    command.add("-B");
    command.add(Dist.root().resolve("bench/src/main/python").resolve(script).toString());
    for (Object argument : arguments) {
      command.add(argument.toString());
    }
    return command.toArray(new String[0]);
  }
}
