package dev.grpsqlite.cli;

import java.io.IOException;
import java.util.List;
import java.util.Map;

/**
 * A program that takes this one's place at the terminal. An interrupt from the keyboard goes to
 * both; the program decides what it means, so this one goes on until that one ends.
 */
final class Child {
  private Child() {}

  /** Returns what it ends with. */
  static int run(List<String> command, Map<String, String> environment)
      throws IOException, InterruptedException {
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    builder.environment().putAll(environment);
    Process process = builder.start();
    Thread waiter =
        new Thread(
            () -> {
              try {
                Runtime.getRuntime().halt(process.waitFor());
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "end of the program");
    Runtime.getRuntime().addShutdownHook(waiter);
    int exitCode = process.waitFor();
    try {
      Runtime.getRuntime().removeShutdownHook(waiter);
    } catch (IllegalStateException e) {
      // A signal: the hook ends this.
    }
    return exitCode;
  }
}
