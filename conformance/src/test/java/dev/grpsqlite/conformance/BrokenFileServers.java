package dev.grpsqlite.conformance;

import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import dev.grpsqlite.conformance.Broken.Base;
import dev.grpsqlite.proto.file.AcquireLeaseResponse;
import dev.grpsqlite.proto.file.AtomicWrite;
import dev.grpsqlite.proto.file.AtomicWriteBatchRequest;
import dev.grpsqlite.proto.file.DeleteRequest;
import dev.grpsqlite.proto.file.GetFileSizeRequest;
import dev.grpsqlite.proto.file.GetFileSizeResponse;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import dev.grpsqlite.proto.file.PragmaResponse;
import dev.grpsqlite.proto.file.ReadResponse;
import dev.grpsqlite.proto.file.WriteRequest;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckResponse;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Predicate;

/** For each rule of the file service, a server that does not keep it. */
final class BrokenFileServers {
  private static final int PAGE = 512;

  private BrokenFileServers() {}

  static final List<Broken> ALL =
      List.of(
          Broken.of(
              "FILE-01",
              "sectors of 1000 bytes",
              f ->
                  f.told(
                      GrpsqliteGrpc.getGetCapabilitiesMethod(),
                      answer -> answer.toBuilder().setSectorSize(1000).build())),
          Broken.of(
              "FILE-02",
              "a lease_id that is too long",
              f ->
                  f.told(
                      GrpsqliteGrpc.getAcquireLeaseMethod(),
                      answer -> answer.toBuilder().setLeaseId("x".repeat(300)).build())),
          Broken.of("FILE-03", "the lease is given to everybody", BrokenFileServers::sharedLease),
          Broken.of(
              "FILE-04",
              "a refusal without details",
              f ->
                  f.on(
                      GrpsqliteGrpc.getAcquireLeaseMethod(),
                      (request, next) -> {
                        try {
                          return next.apply(request);
                        } catch (StatusRuntimeException e) {
                          throw e.getStatus().asRuntimeException();
                        }
                      })),
          Broken.of("FILE-05", "Close does nothing", BrokenFileServers::closeDoesNothing),
          Broken.of(
              "FILE-06",
              "Close of any file is Close of the main file",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getCloseMethod(),
                      request ->
                          request.toBuilder()
                              .setFileName(request.getFileName().replace("-journal", ""))
                              .build())),
          Broken.of(
              "FILE-07",
              "Close of a lease that is not there is an error",
              f ->
                  f.on(
                      GrpsqliteGrpc.getCloseMethod(),
                      (request, next) -> {
                        if (request.getLeaseId().length() < 40) {
                          throw Status.NOT_FOUND.asRuntimeException();
                        }
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-08",
              "HeartbeatLease always succeeds",
              f ->
                  f.swallow(
                      GrpsqliteGrpc.getHeartbeatLeaseMethod(),
                      Empty.getDefaultInstance(),
                      Code.NOT_FOUND)),
          Broken.of(
              "FILE-09",
              Base.HASTY,
              "HeartbeatLease keeps nothing",
              f ->
                  f.on(
                      GrpsqliteGrpc.getHeartbeatLeaseMethod(),
                      (request, next) -> Empty.getDefaultInstance())),
          Broken.of(
              "FILE-10",
              Base.HASTY,
              "a lease is for ever",
              f -> {
                Set<String> given = ConcurrentHashMap.newKeySet();
                f.on(
                    GrpsqliteGrpc.getAcquireLeaseMethod(),
                    (request, next) -> {
                      if (!given.add(request.getDatabase())) {
                        throw Status.FAILED_PRECONDITION.asRuntimeException();
                      }
                      return next.apply(request);
                    });
              }),
          Broken.of(
              "FILE-11", "late writes are applied", f -> writesUnderLeaseIf(f, lease -> true)),
          Broken.of(
              "FILE-12",
              "late batches are applied",
              f -> {
                Map<String, String> leases = leases(f);
                f.asked(
                    GrpsqliteGrpc.getAtomicWriteBatchMethod(),
                    request ->
                        request.toBuilder().setLeaseId(leases.get(request.getDatabase())).build());
              }),
          Broken.of(
              "FILE-13",
              "late truncations are applied",
              f -> {
                Map<String, String> leases = leases(f);
                f.asked(
                    GrpsqliteGrpc.getTruncateMethod(),
                    request ->
                        request.toBuilder().setLeaseId(leases.get(request.getDatabase())).build());
              }),
          Broken.of(
              "FILE-14", "writing needs no lease", f -> writesUnderLeaseIf(f, String::isEmpty)),
          Broken.of(
              "FILE-15",
              "a lease is for all databases",
              f -> writesUnderLeaseIf(f, lease -> lease.length() > 40)),
          Broken.of(
              "FILE-16",
              "one lease at a time",
              f -> {
                AtomicReference<String> only = new AtomicReference<>("");
                f.on(
                    GrpsqliteGrpc.getAcquireLeaseMethod(),
                    (request, next) -> {
                      if (!only.compareAndSet("", request.getDatabase())) {
                        throw Status.FAILED_PRECONDITION.asRuntimeException();
                      }
                      return next.apply(request);
                    });
              }),
          Broken.of(
              "FILE-17",
              "Close knows the main file only by its plain name",
              f ->
                  f.on(
                      GrpsqliteGrpc.getCloseMethod(),
                      (request, next) ->
                          request.getFileName().contains("/")
                              ? Empty.getDefaultInstance()
                              : next.apply(request))),
          Broken.of(
              "FILE-20",
              "reads begin at sectors",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getReadMethod(),
                      request ->
                          request.toBuilder()
                              .setOffset(request.getOffset() / PAGE * PAGE)
                              .build())),
          Broken.of(
              "FILE-21",
              "short reads are filled up with zeros",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) -> {
                        ReadResponse answer = next.apply(request);
                        int missing = (int) request.getLength() - answer.getData().size();
                        return answer.toBuilder()
                            .setData(
                                answer.getData().concat(ByteString.copyFrom(new byte[missing])))
                            .build();
                      })),
          Broken.of(
              "FILE-22",
              "a gap has what was in memory",
              f ->
                  f.on(
                      GrpsqliteGrpc.getWriteMethod(),
                      (request, next) -> {
                        long size = size(f, request);
                        int gap = (int) (request.getOffset() - size);
                        if (gap <= 0) {
                          return next.apply(request);
                        }
                        Empty unused =
                            next.apply(
                                request.toBuilder()
                                    .clearChecksum()
                                    .setOffset(size)
                                    .setData(Bytes.of(Bytes.random(gap, 1)))
                                    .build());
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-23",
              "sizes are those of whole sectors",
              f ->
                  f.told(
                      GrpsqliteGrpc.getGetFileSizeMethod(),
                      answer ->
                          GetFileSizeResponse.newBuilder()
                              .setSize((answer.getSize() + PAGE - 1) / PAGE * PAGE)
                              .build())),
          Broken.of(
              "FILE-24",
              "writes begin at sectors",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getWriteMethod(),
                      request -> {
                        int before = (int) (request.getOffset() % PAGE);
                        return request.toBuilder()
                            .clearChecksum()
                            .setOffset(request.getOffset() - before)
                            .setData(
                                ByteString.copyFrom(new byte[before]).concat(request.getData()))
                            .build();
                      })),
          Broken.of(
              "FILE-25",
              "Truncate does nothing",
              f ->
                  f.on(
                      GrpsqliteGrpc.getTruncateMethod(),
                      (request, next) -> Empty.getDefaultInstance())),
          Broken.of(
              "FILE-26",
              "Delete does nothing",
              f ->
                  f.on(
                      GrpsqliteGrpc.getDeleteMethod(),
                      (request, next) -> Empty.getDefaultInstance())),
          Broken.of(
              "FILE-27",
              "a deleted journal takes the database with it",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getDeleteMethod(),
                      request -> request.toBuilder().setFileName(request.getDatabase()).build())),
          Broken.of(
              "FILE-28",
              "reads are of the first database that was read",
              f -> {
                AtomicReference<String> first = new AtomicReference<>("");
                f.asked(
                    GrpsqliteGrpc.getReadMethod(),
                    request -> {
                      boolean unused = first.compareAndSet("", request.getDatabase());
                      return request.toBuilder()
                          .setDatabase(first.get())
                          .setFileName(first.get())
                          .build();
                    });
              }),
          Broken.of(
              "FILE-29",
              "journals go with the lease",
              f ->
                  f.on(
                      GrpsqliteGrpc.getCloseMethod(),
                      (request, next) -> {
                        Empty unused =
                            GrpsqliteGrpc.newBlockingStub(f.good())
                                .delete(
                                    DeleteRequest.newBuilder()
                                        .setLeaseId(request.getLeaseId())
                                        .setDatabase(request.getFileName())
                                        .setFileName(request.getFileName() + "-journal")
                                        .build());
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-30",
              "reads of 1 MiB at most",
              f ->
                  f.told(
                      GrpsqliteGrpc.getReadMethod(),
                      answer ->
                          answer.toBuilder()
                              .setData(
                                  answer
                                      .getData()
                                      .substring(0, Math.min(1 << 20, answer.getData().size())))
                              .build())),
          Broken.of(
              "FILE-31",
              "writes are lost, from the thirtieth on",
              f -> {
                AtomicInteger count = new AtomicInteger();
                f.on(
                    GrpsqliteGrpc.getWriteMethod(),
                    (request, next) ->
                        count.incrementAndGet() >= 30
                            ? Empty.getDefaultInstance()
                            : next.apply(request));
              }),
          Broken.of(
              "FILE-32",
              "checksums of another kind",
              f ->
                  f.told(
                      GrpsqliteGrpc.getReadMethod(),
                      answer -> answer.toBuilder().setChecksum(12345).build())),
          Broken.of(
              "FILE-33",
              "every copy is right",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) ->
                          request.getChecksum() == 0
                              ? next.apply(request)
                              : ReadResponse.newBuilder()
                                  .setChecksum(request.getChecksum())
                                  .build())),
          Broken.of(
              "FILE-40",
              "batches are written backwards",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getAtomicWriteBatchMethod(),
                      request -> {
                        List<AtomicWrite> writes = new ArrayList<>(request.getWritesList());
                        Collections.reverse(writes);
                        return request.toBuilder().clearWrites().addAllWrites(writes).build();
                      })),
          Broken.of(
              "FILE-41",
              "a batch is applied as far as it is good",
              f ->
                  f.on(
                      GrpsqliteGrpc.getAtomicWriteBatchMethod(),
                      (request, next) -> {
                        List<AtomicWrite> good =
                            request.getWritesList().stream()
                                .filter(write -> write.getOffset() >= 0)
                                .toList();
                        Empty answer =
                            next.apply(
                                request.toBuilder().clearWrites().addAllWrites(good).build());
                        if (good.size() < request.getWritesCount()) {
                          throw Status.INVALID_ARGUMENT.asRuntimeException();
                        }
                        return answer;
                      })),
          Broken.of("FILE-42", "a batch is many writes", BrokenFileServers::splitBatches),
          Broken.of(
              "FILE-43",
              "batches of 500 parts at most",
              f ->
                  f.on(
                      GrpsqliteGrpc.getAtomicWriteBatchMethod(),
                      (request, next) -> {
                        if (request.getWritesCount() > 500) {
                          throw Status.RESOURCE_EXHAUSTED.asRuntimeException();
                        }
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-44",
              "batches alone",
              f ->
                  f.on(
                      GrpsqliteGrpc.getWriteMethod(),
                      (request, next) -> {
                        throw Status.UNIMPLEMENTED.asRuntimeException();
                      })),
          Broken.of(
              "FILE-45",
              Base.WRITE_THROUGH,
              "batches that it says it has not",
              f -> {
                f.on(
                    GrpsqliteGrpc.getAtomicWriteBatchMethod(),
                    (request, next) -> {
                      for (AtomicWrite write : request.getWritesList()) {
                        Empty unused =
                            GrpsqliteGrpc.newBlockingStub(f.good()).write(alone(request, write));
                      }
                      return Empty.getDefaultInstance();
                    });
              }),
          Broken.of(
              "FILE-50",
              "times that mean nothing",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) -> {
                        ReadResponse newest =
                            next.apply(request.toBuilder().clearTimeMillis().build());
                        return request.getTimeMillis() == 0
                            ? newest
                            : newest.toBuilder().setTimeMillis(request.getTimeMillis()).build();
                      })),
          Broken.of(
              "FILE-51",
              "times in whole seconds",
              f ->
                  f.told(
                      GrpsqliteGrpc.getReadMethod(),
                      answer ->
                          answer.toBuilder()
                              .setTimeMillis(answer.getTimeMillis() / 1000 * 1000)
                              .build())),
          Broken.of(
              "FILE-52",
              "a read sees what the one before could have seen",
              f -> {
                AtomicLong last = new AtomicLong();
                f.on(
                    GrpsqliteGrpc.getReadMethod(),
                    (request, next) -> {
                      long newest = next.apply(request).getTimeMillis();
                      long before = last.getAndSet(newest);
                      return next.apply(request.toBuilder().setTimeMillis(before).build());
                    });
              }),
          Broken.of(
              "FILE-53",
              "the newest end at every time",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) -> {
                        ReadResponse then = next.apply(request);
                        if (request.getTimeMillis() == 0
                            || then.getData().size() == request.getLength()) {
                          return then;
                        }
                        return next.apply(request.toBuilder().clearTimeMillis().build()).toBuilder()
                            .setTimeMillis(then.getTimeMillis())
                            .build();
                      })),
          Broken.of(
              "FILE-54",
              "reading needs a lease",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) -> {
                        if (request.getLeaseId().isEmpty()) {
                          throw Status.FAILED_PRECONDITION.asRuntimeException();
                        }
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-55",
              "before the first snapshot there was an empty file",
              f ->
                  f.swallow(
                      GrpsqliteGrpc.getReadMethod(),
                      ReadResponse.newBuilder().setTimeMillis(1).build(),
                      Code.OUT_OF_RANGE)),
          Broken.of(
              "FILE-56",
              Base.MEMORY,
              "whatever time is asked for, the newest is answered",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getReadMethod(),
                      request -> request.toBuilder().clearTimeMillis().build())),
          Broken.of(
              "FILE-60",
              "every PRAGMA is the server's",
              f ->
                  f.on(
                      GrpsqliteGrpc.getPragmaMethod(),
                      (request, next) -> PragmaResponse.getDefaultInstance())),
          Broken.of(
              "FILE-61",
              "negative offsets are 0",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getWriteMethod(),
                      request ->
                          request.toBuilder().setOffset(Math.max(0, request.getOffset())).build())),
          Broken.of(
              "FILE-62",
              "huge reads break something",
              f ->
                  f.on(
                      GrpsqliteGrpc.getReadMethod(),
                      (request, next) -> {
                        if (request.getLength() > 1 << 30) {
                          throw Status.INTERNAL.asRuntimeException();
                        }
                        return next.apply(request);
                      })),
          Broken.of(
              "FILE-63",
              "a database whose name is empty",
              f ->
                  f.swallow(
                      GrpsqliteGrpc.getAcquireLeaseMethod(),
                      AcquireLeaseResponse.newBuilder().setLeaseId("x").build(),
                      Code.INVALID_ARGUMENT)),
          Broken.of(
              "FILE-64",
              "checksums are not looked at",
              f ->
                  f.asked(
                      GrpsqliteGrpc.getWriteMethod(),
                      request -> request.toBuilder().clearChecksum().build())),
          Broken.of("FILE-65", "garbage is answered", Faults::lenient),
          Broken.of(
              "FILE-66",
              "not serving",
              f ->
                  f.told(
                      HealthGrpc.getCheckMethod(),
                      answer ->
                          HealthCheckResponse.newBuilder()
                              .setStatus(ServingStatus.NOT_SERVING)
                              .build())));

  /** The newest lease of each database. */
  private static Map<String, String> leases(Faults f) {
    Map<String, String> leases = new ConcurrentHashMap<>();
    f.on(
        GrpsqliteGrpc.getAcquireLeaseMethod(),
        (request, next) -> {
          AcquireLeaseResponse answer = next.apply(request);
          leases.put(request.getDatabase(), answer.getLeaseId());
          return answer;
        });
    return leases;
  }

  private static void sharedLease(Faults f) {
    Map<String, String> leases = new ConcurrentHashMap<>();
    f.on(
        GrpsqliteGrpc.getAcquireLeaseMethod(),
        (request, next) ->
            AcquireLeaseResponse.newBuilder()
                .setLeaseId(
                    leases.computeIfAbsent(
                        request.getDatabase(), name -> next.apply(request).getLeaseId()))
                .build());
  }

  private static void closeDoesNothing(Faults f) {
    f.on(GrpsqliteGrpc.getCloseMethod(), (request, next) -> Empty.getDefaultInstance());
  }

  /** Writes with such a lease are made with the newest one of the database. */
  private static void writesUnderLeaseIf(Faults f, Predicate<String> lease) {
    Map<String, String> leases = leases(f);
    f.asked(
        GrpsqliteGrpc.getWriteMethod(),
        request ->
            lease.test(request.getLeaseId())
                ? request.toBuilder().setLeaseId(leases.get(request.getDatabase())).build()
                : request);
  }

  private static long size(Faults f, WriteRequest request) {
    return GrpsqliteGrpc.newBlockingStub(f.good())
        .getFileSize(
            GetFileSizeRequest.newBuilder()
                .setDatabase(request.getDatabase())
                .setFileName(request.getFileName())
                .build())
        .getSize();
  }

  private static WriteRequest alone(AtomicWriteBatchRequest request, AtomicWrite write) {
    return WriteRequest.newBuilder()
        .setLeaseId(request.getLeaseId())
        .setDatabase(request.getDatabase())
        .setFileName(request.getFileName())
        .setOffset(write.getOffset())
        .setData(write.getData())
        .build();
  }

  private static void splitBatches(Faults f) {
    f.on(
        GrpsqliteGrpc.getAtomicWriteBatchMethod(),
        (request, next) -> {
          for (AtomicWrite write : request.getWritesList()) {
            Empty unused = next.apply(request.toBuilder().clearWrites().addWrites(write).build());
          }
          return Empty.getDefaultInstance();
        });
  }
}
