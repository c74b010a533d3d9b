package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Compiles the programs of {@code src/test/c}. */
final class CPrograms {
  private CPrograms() {}

  static Path compile(Path folder, String name, String... options) throws Exception {
    Path program = folder.resolve(name);
    List<String> command = new ArrayList<>(List.of("cc", "-std=c11", "-Wall", "-Werror", "-g"));
    command.addAll(List.of(options));
    command.addAll(
        List.of(
            "-o",
            program.toString(),
            Dist.source("c/" + name + ".c").toString(),
            "-lsqlite3",
            "-lpthread",
            "-ldl"));
    Finished compiled = new Client(folder, "").run("", command.toArray(String[]::new));
    assertEquals(0, compiled.exit(), compiled.toString());
    return program;
  }
}
