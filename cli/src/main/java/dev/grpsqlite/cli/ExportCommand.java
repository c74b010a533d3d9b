package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Commands.Choice;
import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Download;
import dev.grpsqlite.pageclient.FileClient;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.pageclient.Session;
import dev.grpsqlite.pageclient.Session.Opened;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "export",
    description = {
      "Copy a database from the server to a file.",
      "The file is one version, whoever writes meanwhile, and is there whole or not at all."
    })
final class ExportCommand implements Callable<Integer> {
  private static final int PIECE_BYTES = 4 << 20;

  @ParentCommand private @Nullable Main main;

  @Parameters(index = "0", paramLabel = "NAME", description = "The database to copy.")
  private String name = "";

  @Parameters(index = "1", paramLabel = "FILE", description = "The file to make.")
  private Path file = Path.of("");

  @Mixin private final Choice choice = new Choice();

  @Option(names = "--replace", description = "Overwrite the file if it exists.")
  private boolean replace;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Main top = Commands.of(main);
    try (ServerConnection connection = top.server().connect();
        TargetFile target = TargetFile.create(file, replace)) {
      Session session;
      try {
        session = Session.open(connection, ServerOptions.clientName());
      } catch (RemoteException e) {
        if (e.code() == Status.Code.UNIMPLEMENTED) {
          exportFiles(top, connection, target);
          return 0;
        }
        throw e;
      }
      try (session) {
        export(top, session, target);
      }
    }
    return 0;
  }

  private void export(Main top, Session session, TargetFile target)
      throws IOException, InterruptedException {
    Opened database = session.openToRead(name, choice.at());
    int pageSize = database.snapshot().getPageSize();
    if (pageSize == 0) {
      throw new Refusal(Kind.NOT_FOUND, "nothing was ever committed to " + name);
    }
    Download download = new Download(session, database);
    long bytes = database.pageCount() * pageSize;
    try (Progress progress = top.progress("exporting", bytes)) {
      Pieces.each(
          database.pageCount(),
          pageSize,
          PIECE_BYTES / pageSize,
          progress,
          (first, pages, buffer) -> {
            download.read(first, pages, buffer);
            target.write(buffer, pages * pageSize, (first - 1) * pageSize);
          });
      target.finish(replace);
      answer(top, database.snapshot().getVersion(), pageSize, database.pageCount(), progress.end());
    }
  }

  private void exportFiles(Main top, ServerConnection connection, TargetFile target)
      throws IOException {
    if (!choice.at().isHead()) {
      throw new Refusal(
          Kind.UNSUPPORTED, "this server has only the file service, which lists no versions");
    }
    FileClient files = FileClient.open(connection);
    if (!files.hasPointInTimeReads()) {
      throw new Refusal(
          Kind.UNSUPPORTED,
          "this server has only the file service, without reads at a point in time: a copy could be"
              + " of several versions. Use .backup of a sqlite3 with the extension");
    }
    long size = files.size(name);
    if (size <= 0) {
      throw new Refusal(Kind.NOT_FOUND, "there is nothing called " + name);
    }
    try (Progress progress = top.progress("exporting", size)) {
      FileClient.Reader reader = files.reader(name);
      long offset = 0;
      int pageSize = 0;
      while (true) {
        byte[] piece = reader.read(offset, FileClient.PIECE_BYTES);
        if (piece.length == 0) {
          break;
        }
        if (offset == 0 && piece.length >= 18) {
          int field = ((piece[16] & 0xff) << 8) | (piece[17] & 0xff);
          pageSize = field == 1 ? 1 << 16 : field;
        }
        target.write(piece, piece.length, offset);
        offset += piece.length;
        progress.add(piece.length);
      }
      target.finish(replace);
      answer(top, null, pageSize, pageSize == 0 ? 0 : offset / pageSize, progress.end());
    }
  }

  private void answer(
      Main top, @Nullable Long version, int pageSize, long pageCount, double seconds) {
    long bytes = pageCount * pageSize;
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("name", name);
    shape.put("file", file.toString());
    shape.put("version", version);
    shape.put("page_size", pageSize);
    shape.put("page_count", pageCount);
    shape.put("bytes", bytes);
    shape.put("seconds", seconds);
    top.answer(
        shape,
        "%s: %s%s in %.1f s (%s/s)"
            .formatted(
                file,
                Quantity.bytes(bytes),
                version == null ? "" : ", version " + version,
                seconds,
                Quantity.bytes(bytes / Math.max(seconds, 1e-9))));
  }
}
