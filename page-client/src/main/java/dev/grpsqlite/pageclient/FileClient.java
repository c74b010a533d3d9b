package dev.grpsqlite.pageclient;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import dev.grpsqlite.proto.file.AcquireLeaseRequest;
import dev.grpsqlite.proto.file.AtomicWrite;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.CloseRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.ReadResponse;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;

/** The file service, for servers that have no other. One thread at a time. */
public final class FileClient {
  /** What surely fits into one message, of which servers take 4 MiB. */
  public static final long MOST_BATCH_BYTES = 7L << 19;

  /** What to read at once. */
  public static final int PIECE_BYTES = 1 << 20;

  private final ServerConnection connection;
  private final GetCapabilitiesResponse capabilities;

  private FileClient(ServerConnection connection, GetCapabilitiesResponse capabilities) {
    this.connection = connection;
    this.capabilities = capabilities;
  }

  public static FileClient open(ServerConnection connection) {
    String token = connection.endpoint().token();
    GetCapabilitiesRequest request =
        GetCapabilitiesRequest.newBuilder().setClientToken(token == null ? "" : token).build();
    return new FileClient(
        connection, connection.call(() -> connection.files().getCapabilities(request)));
  }

  public boolean hasAtomicBatch() {
    return capabilities.getAtomicBatch();
  }

  public boolean hasPointInTimeReads() {
    return capabilities.getPointInTimeReads();
  }

  /** Of the newest version, in bytes; 0 if there is no such file. */
  public long size(String name) {
    return size(name, "");
  }

  private long size(String name, String lease) {
    GetFileSizeRequest request =
        GetFileSizeRequest.newBuilder()
            .setContext(capabilities.getContext())
            .setLeaseId(lease)
            .setFileName(name)
            .setDatabase(database(name))
            .build();
    try {
      return connection.call(() -> connection.files().getFileSize(request)).getSize();
    } catch (RemoteException e) {
      if (e.code() == Status.Code.NOT_FOUND) {
        return 0;
      }
      throw e;
    }
  }

  /** The last component of a path, by which this service knows a database. */
  private static String database(String name) {
    return name.substring(name.lastIndexOf('/') + 1);
  }

  /** Reads one snapshot, from the first read on. */
  public Reader reader(String name) {
    return new Reader(name);
  }

  /** See {@link #reader}. */
  public final class Reader {
    private final String name;
    private long timeMillis;

    private Reader(String name) {
      this.name = name;
    }

    /** Reads so many bytes, fewer at the end of the file. */
    public byte[] read(long offset, int length) {
      ReadRequest request =
          ReadRequest.newBuilder()
              .setContext(capabilities.getContext())
              .setFileName(name)
              .setDatabase(database(name))
              .setOffset(offset)
              .setLength(length)
              .setTimeMillis(timeMillis)
              .build();
      ReadResponse answer = connection.call(() -> connection.files().read(request));
      if (timeMillis == 0) {
        timeMillis = answer.getTimeMillis();
      } else if (answer.getTimeMillis() != timeMillis) {
        throw new RemoteException(
            Status.Code.INTERNAL, "", "the server read another version than it was asked for");
      }
      ByteString data = answer.getData();
      byte[] bytes = data.toByteArray();
      long checksum = answer.getChecksum();
      if (checksum != 0 && checksum != PageData.hash(bytes, 0, bytes.length)) {
        throw new RemoteException(
            Status.Code.DATA_LOSS, "CHECKSUM_MISMATCH", "what was read came damaged");
      }
      return bytes;
    }
  }

  /** Takes the right to write; makes the database if it is not there. */
  public Lease acquire(String name) {
    AcquireLeaseRequest request =
        AcquireLeaseRequest.newBuilder()
            .setContext(capabilities.getContext())
            .setDatabase(database(name))
            .build();
    return new Lease(
        name, connection.call(() -> connection.files().acquireLease(request)).getLeaseId());
  }

  /** The right to write to a database, for as long as it lasts without a heartbeat. */
  public final class Lease implements AutoCloseable {
    private final String name;
    private final String id;

    private Lease(String name, String id) {
      this.name = name;
      this.id = id;
    }

    public long size() {
      return FileClient.this.size(name, id);
    }

    /** Writes a whole file in one commit. Not sent again: it has no id. */
    public void writeAtOnce(byte[] content, int pageSize) {
      AtomicWriteBatchRequest.Builder request =
          AtomicWriteBatchRequest.newBuilder()
              .setContext(capabilities.getContext())
              .setLeaseId(id)
              .setFileName(name)
              .setDatabase(database(name));
      for (int offset = 0; offset < content.length; offset += pageSize) {
        request.addWrites(
            AtomicWrite.newBuilder()
                .setContext(capabilities.getContext())
                .setLeaseId(id)
                .setOffset(offset)
                .setData(UnsafeByteOperations.unsafeWrap(content, offset, pageSize))
                .setChecksum(PageData.hash(content, offset, pageSize)));
      }
      try {
        connection.files().atomicWriteBatch(request.build());
      } catch (StatusRuntimeException e) {
        RemoteException error = RemoteException.of(e);
        if (error.code() == Status.Code.UNAVAILABLE
            || error.code() == Status.Code.DEADLINE_EXCEEDED) {
          throw new RemoteException(
              Status.Code.ABORTED,
              "OUTCOME_UNKNOWN",
              "the server did not say whether it committed "
                  + name
                  + " ("
                  + error.getMessage()
                  + "); all of it is there, or nothing");
        }
        throw error;
      }
    }

    @Override
    public void close() {
      CloseRequest request =
          CloseRequest.newBuilder()
              .setContext(capabilities.getContext())
              .setLeaseId(id)
              .setFileName(name)
              .build();
      try {
        connection.call(() -> connection.files().close(request));
      } catch (RemoteException e) {
        // It ends by itself.
      }
    }
  }
}
