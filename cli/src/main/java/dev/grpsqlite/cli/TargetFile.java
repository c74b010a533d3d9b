package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;

/**
 * A file that is there whole or not at all: written under another name beside it, synced, and
 * renamed. What it replaces hands on who may read and write it; if it is a link, what it leads to
 * is replaced. {@link #write} is for any thread.
 */
final class TargetFile implements AutoCloseable {
  /** Of the name, in that of the part: four bytes each, so that a file system takes it. */
  private static final int SHOWN_CHARACTERS = 50;

  private final Path path;
  private final Path file;
  private final Path part;
  private final FileChannel channel;
  private final Thread remover;

  private TargetFile(Path path, Path file, Path part, FileChannel channel) {
    this.path = path;
    this.file = file;
    this.part = part;
    this.channel = channel;
    this.remover = new Thread(this::remove, "remove");
    Runtime.getRuntime().addShutdownHook(remover);
  }

  static TargetFile create(Path path, boolean replace) throws IOException {
    if (Files.isDirectory(path)) {
      throw new Refusal(Kind.USAGE, path + " is a folder");
    }
    refuseIfThere(path, replace);
    Path file = Files.isSymbolicLink(path) ? path.toRealPath() : path.toAbsolutePath();
    for (String suffix : new String[] {"-wal", "-journal"}) {
      Path beside = file.resolveSibling(file.getFileName() + suffix);
      if (Files.exists(beside)) {
        throw new Refusal(
            Kind.IN_THE_WAY,
            beside + " is there, which SQLite would take for a part of the new file");
      }
    }
    Path folder = file.resolveSibling("");
    if (!Files.isDirectory(folder)) {
      throw new Refusal(Kind.NOT_FOUND, "there is no folder " + folder);
    }
    Path part = folder.resolve(partName(String.valueOf(file.getFileName())));
    try {
      return new TargetFile(path, file, part, open(part, file));
    } catch (AccessDeniedException e) {
      throw new FileSystemException(
          path.toString(), null, "you have not the right to write to its folder");
    } catch (IOException e) {
      throw about(path, e);
    }
  }

  private static String partName(String name) {
    StringBuilder part = new StringBuilder(".");
    name.codePoints().limit(SHOWN_CHARACTERS).forEach(part::appendCodePoint);
    return part.append('.')
        .append(Long.toHexString(ThreadLocalRandom.current().nextLong()))
        .append(".part")
        .toString();
  }

  /** Nobody may read it, at any time, who may not read what it replaces. */
  private static FileChannel open(Path part, Path replaced) throws IOException {
    PosixFileAttributes before =
        Files.exists(replaced) ? Files.readAttributes(replaced, PosixFileAttributes.class) : null;
    FileAttribute<?>[] attributes =
        before == null
            ? new FileAttribute<?>[0]
            : new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(before.permissions())};
    FileChannel channel =
        FileChannel.open(
            part, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), attributes);
    if (before != null) {
      try {
        handOn(before, Files.getFileAttributeView(part, PosixFileAttributeView.class));
      } catch (IOException e) {
        channel.close();
        Files.deleteIfExists(part);
        throw e;
      }
    }
    return channel;
  }

  private static void handOn(PosixFileAttributes from, @Nullable PosixFileAttributeView to)
      throws IOException {
    if (to == null) {
      return;
    }
    Set<PosixFilePermission> permissions = EnumSet.noneOf(PosixFilePermission.class);
    permissions.addAll(from.permissions());
    try {
      to.setOwner(from.owner());
    } catch (IOException e) {
      // Then it is the one's who makes it.
    }
    try {
      to.setGroup(from.group());
    } catch (IOException e) {
      // What that group may, another may not.
      permissions.removeAll(
          EnumSet.of(
              PosixFilePermission.GROUP_READ,
              PosixFilePermission.GROUP_WRITE,
              PosixFilePermission.GROUP_EXECUTE));
    }
    to.setPermissions(permissions);
  }

  /** A link that leads nowhere is there, too; and a device or a pipe would be gone. */
  private static void refuseIfThere(Path path, boolean replace) {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!replace) {
      throw new Refusal(Kind.IN_THE_WAY, path + " exists already; --replace overwrites it");
    }
    if (!Files.exists(path)) {
      throw new Refusal(Kind.USAGE, path + " is a link that leads nowhere");
    }
    if (!Files.isRegularFile(path)) {
      throw new Refusal(Kind.USAGE, path + " is no file that could be overwritten");
    }
  }

  /** In the words of the file that is wanted: the part is nobody's business. */
  private static FileSystemException about(Path path, IOException e) {
    String reason = e instanceof FileSystemException file ? file.getReason() : e.getMessage();
    FileSystemException about =
        new FileSystemException(
            path.toString(), null, reason == null ? e.getClass().getSimpleName() : reason);
    about.initCause(e);
    return about;
  }

  void write(byte[] bytes, int length, long offset) throws IOException {
    ByteBuffer rest = ByteBuffer.wrap(bytes, 0, length);
    try {
      while (rest.hasRemaining()) {
        channel.write(rest, offset + rest.position());
      }
    } catch (IOException e) {
      throw about(path, e);
    }
  }

  /** Gives it its name. */
  void finish(boolean replace) throws IOException {
    try {
      channel.force(true);
      channel.close();
      refuseIfThere(path, replace);
      Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
      try (FileChannel folder =
          FileChannel.open(part.resolveSibling(""), StandardOpenOption.READ)) {
        folder.force(true);
      }
    } catch (IOException e) {
      throw about(path, e);
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
