package dev.grpsqlite.e2e;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A server's disk, which fails as long as a test wants it to. */
final class FailingDisk {
  /** How it fails. */
  enum Failure {
    /** Little room is left, as the system says. */
    LOW,
    /** Nothing can be written. */
    FULL,
    /** Nothing can be synced. */
    BROKEN;

    private String variable() {
      return "DISK_" + name();
    }
  }

  private final Path folder;
  private final Path data;
  private final Path library;

  /**
   * Sets up what a server is to be started with.
   *
   * @param folder for what this needs itself
   * @param data of the server
   */
  FailingDisk(Path folder, Path data) throws Exception {
    this.folder = folder;
    this.data = data.toRealPath();
    this.library =
        CPrograms.compile(
            folder, "failing_disk", "-shared", "-fPIC", "-D_GNU_SOURCE", "-Wl,--as-needed");
  }

  Map<String, String> environment() {
    return Map.of(
        "LD_PRELOAD",
        library.toString(),
        "DISK",
        data.toString(),
        Failure.LOW.variable(),
        control(Failure.LOW).toString(),
        Failure.FULL.variable(),
        control(Failure.FULL).toString(),
        Failure.BROKEN.variable(),
        control(Failure.BROKEN).toString());
  }

  void begin(Failure failure) throws IOException {
    Files.createFile(control(failure));
  }

  void end(Failure failure) throws IOException {
    Files.delete(control(failure));
  }

  private Path control(Failure failure) {
    return folder.resolve(failure.variable());
  }
}
