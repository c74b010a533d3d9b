package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.Rule.recommended;
import static dev.grpsqlite.conformance.Rule.required;

import dev.grpsqlite.proto.file.AcquireLeaseRequest;
import dev.grpsqlite.proto.file.AcquireLeaseResponse;
import dev.grpsqlite.proto.file.GrpsqliteGrpc;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/** What the file service says no to, and that it goes on afterwards. */
final class FileRefusalRules {
  private static final int PAGE = 512;

  private FileRefusalRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "FILE-60",
              Need.FILE,
              "Pragma of a PRAGMA that is SQLite's own, such as cache_size, is NOT_FOUND: any other"
                  + " answer takes it away from SQLite.",
              FileRefusalRules::pragmas),
          required(
              "FILE-61",
              Need.FILE,
              "A negative offset, length or size is refused and changes nothing (P9).",
              FileRefusalRules::negative),
          required(
              "FILE-62",
              Need.FILE,
              "A Read of more than there is or fits a message is answered short or refused"
                  + " (RESOURCE_EXHAUSTED or INVALID_ARGUMENT), at once (P9).",
              FileRefusalRules::hugeReads),
          required(
              "FILE-63",
              Need.FILE,
              "A database without a name is refused (P9).",
              FileRefusalRules::noName),
          recommended(
              "FILE-64",
              Need.FILE,
              "A Write whose checksum is not that of its data is DATA_LOSS and changes nothing.",
              FileRefusalRules::wrongChecksum),
          required(
              "FILE-65",
              Need.FILE,
              "Bytes that are no message are refused, and harm nobody else (P9).",
              FileRefusalRules::garbage),
          recommended(
              "FILE-66",
              Need.FILE,
              "The gRPC health service says that the server is SERVING.",
              FileRefusalRules::health));

  private static void pragmas(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    for (String name : List.of("cache_size", "journal_mode", "user_version")) {
      for (String value : List.of("", "1")) {
        StatusRuntimeException unused =
            Expect.refused(
                Set.of(Code.NOT_FOUND), "PRAGMA " + name, () -> client.pragma(name, value));
      }
    }
  }

  private static void negative(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    for (long wrong : new long[] {-1, -PAGE, Long.MIN_VALUE}) {
      Expect.refused(
          "a Write at offset " + wrong, () -> client.write(wrong, Bytes.random(PAGE, 2)));
      Expect.refused("a Read at offset " + wrong, () -> client.read(wrong, 100));
      Expect.refused("a Read of length " + wrong, () -> client.read(0, wrong));
      Expect.refused("a Truncate to " + wrong, () -> client.truncate(wrong));
    }
    Expect.equal((long) PAGE, client.size(), "the size after that");
    client.expectRead(page, 0, 2 * PAGE, "the file after that");
  }

  private static void hugeReads(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    for (long length : new long[] {1L << 31, 1L << 40, Long.MAX_VALUE}) {
      try {
        client.expectRead(page, 0, length, "a read of " + length + " bytes");
      } catch (StatusRuntimeException e) {
        Code code = e.getStatus().getCode();
        Expect.that(
            code == Code.RESOURCE_EXHAUSTED
                || code == Code.INVALID_ARGUMENT
                || code == Code.OUT_OF_RANGE,
            "a read of " + length + " bytes: " + Expect.shown(e.getStatus()));
      }
    }
    client.expectRead(page, 0, PAGE, "the file after that");
  }

  private static void noName(Trial trial) throws Exception {
    FileClient client = trial.files();
    Expect.refused(
        "AcquireLease of a database without a name",
        () -> {
          AcquireLeaseResponse unused =
              client.stub().acquireLease(AcquireLeaseRequest.getDefaultInstance());
        });
  }

  private static void wrongChecksum(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    byte[] other = Bytes.header(PAGE, 2);
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.DATA_LOSS),
            "a Write with a wrong checksum",
            () -> client.write(client.database, 0, other, Bytes.checksum(other) + 1));
    client.expectRead(page, 0, PAGE, "the file after that");
  }

  private static void garbage(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    Garbage.send(trial, GrpsqliteGrpc.getServiceDescriptor());
    client.expectRead(page, 0, PAGE, "the file after that");
    client.heartbeat();
  }

  private static void health(Trial trial) throws Exception {
    Expect.equal(
        ServingStatus.SERVING,
        HealthGrpc.newBlockingStub(trial.channel())
            .withDeadlineAfter(Target.CALL_SECONDS, TimeUnit.SECONDS)
            .check(HealthCheckRequest.getDefaultInstance())
            .getStatus(),
        "grpc.health.v1.Health/Check");
  }
}
