package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ThreadLocalRandom;

/**
 * A file that is there whole or not at all: written under another name beside it, synced, and
 * renamed. {@link #write} is for any thread.
 */
final class TargetFile implements AutoCloseable {
  private final Path path;
  private final Path part;
  private final FileChannel channel;
  private final Thread remover;

  private TargetFile(Path path, Path part, FileChannel channel) {
    this.path = path;
    this.part = part;
    this.channel = channel;
    this.remover = new Thread(this::remove, "remove");
    Runtime.getRuntime().addShutdownHook(remover);
  }

  static TargetFile create(Path path, boolean replace) throws IOException {
    Path file = path.toAbsolutePath();
    if (Files.isDirectory(file)) {
      throw new Refusal(Kind.USAGE, path + " is a folder");
    }
    refuseIfThere(path, replace);
    for (String suffix : new String[] {"-wal", "-journal"}) {
      Path beside = file.resolveSibling(file.getFileName() + suffix);
      if (Files.exists(beside)) {
        throw new Refusal(
            Kind.IN_THE_WAY,
            beside + " is there, which SQLite would take for a part of the new file");
      }
    }
    Path part =
        file.resolveSibling(
            "."
                + file.getFileName()
                + "."
                + Long.toHexString(ThreadLocalRandom.current().nextLong())
                + ".part");
    return new TargetFile(
        path,
        part,
        FileChannel.open(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE));
  }

  /** A link that leads nowhere is there, too; and a device or a pipe would be gone. */
  private static void refuseIfThere(Path path, boolean replace) {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!replace) {
      throw new Refusal(Kind.IN_THE_WAY, path + " exists already; --replace overwrites it");
    }
    if (Files.exists(path) && !Files.isRegularFile(path)) {
      throw new Refusal(Kind.USAGE, path + " is no file that could be overwritten");
    }
  }

  void write(byte[] bytes, int length, long offset) throws IOException {
    ByteBuffer rest = ByteBuffer.wrap(bytes, 0, length);
    while (rest.hasRemaining()) {
      channel.write(rest, offset + rest.position());
    }
  }

  /** Gives it its name. */
  void finish(boolean replace) throws IOException {
    channel.force(true);
    channel.close();
    refuseIfThere(path, replace);
    Files.move(part, path.toAbsolutePath(), StandardCopyOption.ATOMIC_MOVE);
    try (FileChannel folder = FileChannel.open(part.getParent(), StandardOpenOption.READ)) {
      folder.force(true);
    }
  }

  private void remove() {
    try {
      Files.deleteIfExists(part);
    } catch (IOException e) {
      // Its name says what it is.
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
    remove();
    try {
      Runtime.getRuntime().removeShutdownHook(remover);
    } catch (IllegalStateException e) {
      // It runs already.
    }
  }
}
