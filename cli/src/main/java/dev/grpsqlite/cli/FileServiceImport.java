package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.FileClient;
import dev.grpsqlite.pageclient.FileClient.Lease;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * An import to a server that has the file service alone: one atomic batch, which is one message, or
 * nothing.
 */
final class FileServiceImport {
  private final ServerConnection connection;
  private final SourceFile source;
  private final String name;
  private final boolean replace;

  FileServiceImport(ServerConnection connection, SourceFile source, String name, boolean replace) {
    this.connection = connection;
    this.source = source;
    this.name = name;
    this.replace = replace;
  }

  void run(Main top) throws IOException {
    long begun = System.nanoTime();
    FileClient files = FileClient.open(connection);
    if (!files.hasAtomicBatch()) {
      throw new Refusal(
          Kind.UNSUPPORTED,
          "this server has only the file service, and no atomic batches: an import that is"
              + " interrupted would leave half a database. Use sqlite3 with .dump, or another"
              + " server");
    }
    if (source.bytes() > FileClient.MOST_BATCH_BYTES) {
      throw new Refusal(
          Kind.UNSUPPORTED,
          "this server has only the file service, whose commits are one message: at most "
              + Quantity.bytes(FileClient.MOST_BATCH_BYTES)
              + ", and the file has "
              + Quantity.bytes(source.bytes()));
    }
    byte[] content = new byte[(int) source.bytes()];
    source.read(1, (int) source.pageCount(), content);
    try (Lease lease = files.acquire(name)) {
      long there = lease.size();
      if (there > 0 && !replace) {
        throw new Refusal(
            Kind.IN_THE_WAY, name + " exists already; --replace gives it this content");
      }
      if (there > content.length) {
        throw new Refusal(
            Kind.UNSUPPORTED,
            "this server has only the file service, which cannot replace a database by a smaller"
                + " one in one commit");
      }
      lease.writeAtOnce(content, source.pageSize());
    }
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("name", name);
    shape.put("version", null);
    shape.put("page_size", source.pageSize());
    shape.put("page_count", source.pageCount());
    shape.put("bytes", source.bytes());
    shape.put("seconds", (System.nanoTime() - begun) / 1e9);
    top.answer(shape, name + ": " + Quantity.bytes(source.bytes()) + ", by the file service");
  }
}
