package dev.grpsqlite.pageclient;

import com.google.protobuf.ByteString;
import dev.grpsqlite.pageclient.Session.Lease;
import dev.grpsqlite.proto.v1.CommitRequest;
import dev.grpsqlite.proto.v1.StagePagesRequest;
import java.io.IOException;
import java.util.HexFormat;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongConsumer;

/**
 * A commit of whatever size: pages are staged, by several threads at once if they like, and then
 * committed together. Nobody sees any of them before, and what is never committed goes with the
 * session. Thread-safe.
 */
public final class Upload {
  /** Of pages in one message. */
  private static final int MOST_MESSAGE_BYTES = 1 << 20;

  /** What else is in a message, and with each page. */
  private static final int MESSAGE_OVERHEAD_BYTES = 4096;

  private static final int PAGE_OVERHEAD_BYTES = 32;

  /** Connections that it takes. */
  private static final int MOST_LANES = 3;

  /** How long a server may have too much to write already. */
  private static final long BACKLOG_NANOS = TimeUnit.SECONDS.toNanos(10);

  private static final long BACKLOG_PAUSE_MS = 20;

  private final Session session;
  private final Lease lease;
  private final int pageSize;
  private final ByteString stage = Session.randomId();
  private final ByteString commit = Session.randomId();
  private final ByteString head;
  private final AtomicInteger lanes = new AtomicInteger();
  private final ThreadLocal<Integer> lane =
      ThreadLocal.withInitial(() -> lanes.getAndIncrement() % MOST_LANES);

  public Upload(Session session, Lease lease, int pageSize) {
    this.session = session;
    this.lease = lease;
    this.pageSize = pageSize;
    this.head =
        StagePagesRequest.newBuilder()
            .setSessionId(session.id())
            .setDatabaseId(lease.database())
            .setEpoch(lease.epoch())
            .setStageId(stage)
            .setPageSize(pageSize)
            .setBulk(true)
            .build()
            .toByteString();
  }

  /** How many pages to stage at once; at least 1. */
  public int pagesPerMessage() {
    int bytes = Math.min(MOST_MESSAGE_BYTES, session.maxMessageBytes() - MESSAGE_OVERHEAD_BYTES);
    return Math.max(1, bytes / (pageSize + PAGE_OVERHEAD_BYTES));
  }

  /**
   * Stages pages that follow each other. Returns when the server has them. It writes them fastest
   * where each thread goes through a long run of its own.
   *
   * @param pages at most {@link #pagesPerMessage}
   * @param bytes of them all, from the beginning of the array; the caller's again afterwards
   */
  public void stage(long firstPage, int pages, byte[] bytes) throws IOException {
    stage(new StageMessage(head, pageSize, firstPage, pages, bytes));
  }

  private void stage(StageMessage message) throws IOException {
    long deadline = System.nanoTime() + BACKLOG_NANOS;
    while (true) {
      try {
        session.call(() -> session.connection().stagePages(message, lane.get()));
        return;
      } catch (RemoteException e) {
        if (!e.is("LIMIT") || System.nanoTime() - deadline > 0) {
          throw e;
        }
      }
      try {
        Thread.sleep(BACKLOG_PAUSE_MS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
    }
  }

  /** Whether {@link #stageFile} works. */
  public boolean stagesFiles() {
    return session.connection().relay().isPresent();
  }

  /**
   * Stages all pages of a file, where the connection goes through a {@link Relay}. Returns when the
   * server has them.
   *
   * @param onSent told of bytes that the server has taken, by another thread
   */
  public void stageFile(Relay.File file, LongConsumer onSent) {
    ServerConnection connection = session.connection();
    Relay relay = connection.relay().orElseThrow();
    relay.upload(
        connection.urls(),
        hex(session.id())
            + " "
            + hex(lease.database())
            + " "
            + hex(stage)
            + " "
            + Long.toUnsignedString(lease.epoch()),
        session.maxMessageBytes(),
        connection.endpoint().timeout().toMillis(),
        file,
        onSent);
  }

  private static String hex(ByteString id) {
    return HexFormat.of().formatHex(id.toByteArray());
  }

  /**
   * Makes what was staged the next version, whole or not at all. To be called again, and by nobody
   * else, if its outcome is unknown.
   *
   * @return the version
   */
  public long commit(long pageCount) {
    return commit(request(pageCount).setStageId(stage).build());
  }

  /** Commits one page, without staging it. */
  public long commit(long page, byte[] bytes, long pageCount) {
    return commit(request(pageCount).addPages(PageData.outgoing(page, bytes, 0, pageSize)).build());
  }

  private CommitRequest.Builder request(long pageCount) {
    return CommitRequest.newBuilder()
        .setSessionId(session.id())
        .setDatabaseId(lease.database())
        .setEpoch(lease.epoch())
        .setCommitId(commit)
        .setBaseVersion(lease.head().getVersion())
        .setPageSize(pageSize)
        .setPageCount((int) pageCount);
  }

  private long commit(CommitRequest request) {
    return session.call(() -> session.connection().pages().commit(request)).getVersion();
  }
}
