package dev.grpsqlite.server.predict;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.server.spi.PageImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A database that the machine's sqlite3 made, and which of its pages queries read. */
public final class RealDatabase implements AutoCloseable {
  private final Path folder;
  private final Path file;
  private final FileChannel channel;
  public final Shape shape;

  private RealDatabase(Path folder, Path file) throws IOException {
    this.folder = folder;
    this.file = file;
    this.channel = FileChannel.open(file);
    ByteBuffer header = ByteBuffer.allocate(100);
    channel.read(header, 0);
    int size = header.getShort(16) & 0xffff;
    int pageSize = size == 1 ? 65_536 : size;
    this.shape = new Shape(1, pageSize, channel.size() / pageSize);
  }

  public static RealDatabase make(Path folder, String name, String sql) throws Exception {
    Path file = folder.resolve(name);
    shell(folder, sql, "-bail", file.toString());
    return new RealDatabase(folder, file);
  }

  /** The extension that notes what is read. */
  static void compileTrace(Path folder) throws Exception {
    Process compiler =
        new ProcessBuilder(
                "cc",
                "-shared",
                "-fPIC",
                "-o",
                folder.resolve("pagetrace.so").toString(),
                Path.of("src/test/c/pagetrace.c").toAbsolutePath().toString())
            .redirectErrorStream(true)
            .start();
    String said = new String(compiler.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, compiler.waitFor(), said);
  }

  /**
   * The pages that SQLite reads for this, with a large cache that is empty: each once, in order.
   */
  List<Long> pagesRead(String sql) throws Exception {
    Path trace = Files.createTempFile(folder, "trace", "");
    String script =
        ".load "
            + folder.resolve("pagetrace")
            + "\n.open --readonly file:"
            + file
            + "?vfs=pagetrace\nPRAGMA cache_size = -1000000;\n.output /dev/null\n"
            + sql
            + "\n";
    shellWith(trace, folder, script);
    LinkedHashSet<Long> pages = new LinkedHashSet<>();
    for (String line : Files.readAllLines(trace)) {
      long offset = Long.parseLong(line.substring(0, line.indexOf(' ')));
      pages.add(offset / shape.pageSize() + 1);
    }
    return new ArrayList<>(pages);
  }

  public PageImage page(long number) {
    ByteBuffer bytes = ByteBuffer.allocate(shape.pageSize());
    try {
      channel.read(bytes, (number - 1) * shape.pageSize());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
    return new PageImage(number, 1, 0, bytes.flip().asReadOnlyBuffer());
  }

  private static void shell(Path folder, String sql, String... arguments) throws Exception {
    run(new ProcessBuilder("sqlite3"), folder, sql, arguments);
  }

  private static void shellWith(Path trace, Path folder, String sql) throws Exception {
    ProcessBuilder shell = new ProcessBuilder("sqlite3");
    shell.environment().put("PAGETRACE", trace.toString());
    run(shell, folder, sql);
  }

  private static void run(ProcessBuilder shell, Path folder, String sql, String... arguments)
      throws Exception {
    shell.command().addAll(List.of(arguments));
    Path said = Files.createTempFile(folder, "said", "");
    shell.redirectErrorStream(true).redirectOutput(said.toFile());
    Process process = shell.start();
    try (var input = process.outputWriter()) {
      input.write(sql);
    }
    if (!process.waitFor(2, TimeUnit.MINUTES)) {
      process.destroyForcibly();
      throw new AssertionError("sqlite3 does not end");
    }
    String text = Files.readString(said);
    assertEquals(0, process.exitValue(), text);
    assertEquals(-1, text.indexOf("rror"), text);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
