package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.Rule.recommended;
import static dev.grpsqlite.conformance.Rule.required;

import dev.grpsqlite.proto.file.AtomicWrite;
import dev.grpsqlite.proto.file.ReadResponse;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Atomic batches and reads of old snapshots through the file service. */
final class FileBatchRules {
  private static final int PAGE = 512;

  private FileBatchRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "FILE-40",
              Need.FILE_BATCH,
              "AtomicWriteBatch writes all its parts, in their order: of two that overlap, the"
                  + " later wins. It grows the file as Write does.",
              FileBatchRules::allParts),
          required(
              "FILE-41",
              Need.FILE_BATCH,
              "A batch with a part that is refused (a negative offset) leaves nothing of its"
                  + " others (P1).",
              FileBatchRules::allOrNone),
          required(
              "FILE-42",
              Need.FILE_BATCH,
              "A Read beside batches sees each of them whole or not at all (P1, P6).",
              FileBatchRules::neverAHalf),
          required(
              "FILE-43",
              Need.FILE_BATCH,
              "A batch of 3 MiB in 768 pages goes through.",
              FileBatchRules::largeBatch),
          required(
              "FILE-44",
              Need.FILE_BATCH,
              "Plain Write works beside batches: builds of SQLite without the feature, and clients"
                  + " whose batch failed, use it.",
              FileBatchRules::plainWrites),
          recommended(
              "FILE-45",
              Need.FILE_NO_BATCH,
              "AtomicWriteBatch of a server without atomic_batch is UNIMPLEMENTED and changes"
                  + " nothing.",
              FileBatchRules::withoutBatches),
          required(
              "FILE-50",
              Need.FILE_TIME,
              "Read with time_millis 0 answers the newest snapshot and names it with a time_millis"
                  + " above 0; with that time_millis, the same bytes and time are read again,"
                  + " whatever is committed later (P6).",
              FileBatchRules::snapshotsStay),
          required(
              "FILE-51",
              Need.FILE_TIME,
              "Each commit has a time_millis greater than that of the one before, also if many are"
                  + " made within a millisecond.",
              FileBatchRules::timesGrow),
          required(
              "FILE-52",
              Need.FILE_TIME,
              "A Read with time_millis 0 that begins after a commit was acknowledged sees that"
                  + " commit, whoever asks (P7).",
              FileBatchRules::readsAreFresh),
          required(
              "FILE-53",
              Need.FILE_TIME,
              "Several reads at one time_millis are of one snapshot, its end included: a file that"
                  + " has grown or was cut off since reads as it was (P6).",
              FileBatchRules::oneSnapshot),
          required(
              "FILE-54",
              Need.FILE_TIME,
              "Reads and sizes need no lease: lease_id is empty in a read-only open.",
              FileBatchRules::readersNeedNoLease),
          required(
              "FILE-55",
              Need.FILE_TIME,
              "A Read at a time before the oldest snapshot that is kept is OUT_OF_RANGE, never"
                  + " other data (P6).",
              FileBatchRules::beforeTheFirst),
          recommended(
              "FILE-56",
              Need.FILE_NO_TIME,
              "A server without point_in_time_reads refuses a Read whose time_millis is not 0,"
                  + " instead of answering what is newest.",
              FileBatchRules::withoutTimes));

  private static void allParts(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] first = Bytes.header(PAGE, 1);
    byte[] third = Bytes.random(PAGE, 3);
    client.batch(client.part(0, first), client.part(2 * PAGE, third));
    Expect.equal(3L * PAGE, client.size(), "the size after a batch with a gap");
    byte[] expected = Arrays.copyOf(first, 3 * PAGE);
    System.arraycopy(third, 0, expected, 2 * PAGE, PAGE);
    client.expectRead(expected, 0, 3 * PAGE, "the file after a batch");
    byte[] patch = Bytes.random(7, 9);
    client.batch(client.part(PAGE - 1, patch), client.part(PAGE + 2, new byte[] {42}));
    System.arraycopy(patch, 0, expected, PAGE - 1, 7);
    expected[PAGE + 2] = 42;
    client.expectRead(expected, 0, 3 * PAGE, "the file after a batch of two parts that overlap");
  }

  private static void allOrNone(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.batch(client.part(0, page));
    AtomicWrite bad = client.part(0, Bytes.random(PAGE, 3)).toBuilder().setOffset(-PAGE).build();
    for (List<AtomicWrite> batch :
        List.of(
            List.of(client.part(PAGE, Bytes.random(PAGE, 2)), bad),
            List.of(bad, client.part(PAGE, Bytes.random(PAGE, 2))))) {
      Expect.refused("a batch with a negative offset", () -> client.batch(batch));
      Expect.equal((long) PAGE, client.size(), "the size after a batch that was refused");
      client.expectRead(page, 0, 3 * PAGE, "the file after a batch that was refused");
    }
  }

  private static void neverAHalf(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    int pages = 64;
    commitAll(client, pages, 0);
    FileClient reader = client.another();
    reader.lease = client.lease;
    CompletableFuture<Void> writing =
        CompletableFuture.runAsync(
            () -> {
              for (int i = 1; i <= 50; i++) {
                commitAll(client, pages, i);
              }
            });
    while (!writing.isDone()) {
      byte[] seen = reader.read(PAGE, (pages - 1L) * PAGE);
      for (byte b : seen) {
        Expect.equal(seen[0], b, "one read saw bytes of two batches");
      }
    }
    try {
      writing.join();
    } catch (java.util.concurrent.CompletionException e) {
      throw e.getCause() instanceof StatusRuntimeException status
          ? status
          : new ExecutionException(e);
    }
  }

  private static void commitAll(FileClient client, int pages, int content) {
    List<AtomicWrite> parts = new ArrayList<>();
    parts.add(client.part(0, Bytes.header(PAGE, content)));
    for (int page = 1; page < pages; page++) {
      byte[] data = new byte[PAGE];
      Arrays.fill(data, (byte) content);
      parts.add(client.part((long) page * PAGE, data));
    }
    client.batch(parts);
  }

  private static void largeBatch(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    List<AtomicWrite> parts = new ArrayList<>();
    parts.add(client.part(0, Bytes.header(4096, 0)));
    for (int page = 1; page < 768; page++) {
      parts.add(client.part(page * 4096L, Bytes.random(4096, page)));
    }
    client.batch(parts);
    Expect.equal(768L * 4096, client.size(), "the size after a batch of 768 pages");
    for (int page : new int[] {1, 500, 767}) {
      client.expectRead(
          Bytes.random(4096, page), page * 4096L, 4096, "page " + page + " of a large batch");
    }
  }

  private static void plainWrites(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.batch(client.part(0, Bytes.header(PAGE, 1)), client.part(PAGE, Bytes.random(PAGE, 1)));
    byte[] second = Bytes.random(PAGE, 2);
    client.write(PAGE, second);
    client.expectRead(second, PAGE, PAGE, "a page that was written after a batch");
    byte[] third = Bytes.random(PAGE, 3);
    client.batch(client.part(PAGE, third));
    client.expectRead(third, PAGE, PAGE, "a page of a batch after a write");
  }

  private static void withoutBatches(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.write(0, Bytes.header(PAGE, 1));
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.UNIMPLEMENTED),
            "AtomicWriteBatch",
            () -> client.batch(client.part(0, Bytes.header(PAGE, 2))));
    client.expectRead(Bytes.header(PAGE, 1), 0, PAGE, "the file after it");
  }

  /** Commits a file of that many pages, all filled with this number but for the header. */
  private static ReadResponse commit(FileClient client, int pages, int content) {
    commitAll(client, pages, content);
    return client.readAt(0, 10_000, 0);
  }

  private static void snapshotsStay(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    List<ReadResponse> newest = new ArrayList<>();
    for (int i = 1; i <= 20; i++) {
      ReadResponse now = commit(client, 3, i);
      Expect.that(now.getTimeMillis() > 0, "the newest snapshot has no time_millis");
      newest.add(now);
    }
    for (int i = 0; i < newest.size(); i++) {
      ReadResponse then = newest.get(i);
      ReadResponse again = client.readAt(0, 10_000, then.getTimeMillis());
      String what = "commit " + (i + 1) + " of 20, read again at its time";
      Expect.equal(then.getTimeMillis(), again.getTimeMillis(), what);
      Expect.bytes(then.getData().toByteArray(), again.getData().toByteArray(), what);
    }
  }

  private static void timesGrow(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    long before = 0;
    for (int i = 1; i <= 60; i++) {
      client.batch(client.part(0, Bytes.header(PAGE, i)));
      long now = client.readAt(0, 1, 0).getTimeMillis();
      Expect.that(now > before, "commit " + i + " has time " + now + ", the one before " + before);
      before = now;
    }
  }

  private static void readsAreFresh(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    FileClient reader = client.another();
    for (int i = 1; i <= 20; i++) {
      byte[] page = Bytes.header(PAGE, i);
      if (i % 2 == 0) {
        client.batch(client.part(0, page));
      } else {
        client.write(0, page);
      }
      reader.expectRead(page, 0, PAGE, "a read after commit " + i + " was acknowledged");
    }
  }

  private static void oneSnapshot(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    commitAll(client, 4, 1);
    FileClient reader = client.another();
    byte[] header = Bytes.header(PAGE, 1);
    long time = reader.readAt(0, 100, 0).getTimeMillis();
    commitAll(client, 8, 2);
    byte[] ones = new byte[PAGE];
    Arrays.fill(ones, (byte) 1);
    Expect.bytes(
        ones,
        reader.readAt(2 * PAGE, PAGE, time).getData().toByteArray(),
        "a page at the time of a read before the last commit");
    Expect.equal(
        0,
        reader.readAt(4 * PAGE, PAGE, time).getData().size(),
        "the bytes behind the end that the file had at that time");
    client.truncate(PAGE);
    ReadResponse all = reader.readAt(0, 10_000, time);
    Expect.equal(time, all.getTimeMillis(), "the time of a read at a time");
    Expect.equal(4 * PAGE, all.getData().size(), "the length of the file at that time");
    Expect.bytes(
        header, all.getData().substring(0, PAGE).toByteArray(), "the first page at that time");
  }

  private static void readersNeedNoLease(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.batch(client.part(0, Bytes.header(PAGE, 1)));
    FileClient reader = client.another();
    reader.expectRead(Bytes.header(PAGE, 1), 0, PAGE, "a read without a lease");
    Expect.equal((long) PAGE, reader.size(), "a size without a lease");
  }

  private static void beforeTheFirst(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.batch(client.part(0, Bytes.header(PAGE, 1)));
    StatusRuntimeException unused =
        Expect.refused(
            Set.of(Code.OUT_OF_RANGE),
            "a Read at time_millis 1, long before the database was made",
            () -> client.readAt(0, 100, 1));
  }

  private static void withoutTimes(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.write(0, Bytes.header(PAGE, 1));
    Expect.refused("a Read at time_millis 5", () -> client.readAt(0, 100, 5));
  }
}
