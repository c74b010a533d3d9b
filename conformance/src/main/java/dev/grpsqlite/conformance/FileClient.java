package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.file.AcquireLeaseRequest;
import dev.grpsqlite.proto.file.AtomicWrite;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.CloseRequest;
import dev.grpsqlite.proto.file.DeleteRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesRequest;
import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.file.HeartbeatLeaseRequest;
import dev.grpsqlite.proto.file.PragmaRequest;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.ReadResponse;
import dev.grpsqlite.proto.file.TruncateRequest;
import dev.grpsqlite.proto.file.WriteRequest;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A process that uses one database through the file service. */
final class FileClient {
  private final Trial trial;
  private final String context;
  final String database;
  String lease = "";

  FileClient(Trial trial, String database) {
    this.trial = trial;
    this.database = database;
    context = capabilities(trial).getContext();
  }

  static GetCapabilitiesResponse capabilities(Trial trial) {
    return stub(trial)
        .getCapabilities(GetCapabilitiesRequest.newBuilder().setClientToken(trial.token()).build());
  }

  private static GrpsqliteGrpc.GrpsqliteBlockingStub stub(Trial trial) {
    return GrpsqliteGrpc.newBlockingStub(trial.channel())
        .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS);
  }

  GrpsqliteGrpc.GrpsqliteBlockingStub stub() {
    return stub(trial);
  }

  /** Another process, with the same database and no lease. */
  FileClient another() {
    return new FileClient(trial, database);
  }

  String journal() {
    return database + "-journal";
  }

  FileClient acquire() {
    lease =
        stub()
            .acquireLease(
                AcquireLeaseRequest.newBuilder().setContext(context).setDatabase(database).build())
            .getLeaseId();
    String taken = lease;
    trial.atEnd(() -> close(taken, database));
    return this;
  }

  void close(String file) {
    close(lease, file);
  }

  void close(String ofLease, String file) {
    com.google.protobuf.Empty unused =
        stub()
            .close(
                CloseRequest.newBuilder()
                    .setContext(context)
                    .setLeaseId(ofLease)
                    .setFileName(file)
                    .build());
  }

  void heartbeat() {
    com.google.protobuf.Empty unused =
        stub()
            .heartbeatLease(
                HeartbeatLeaseRequest.newBuilder().setContext(context).setLeaseId(lease).build());
  }

  void write(long offset, byte[] data) {
    write(database, offset, data);
  }

  void write(String file, long offset, byte[] data) {
    write(file, offset, data, Bytes.checksum(data));
  }

  void write(String file, long offset, byte[] data, long checksum) {
    com.google.protobuf.Empty unused =
        stub()
            .write(
                WriteRequest.newBuilder()
                    .setContext(context)
                    .setLeaseId(lease)
                    .setFileName(file)
                    .setDatabase(database)
                    .setOffset(offset)
                    .setData(Bytes.of(data))
                    .setChecksum(checksum)
                    .build());
  }

  AtomicWrite part(long offset, byte[] data) {
    return AtomicWrite.newBuilder()
        .setContext(context)
        .setLeaseId(lease)
        .setOffset(offset)
        .setData(Bytes.of(data))
        .setChecksum(Bytes.checksum(data))
        .build();
  }

  void batch(AtomicWrite... writes) {
    batch(List.of(writes));
  }

  void batch(List<AtomicWrite> writes) {
    com.google.protobuf.Empty unused =
        stub()
            .atomicWriteBatch(
                AtomicWriteBatchRequest.newBuilder()
                    .setContext(context)
                    .setLeaseId(lease)
                    .setFileName(database)
                    .setDatabase(database)
                    .addAllWrites(writes)
                    .build());
  }

  byte[] read(long offset, long length) {
    return read(database, offset, length);
  }

  byte[] read(String file, long offset, long length) {
    return readAt(file, offset, length, 0).getData().toByteArray();
  }

  ReadResponse readAt(long offset, long length, long timeMillis) {
    return readAt(database, offset, length, timeMillis);
  }

  private ReadResponse readAt(String file, long offset, long length, long timeMillis) {
    return stub().read(readRequest(file, offset, length).setTimeMillis(timeMillis).build());
  }

  ReadRequest.Builder readRequest(String file, long offset, long length) {
    return ReadRequest.newBuilder()
        .setContext(context)
        .setLeaseId(lease)
        .setFileName(file)
        .setDatabase(database)
        .setOffset(offset)
        .setLength(length);
  }

  long size() {
    return size(database);
  }

  long size(String file) {
    return stub()
        .getFileSize(
            GetFileSizeRequest.newBuilder()
                .setContext(context)
                .setLeaseId(lease)
                .setFileName(file)
                .setDatabase(database)
                .build())
        .getSize();
  }

  void truncate(long size) {
    truncate(database, size);
  }

  void truncate(String file, long size) {
    com.google.protobuf.Empty unused =
        stub()
            .truncate(
                TruncateRequest.newBuilder()
                    .setContext(context)
                    .setLeaseId(lease)
                    .setFileName(file)
                    .setDatabase(database)
                    .setSize(size)
                    .build());
  }

  void delete(String file) {
    com.google.protobuf.Empty unused =
        stub()
            .delete(
                DeleteRequest.newBuilder()
                    .setContext(context)
                    .setLeaseId(lease)
                    .setFileName(file)
                    .setDatabase(database)
                    .build());
  }

  String pragma(String name, String value) {
    return stub()
        .pragma(
            PragmaRequest.newBuilder()
                .setContext(context)
                .setLeaseId(lease)
                .setFileName(database)
                .setDatabase(database)
                .setPragmaName(name)
                .setPragmaValue(value)
                .build())
        .getResponse();
  }

  void expectRead(byte[] expected, long offset, long length, String what) throws Violation {
    Expect.bytes(expected, read(offset, length), what);
  }

  void expectRead(String file, byte[] expected, long offset, long length, String what)
      throws Violation {
    Expect.bytes(expected, read(file, offset, length), what);
  }
}
