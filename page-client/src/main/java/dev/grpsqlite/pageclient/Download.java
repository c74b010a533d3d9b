package dev.grpsqlite.pageclient;

import dev.grpsqlite.pageclient.Session.Opened;
import dev.grpsqlite.proto.v1.Page;
import dev.grpsqlite.proto.v1.PageRange;
import dev.grpsqlite.proto.v1.ReadPagesRequest;
import dev.grpsqlite.proto.v1.ReadPagesResponse;
import io.grpc.Status;
import java.util.Iterator;

/** Reads an opened version, by several threads at once if they like. Thread-safe. */
public final class Download {
  private final Session session;
  private final Opened database;
  private final int pageSize;

  public Download(Session session, Opened database) {
    this.session = session;
    this.database = database;
    this.pageSize = database.snapshot().getPageSize();
  }

  /**
   * Reads pages that follow each other.
   *
   * @param bytes where they go, from the beginning
   */
  public void read(long firstPage, int pages, byte[] bytes) {
    ReadPagesRequest request =
        ReadPagesRequest.newBuilder()
            .setSessionId(session.id())
            .setDatabaseId(database.database())
            .setVersion(database.snapshot().getVersion())
            .addRanges(PageRange.newBuilder().setFirst((int) firstPage).setCount(pages))
            .build();
    int read =
        session.call(
            () -> {
              int count = 0;
              Iterator<ReadPagesResponse> answers = session.connection().pages().readPages(request);
              while (answers.hasNext()) {
                for (Page page : answers.next().getPagesList()) {
                  long number = Integer.toUnsignedLong(page.getNumber());
                  if (count >= pages || number != firstPage + count) {
                    throw new RemoteException(
                        Status.Code.INTERNAL, "", "the server sent page " + number + " unasked");
                  }
                  PageData.incoming(page, pageSize, bytes, count * pageSize);
                  count++;
                }
              }
              return count;
            });
    if (read < pages) {
      throw new RemoteException(
          Status.Code.INTERNAL, "", "the server sent " + read + " pages instead of " + pages);
    }
  }
}
