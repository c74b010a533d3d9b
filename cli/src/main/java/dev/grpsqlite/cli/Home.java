package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** Where the distribution is that this command is part of. */
final class Home {
  private static final String FOLDER = "grpsqlite.home";
  private static final String LIBRARY = "GRPSQLITE_LIBRARY";

  private Home() {}

  private static Path folder() {
    String folder = System.getProperty(FOLDER);
    if (folder == null) {
      throw new Refusal(Kind.FAILED, "start this by the script bin/grpsqlite of a distribution");
    }
    return Path.of(folder);
  }

  /** The extension. */
  static Path library() {
    String given = System.getenv(LIBRARY);
    return given == null || given.isEmpty()
        ? folder().resolve("lib/libgrpsqlite_vfs.so")
        : Path.of(given).toAbsolutePath();
  }

  /** The program that speaks to servers for a command; there may be none. */
  static Optional<Path> relay() {
    return Optional.ofNullable(System.getProperty(FOLDER))
        .map(folder -> Path.of(folder, "lib", "grpsqlite_relay"))
        .filter(Files::isExecutable);
  }

  static Path bin() {
    return folder().resolve("bin");
  }
}
