package dev.grpsqlite.cli;

import com.google.protobuf.ByteString;
import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Download;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.pageclient.Session;
import dev.grpsqlite.pageclient.Session.At;
import dev.grpsqlite.pageclient.Session.Lease;
import dev.grpsqlite.pageclient.Session.Opened;
import dev.grpsqlite.pageclient.Upload;
import dev.grpsqlite.proto.v1.Snapshot;
import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "import",
    description = {
      "Copy a SQLite database to the server, as one commit.",
      "The pages are copied as they are, and nobody may write to the file meanwhile. If this is"
          + " killed, the server has nothing of it."
    })
final class ImportCommand implements Callable<Integer> {
  /** What is checked of a database besides its header and the number of its pages. */
  enum Check {
    HEADER,
    QUICK,
    FULL
  }

  private static final int COMPARED_BYTES = 1 << 20;

  /** How often it is begun again because the server restarted. */
  private static final int AGAIN = 2;

  @ParentCommand private @Nullable Main main;

  @Parameters(index = "0", paramLabel = "FILE", description = "The database to copy.")
  private Path file = Path.of("");

  @Parameters(index = "1", paramLabel = "NAME", description = "What it is called at the server.")
  private String name = "";

  @Option(
      names = "--replace",
      description = "If the database exists, give it this content, as a new version.")
  private boolean replace;

  @Option(
      names = "--check",
      paramLabel = "WHAT",
      defaultValue = "header",
      description =
          "Of the file, first: header (and page count), quick (PRAGMA quick_check too), full"
              + " (PRAGMA integrity_check). Of what the server has then: page count and first page;"
              + " with full, every page.")
  private Check check = Check.HEADER;

  @Option(
      names = "--wait",
      paramLabel = "SECONDS",
      defaultValue = "10",
      description = "How long to wait for another that is writing to it. Default: 10.")
  private int waitSeconds;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Main top = Commands.of(main);
    SourceFile.require(file); // before a server is waited for
    // Both load many classes, SQLite's and gRPC's: it is a quarter of a second, one after the
    // other.
    try (Ahead<SourceFile> opening = new Ahead<>("source", () -> SourceFile.open(file));
        ServerConnection connection = top.server().connect()) {
      if (check != Check.HEADER) {
        opening.get().check(check == Check.FULL);
      }
      Session session;
      try {
        session = Session.open(connection, ServerOptions.clientName());
      } catch (RemoteException e) {
        SourceFile source = opening.get(); // What is wrong with it is said first.
        if (e.code() == Status.Code.UNIMPLEMENTED) {
          new FileServiceImport(connection, source, name, replace).run(top);
          return 0;
        }
        throw e;
      }
      try (session) {
        SourceFile source = opening.get();
        for (int again = AGAIN; !importTo(top, session, source, again > 0); ) {
          again--;
        }
      }
    }
    return 0;
  }

  /** Returns false if it is to be begun again. */
  private boolean importTo(Main top, Session session, SourceFile source, boolean mayRepeat)
      throws IOException, InterruptedException {
    // So that a name which is refused is not made first.
    session
        .connection()
        .admin()
        .find(name)
        .ifPresent(info -> refuseIfThere(info.getHeadVersion(), info.getPageCount()));
    Opened database = session.openToWrite(name);
    Lease lease = acquire(top, session, database);
    try {
      Snapshot head = lease.head();
      refuseIfThere(head.getVersion(), head.getPageCount());
      Upload upload = new Upload(session, lease, source.pageSize());
      long version;
      double seconds;
      try (Progress progress = top.progress("importing", source.bytes())) {
        stage(source, upload, progress);
        version = commit(upload, source);
        seconds = progress.end();
      }
      verify(top, session, source, version);
      answer(top, source, version, seconds);
      return true;
    } catch (RemoteException e) {
      // The server restarted, and what it had of this is gone. Nothing was committed.
      if (mayRepeat && (e.is("LEASE_LOST") || e.is("NO_SUCH_SESSION"))) {
        return false;
      }
      throw e;
    } finally {
      release(session, lease);
    }
  }

  private Lease acquire(Main top, Session session, Opened database) {
    Optional<Lease> lease = session.acquire(database, Duration.ZERO);
    if (lease.isEmpty() && waitSeconds > 0) {
      top.note("another is writing to " + name + "; waiting up to " + waitSeconds + " s");
      lease = session.acquire(database, Duration.ofSeconds(waitSeconds));
    }
    return lease.orElseThrow(
        () -> new Refusal(Kind.IN_THE_WAY, "another is writing to " + name + "; nothing was done"));
  }

  private static void stage(SourceFile source, Upload upload, Progress progress)
      throws IOException, InterruptedException {
    if (upload.stagesFiles() && !source.hasLog()) {
      upload.stageFile(source.file(), progress::add);
      return;
    }
    Pieces.each(
        source.pageCount(),
        source.pageSize(),
        upload.pagesPerMessage(),
        progress,
        (first, pages, buffer) -> {
          source.read(first, pages, buffer);
          upload.stage(first, pages, buffer);
        });
  }

  private void refuseIfThere(long version, int pageCount) {
    if (!replace && (version > 0 || pageCount != 0)) {
      throw new Refusal(
          Kind.IN_THE_WAY,
          name + " exists already; --replace gives it a new version with this content");
    }
  }

  private long commit(Upload upload, SourceFile source) {
    try {
      return upload.commit(source.pageCount());
    } catch (RemoteException e) {
      if (e.mayBeDone()) {
        throw new Refusal(
            Kind.UNKNOWN,
            "the server did not say whether it committed "
                + name
                + "; grpsqlite stat tells: all of it is there, or nothing ("
                + e.getMessage()
                + ")");
      }
      throw e;
    }
  }

  /** What the server now says, against the file. */
  private void verify(Main top, Session session, SourceFile source, long version)
      throws IOException, InterruptedException {
    Opened there = session.openToRead(name, At.HEAD);
    if (there.snapshot().getVersion() != version) {
      return; // Another has written meanwhile.
    }
    byte[] first = new byte[source.pageSize()];
    source.read(1, 1, first);
    if (there.pageCount() != source.pageCount()
        || there.snapshot().getPageSize() != source.pageSize()
        || !there.firstPage().equals(ByteString.copyFrom(first))) {
      throw differs("");
    }
    if (check == Check.FULL) {
      compare(top, new Download(session, there), source);
    }
  }

  private void compare(Main top, Download download, SourceFile source)
      throws IOException, InterruptedException {
    int pageSize = source.pageSize();
    try (Progress progress = top.progress("comparing", source.bytes())) {
      Pieces.each(
          source.pageCount(),
          pageSize,
          Math.max(1, COMPARED_BYTES / pageSize),
          progress,
          (first, pages, there) -> {
            byte[] here = new byte[pages * pageSize];
            download.read(first, pages, there);
            source.read(first, pages, here);
            int at = Arrays.mismatch(here, 0, here.length, there, 0, here.length);
            if (at >= 0) {
              throw differs(": page " + (first + at / pageSize) + " differs");
            }
          });
    }
  }

  private Refusal differs(String how) {
    return new Refusal(
        Kind.NO_DATABASE, "what the server has as " + name + " is not the file" + how);
  }

  private void answer(Main top, SourceFile source, long version, double seconds) {
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("name", name);
    shape.put("version", version);
    shape.put("page_size", source.pageSize());
    shape.put("page_count", source.pageCount());
    shape.put("bytes", source.bytes());
    shape.put("seconds", seconds);
    top.answer(
        shape,
        "%s: %s in %s pages, as version %d, in %.1f s (%s/s)"
            .formatted(
                name,
                Quantity.bytes(source.bytes()),
                source.pageCount(),
                version,
                seconds,
                Quantity.bytes(source.bytes() / Math.max(seconds, 1e-9))));
  }

  private static void release(Session session, Lease lease) {
    try {
      session.release(lease);
    } catch (RemoteException e) {
      // It ends with the session, or by itself.
    }
  }
}
