package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.Rule.recommended;
import static dev.grpsqlite.conformance.Rule.required;
import static dev.grpsqlite.conformance.Rule.requiredInTime;

import dev.grpsqlite.proto.file.GetCapabilitiesResponse;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Set;

/** Who may write through the file service. */
final class FileLeaseRules {
  /** Longer strings are refused by the extension. */
  private static final int MAX_ID_BYTES = 255;

  private static final int DEFAULT_HEARTBEAT_MS = 5000;

  /** For how many heartbeat intervals a client that says nothing may keep its lease. */
  private static final int SILENT_INTERVALS = 10;

  /** Rules end in time whatever the interval is. */
  private static final long MAX_WAIT_MS = 60_000;

  private static final int PAGE = 512;

  private FileLeaseRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "FILE-01",
              Need.FILE,
              "GetCapabilities answers the same whenever it is asked: a context of at most 255"
                  + " bytes, a sector_size that is a power of two from 512 to 65536, and a"
                  + " heartbeat_interval_millis that is 0 (which means 5000) or more.",
              FileLeaseRules::capabilities),
          required(
              "FILE-02",
              Need.FILE,
              "AcquireLease of a database that does not exist makes it, empty, and answers a"
                  + " lease_id of 1 to 255 bytes.",
              FileLeaseRules::acquireMakesTheDatabase),
          required(
              "FILE-03",
              Need.FILE,
              "While one client has the lease of a database, AcquireLease of it by another is"
                  + " FAILED_PRECONDITION, and the holder goes on (P3).",
              FileLeaseRules::oneHolder),
          recommended(
              "FILE-04",
              Need.FILE,
              "That refusal has a google.rpc.ErrorInfo with domain \"grpsqlite\" and reason"
                  + " LEASE_HELD in its status details.",
              FileLeaseRules::heldHasItsReason),
          required(
              "FILE-05",
              Need.FILE,
              "Close of the main file releases the lease: the next AcquireLease is granted, with"
                  + " another lease_id.",
              FileLeaseRules::closeReleases),
          required(
              "FILE-06",
              Need.FILE,
              "Close of another file, such as the journal, keeps the lease.",
              FileLeaseRules::closeOfTheJournalDoesNot),
          required(
              "FILE-07",
              Need.FILE,
              "Close succeeds also when it is sent again, and with a lease_id that is empty or"
                  + " that nobody has; it then touches no lease.",
              FileLeaseRules::closeIsIdempotent),
          required(
              "FILE-08",
              Need.FILE,
              "HeartbeatLease of a lease that is held succeeds; of one that was released, or that"
                  + " never was, it is NOT_FOUND.",
              FileLeaseRules::heartbeatTells),
          requiredInTime(
              "FILE-09",
              Need.FILE,
              "A client that sends HeartbeatLease each heartbeat interval keeps its lease for as"
                  + " long as it likes.",
              FileLeaseRules::heartbeatsKeep),
          requiredInTime(
              "FILE-10",
              Need.FILE,
              "The lease of a client that says nothing is free after ten heartbeat intervals at"
                  + " the latest: a dead client locks nobody out for good.",
              FileLeaseRules::silenceFrees),
          required(
              "FILE-11",
              Need.FILE,
              "Write under a lease that was released, and that another client has since been"
                  + " given, is FAILED_PRECONDITION or NOT_FOUND and changes nothing, however late"
                  + " it arrives (P3).",
              FileLeaseRules::lateWrite),
          required(
              "FILE-12",
              Need.FILE_BATCH,
              "So is AtomicWriteBatch (P3).",
              FileLeaseRules::lateBatch),
          required(
              "FILE-13",
              Need.FILE,
              "So are Truncate and Delete (P3).",
              FileLeaseRules::lateTruncate),
          required(
              "FILE-14",
              Need.FILE,
              "Write with no lease_id, or with one that the server never gave, is"
                  + " FAILED_PRECONDITION or NOT_FOUND and changes nothing (P3).",
              FileLeaseRules::madeUpLease),
          required(
              "FILE-15",
              Need.FILE,
              "The lease of one database does not allow writing to another (P3).",
              FileLeaseRules::leaseOfAnother),
          required(
              "FILE-16",
              Need.FILE,
              "Leases of different databases can be held at the same time.",
              FileLeaseRules::databasesAreIndependent),
          required(
              "FILE-17",
              Need.FILE,
              "file_name is the path as the application gave it, and database its last"
                  + " component: FOLDER/main.db is the main file of main.db, so closing it releases"
                  + " the lease.",
              FileLeaseRules::pathOfTheMainFile));

  private static void capabilities(Trial trial) throws Exception {
    GetCapabilitiesResponse first = FileClient.capabilities(trial);
    GetCapabilitiesResponse second = FileClient.capabilities(trial);
    Expect.equal(
        first.toBuilder().clearContext().build(),
        second.toBuilder().clearContext().build(),
        "GetCapabilities, asked twice");
    int bytes = first.getContextBytes().size();
    Expect.that(bytes <= MAX_ID_BYTES, "the context has " + bytes + " bytes");
    int sector = first.getSectorSize();
    Expect.that(
        sector >= 512 && sector <= 65_536 && Integer.bitCount(sector) == 1,
        "sector_size is " + sector);
    long interval = first.getHeartbeatIntervalMillis();
    Expect.that(interval >= 0, "heartbeat_interval_millis is " + interval);
  }

  private static void acquireMakesTheDatabase(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    int bytes = client.lease.getBytes(java.nio.charset.StandardCharsets.UTF_8).length;
    Expect.that(bytes > 0 && bytes <= MAX_ID_BYTES, "the lease_id has " + bytes + " bytes");
    Expect.equal(0L, client.size(), "the size of a new database");
    client.expectRead(new byte[0], 0, 100, "the first 100 bytes of a new database");
  }

  private static StatusRuntimeException held(FileClient other) throws Exception {
    return Expect.refused(
        Set.of(Code.FAILED_PRECONDITION),
        "AcquireLease while another client has the lease",
        other::acquire);
  }

  private static void oneHolder(Trial trial) throws Exception {
    FileClient holder = trial.files().acquire();
    StatusRuntimeException unused = held(holder.another());
    holder.heartbeat();
    byte[] page = Bytes.header(PAGE, 1);
    holder.write(0, page);
    holder.expectRead(page, 0, PAGE, "what the holder wrote after another was refused");
  }

  private static void heldHasItsReason(Trial trial) throws Exception {
    FileClient holder = trial.files().acquire();
    StatusRuntimeException e;
    try {
      FileClient unused = holder.another().acquire();
      throw new Violation("a second client was given the lease");
    } catch (StatusRuntimeException refused) {
      e = refused;
    }
    Expect.reason(Reason.LEASE_HELD, "AcquireLease while another client has the lease", e);
  }

  private static void closeReleases(Trial trial) throws Exception {
    FileClient first = trial.files().acquire();
    first.close(first.database);
    FileClient second = first.another().acquire();
    Expect.that(!first.lease.equals(second.lease), "two leases have the same lease_id");
  }

  private static void closeOfTheJournalDoesNot(Trial trial) throws Exception {
    FileClient holder = trial.files().acquire();
    holder.write(holder.journal(), 0, Bytes.text("journal"));
    holder.close(holder.journal());
    holder.heartbeat();
    StatusRuntimeException unused = held(holder.another());
  }

  private static void closeIsIdempotent(Trial trial) throws Exception {
    FileClient first = trial.files().acquire();
    first.close(first.database);
    FileClient second = first.another().acquire();
    first.close(first.database);
    first.close("", first.database);
    first.close("nobody-has-this", first.database);
    second.heartbeat();
    StatusRuntimeException unused = held(first.another());
  }

  private static void heartbeatTells(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.heartbeat();
    client.close(client.database);
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.NOT_FOUND), "HeartbeatLease of a released lease", client::heartbeat);
    client.lease = "nobody-has-this";
    StatusRuntimeException unusedToo =
        Expect.refused(
            Set.of(Code.NOT_FOUND), "HeartbeatLease of a lease that never was", client::heartbeat);
  }

  private static long intervalMs(Trial trial) {
    long told = trial.offer().files().getHeartbeatIntervalMillis();
    return told == 0 ? DEFAULT_HEARTBEAT_MS : told;
  }

  private static void heartbeatsKeep(Trial trial) throws Exception {
    long interval = intervalMs(trial);
    FileClient kept = trial.files().acquire();
    FileClient other = kept.another();
    Punctual punctual = new Punctual(2 * interval);
    long until =
        System.nanoTime() + Math.min(SILENT_INTERVALS * interval, MAX_WAIT_MS / 2) * 1_000_000;
    while (System.nanoTime() - until < 0) {
      Trial.pause(interval);
      punctual.renew(kept::heartbeat);
      punctual.expect(() -> held(other));
    }
    punctual.expect(() -> kept.write(0, Bytes.header(PAGE, 1)));
  }

  private static void silenceFrees(Trial trial) throws Exception {
    FileClient silent = trial.files().acquire();
    FileClient other = silent.another();
    long most = Math.min(SILENT_INTERVALS * intervalMs(trial), MAX_WAIT_MS);
    Trial.await(
        most,
        "the lease of a client that said nothing for " + most + " ms is still its own",
        () -> granted(other));
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.NOT_FOUND),
            "HeartbeatLease of a lease that another was given",
            silent::heartbeat);
  }

  private static boolean granted(FileClient client) {
    try {
      return !client.acquire().lease.isEmpty();
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() == Code.FAILED_PRECONDITION) {
        return false;
      }
      throw e;
    }
  }

  /**
   * A client that lost its lease.
   *
   * @param holder has it since, and has written
   */
  private record Late(FileClient client, FileClient holder) {
    static Late of(Trial trial) {
      FileClient late = trial.files().acquire();
      late.write(0, Bytes.header(PAGE, 1));
      late.close(late.database);
      FileClient holder = late.another().acquire();
      holder.write(0, Bytes.header(PAGE, 2));
      return new Late(late, holder);
    }
  }

  private static void lost(FileClient holder, String what, Expect.Action action) throws Exception {
    StatusRuntimeException unused =
        Expect.refused(Set.of(Code.FAILED_PRECONDITION, Code.NOT_FOUND), what, action);
    Expect.equal((long) PAGE, holder.size(), "the size after " + what);
    holder.expectRead(Bytes.header(PAGE, 2), 0, PAGE, "the content after " + what);
  }

  private static void lateWrite(Trial trial) throws Exception {
    Late l = Late.of(trial);
    FileClient late = l.client;
    lost(l.holder, "a Write under a lost lease", () -> late.write(0, Bytes.header(PAGE, 3)));
    lost(l.holder, "a Write under a lost lease", () -> late.write(PAGE, Bytes.random(PAGE, 3)));
    lost(
        l.holder,
        "a Write to the journal under a lost lease",
        () -> late.write(late.journal(), 0, Bytes.text("late")));
    Expect.equal(0L, l.holder.size(late.journal()), "the size of the journal after it");
  }

  private static void lateBatch(Trial trial) throws Exception {
    Late l = Late.of(trial);
    lost(
        l.holder,
        "an AtomicWriteBatch under a lost lease",
        () -> l.client.batch(l.client.part(0, Bytes.header(PAGE, 3))));
  }

  private static void lateTruncate(Trial trial) throws Exception {
    Late l = Late.of(trial);
    lost(l.holder, "a Truncate under a lost lease", () -> l.client.truncate(0));
    lost(l.holder, "a Delete under a lost lease", () -> l.client.delete(l.client.database));
  }

  private static void madeUpLease(Trial trial) throws Exception {
    FileClient holder = trial.files().acquire();
    holder.write(0, Bytes.header(PAGE, 2));
    FileClient other = holder.another();
    String changed = (holder.lease.charAt(0) == 'a' ? "b" : "a") + holder.lease.substring(1);
    for (String lease : List.of("", "x", changed, holder.lease + "0")) {
      other.lease = lease;
      lost(
          holder,
          "a Write with lease_id \"" + lease + "\"",
          () -> other.write(0, Bytes.header(PAGE, 3)));
    }
  }

  private static void leaseOfAnother(Trial trial) throws Exception {
    FileClient holder = trial.files().acquire();
    holder.write(0, Bytes.header(PAGE, 2));
    FileClient other = holder.another();
    other.lease = trial.files().acquire().lease;
    lost(
        holder,
        "a Write with another database's lease",
        () -> other.write(0, Bytes.header(PAGE, 3)));
  }

  private static void databasesAreIndependent(Trial trial) throws Exception {
    FileClient one = trial.files().acquire();
    FileClient two = trial.files().acquire();
    one.heartbeat();
    two.heartbeat();
    one.close(one.database);
    two.heartbeat();
    two.write(0, Bytes.header(PAGE, 1));
  }

  private static void pathOfTheMainFile(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    String path = "some/folder/" + client.database;
    byte[] page = Bytes.header(PAGE, 1);
    client.write(path, 0, page);
    client.expectRead(path, page, 0, PAGE, "the main file by its path");
    client.close(path);
    FileClient next = client.another().acquire();
    next.expectRead(path, page, 0, PAGE, "the main file by its path, opened again");
  }
}
