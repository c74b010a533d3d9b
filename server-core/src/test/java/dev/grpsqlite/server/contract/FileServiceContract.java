package dev.grpsqlite.server.contract;

import static dev.grpsqlite.server.contract.PageServiceContract.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
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
import dev.grpsqlite.proto.file.PragmaResponse;
import dev.grpsqlite.proto.file.ReadRequest;
import dev.grpsqlite.proto.file.ReadResponse;
import dev.grpsqlite.proto.file.TruncateRequest;
import dev.grpsqlite.proto.file.WriteRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseRequest;
import dev.grpsqlite.proto.v1.OpenDatabaseResponse;
import dev.grpsqlite.proto.v1.OpenSessionRequest;
import dev.grpsqlite.proto.v1.PageStoreGrpc;
import dev.grpsqlite.server.launch.ServerOptions;
import dev.grpsqlite.server.spi.PageStore;
import dev.grpsqlite.server.spi.SnapshotPins;
import dev.grpsqlite.server.wire.Pages;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The file service over a store, through a socket, used as its published clients do. */
@Timeout(120)
public abstract class FileServiceContract extends ServedContract {
  private static final String DATABASE = "main.db";
  private static final String JOURNAL = "main.db-journal";

  /** Opens an empty store. */
  protected abstract PageStore open(SnapshotPins pins, Clock clock, Path folder) throws Exception;

  @Override
  final PageStore openStore(SnapshotPins pins, Path in) throws Exception {
    return open(pins, Clock.systemUTC(), in);
  }

  private boolean timeTravel() {
    return store().capabilities().timeTravel();
  }

  private GrpsqliteGrpc.GrpsqliteBlockingStub files() {
    return GrpsqliteGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
  }

  @Test
  void theServerSaysWhatItCan() throws Exception {
    GetCapabilitiesResponse answer =
        files().getCapabilities(GetCapabilitiesRequest.getDefaultInstance());
    assertFalse(answer.getContext().isEmpty());
    assertTrue(answer.getAtomicBatch());
    assertEquals(timeTravel(), answer.getPointInTimeReads());
    assertEquals(4096, answer.getSectorSize());
    assertEquals(TTL_MS / 3, answer.getHeartbeatIntervalMillis());

    restart(ServerOptions.DEFAULTS.withAtomicBatch(false));
    GetCapabilitiesResponse withoutBatches =
        files().getCapabilities(GetCapabilitiesRequest.getDefaultInstance());
    assertFalse(withoutBatches.getAtomicBatch());
    assertFalse(withoutBatches.getPointInTimeReads(), "a version is no transaction there");
    String lease = acquire();
    refused("UNSUPPORTED", Status.Code.UNIMPLEMENTED, () -> batch(lease, write(0, header(512, 1))));
    write(lease, DATABASE, 0, header(512, 1));
    assertEquals(512, size(DATABASE));
    StatusRuntimeException e =
        assertThrows(
            StatusRuntimeException.class,
            () ->
                PageStoreGrpc.newBlockingStub(server().channel)
                    .openSession(OpenSessionRequest.getDefaultInstance()));
    assertEquals(Status.Code.UNIMPLEMENTED, e.getStatus().getCode());
  }

  @Test
  void aBatchIsOneCommitThatThePageServiceShows() {
    String lease = acquire();
    byte[] first = header(1024, 1);
    byte[] third = random(1024, 3);
    batch(lease, write(0, first), write(2048, third));
    assertEquals(3072, size(DATABASE));
    OpenDatabaseResponse database = openByPageService();
    assertEquals(1, database.getSnapshot().getVersion());
    assertEquals(1024, database.getSnapshot().getPageSize());
    assertEquals(3, database.getSnapshot().getPageCount());
    assertEquals(ByteString.copyFrom(first), database.getPages(0).getData());
    assertRead(Arrays.copyOf(first, 100), DATABASE, 0, 100);
    assertRead(Arrays.copyOfRange(first, 24, 40), DATABASE, 24, 16);
    assertRead(new byte[1024], DATABASE, 1024, 1024);
    assertRead(Arrays.copyOfRange(third, 0, 1024), DATABASE, 2048, 1024);
    // Over a page boundary, and over the end.
    byte[] around = new byte[1010];
    System.arraycopy(third, 0, around, 10, 1000);
    assertRead(around, DATABASE, 2038, 1010);
    assertRead(Arrays.copyOfRange(third, 1000, 1024), DATABASE, 3048, 4096);
    assertRead(new byte[0], DATABASE, 3072, 4096);
    assertRead(new byte[0], DATABASE, 1L << 40, 4096);

    byte[] patch = random(7, 9);
    batch(lease, write(2047, patch), write(2050, new byte[] {42}));
    byte[] expected = patch.clone();
    expected[3] = 42;
    assertRead(expected, DATABASE, 2047, 7);
    assertEquals(2, openByPageService().getSnapshot().getVersion());
  }

  @Test
  void theMainFileIsAsBytesWhateverIsWrittenToIt() {
    String lease = acquire();
    long seed = Long.getLong("file.seed", new Random().nextLong());
    System.out.println("random file with -Dfile.seed=" + seed);
    Random random = new Random(seed);
    int pageSize = 512;
    byte[] model = new byte[0];
    for (int i = 0; i < 150; i++) {
      byte[] data;
      int offset;
      // A database begins with its header.
      switch (i == 0 ? 1 : random.nextInt(8)) {
        case 0 -> {
          int newSize = pageSize * random.nextInt(40);
          truncate(lease, newSize);
          model = Arrays.copyOf(model, newSize);
          continue;
        }
        case 1 -> {
          pageSize = 512 << random.nextInt(4);
          offset = 0;
          data = header(pageSize, i);
        }
        case 2 -> {
          offset = random.nextInt(20_000);
          data = random(1 + random.nextInt(5000), i);
        }
        default -> {
          offset = pageSize * random.nextInt(30);
          data = random(pageSize, i);
        }
      }
      if (random.nextBoolean()) {
        write(lease, DATABASE, offset, data);
      } else {
        batch(lease, write(offset, data));
      }
      // The size is always a number of pages.
      int size = Math.max(model.length, offset + data.length);
      model = Arrays.copyOf(model, (size + pageSize - 1) / pageSize * pageSize);
      System.arraycopy(data, 0, model, offset, data.length);
      if (offset == 0) {
        pageSize = pageSizeOf(model, pageSize);
      }
      assertEquals(model.length, size(DATABASE), "after step " + i);
      int from = random.nextInt(model.length);
      int length = random.nextInt(10_000);
      assertRead(
          Arrays.copyOfRange(model, from, Math.min(model.length, from + length)),
          DATABASE,
          from,
          length);
    }
    assertRead(model, DATABASE, 0, model.length);
  }

  /** A header that was patched over may say another page size, or none. */
  private static int pageSizeOf(byte[] file, int before) {
    boolean magic =
        new String(file, 0, 16, StandardCharsets.ISO_8859_1).equals("SQLite format 3\0");
    return magic ? (file[16] & 0xff) << 8 | (file[17] & 0xff) : before;
  }

  @Test
  void aLargerPageSizeThanAMessageHoldsIsCutAnew() {
    String lease = acquire();
    int pages = 6000;
    for (int i = 0; i < pages; i += 2000) {
      write(lease, DATABASE, i * 512L, i == 0 ? bigHeader(2000) : random(2000 * 512, i));
    }
    byte[] before = read(DATABASE, 1_000_000, 3000);
    write(lease, DATABASE, 0, header(65_536, 5));
    assertEquals((pages * 512L + 65_535) / 65_536 * 65_536, size(DATABASE));
    assertRead(before, DATABASE, 1_000_000, 3000);
    write(lease, DATABASE, 0, header(512, 6));
    assertRead(before, DATABASE, 1_000_000, 3000);
    assertEquals(512, openByPageService().getSnapshot().getPageSize());
  }

  private static byte[] bigHeader(int pages) {
    byte[] data = random(pages * 512, 1);
    System.arraycopy(header(512, 1), 0, data, 0, 512);
    return data;
  }

  @Test
  void otherFilesAreBytesOfTheirOwn() {
    String lease = acquire();
    write(lease, DATABASE, 0, header(512, 1));
    write(lease, JOURNAL, 3, bytes("journal"));
    assertRead(bytes("\0\0\0journal"), JOURNAL, 0, 100);
    assertEquals(10, size(JOURNAL));
    assertEquals(512, size(DATABASE));
    assertEquals(0, size("main.db-wal"));
    assertRead(bytes("rnal"), "/some/where/main.db-journal", 6, 100);
    assertEquals(512, size("./main.db"));
    files()
        .truncate(
            TruncateRequest.newBuilder()
                .setLeaseId(lease)
                .setDatabase(DATABASE)
                .setFileName(JOURNAL)
                .setSize(5)
                .build());
    assertRead(bytes("\0\0\0jo"), JOURNAL, 0, 100);
    DeleteRequest delete =
        DeleteRequest.newBuilder()
            .setLeaseId(lease)
            .setDatabase(DATABASE)
            .setFileName(JOURNAL)
            .build();
    files().delete(delete);
    files().delete(delete);
    assertEquals(0, size(JOURNAL));
    assertEquals(1, openByPageService().getSnapshot().getVersion());
    refused(
        "INVALID_REQUEST",
        Status.Code.INVALID_ARGUMENT,
        () ->
            files()
                .atomicWriteBatch(
                    AtomicWriteBatchRequest.newBuilder()
                        .setLeaseId(lease)
                        .setDatabase(DATABASE)
                        .setFileName(JOURNAL)
                        .build()));
  }

  @Test
  void p3_aLeaseIsHeldByOneWhoKeepsItAlive() {
    String first = acquire();
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, this::acquire);
    server().pass(TTL_MS - 1);
    heartbeat(first);
    server().pass(TTL_MS - 1);
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, this::acquire);
    write(first, DATABASE, 0, header(512, 1)); // Renews as well.
    server().pass(TTL_MS - 1);
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, this::acquire);
    server().pass(1);
    String second = acquire();
    assertNotEquals(first, second);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> heartbeat(first));
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> write(first, DATABASE, 0, header(512, 2)));
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> write(first, JOURNAL, 0, bytes("late")));
    write(second, DATABASE, 0, header(512, 3));
    assertRead(header(512, 3), DATABASE, 0, 512);
  }

  @Test
  void closingTheMainFileReleasesTheLease() {
    String first = acquire();
    close(first, JOURNAL);
    heartbeat(first);
    close(first, DATABASE);
    close(first, DATABASE);
    close("", DATABASE);
    close("nonsense", DATABASE);
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> heartbeat(first));
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> write(first, DATABASE, 0, header(512, 2)));
    close(acquire(), "folder/main.db");
    acquire();
  }

  @Test
  void afterARestartALeaseGoesOn() throws Exception {
    String lease = acquire();
    write(lease, DATABASE, 0, header(512, 1));
    restart(ServerOptions.DEFAULTS);
    heartbeat(lease);
    refused("LEASE_HELD", Status.Code.FAILED_PRECONDITION, this::acquire);
    write(lease, DATABASE, 0, header(512, 2));
    restart(ServerOptions.DEFAULTS);
    server().pass(TTL_MS + 1);
    String other = acquire();
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> heartbeat(lease));
    restart(ServerOptions.DEFAULTS);
    close(other, DATABASE);
    acquire();
  }

  @Test
  void readingNeedsNoLeaseAndWritingDoes() {
    assertRead(new byte[0], DATABASE, 0, 100);
    assertEquals(0, size(DATABASE));
    refused(
        "NO_SUCH_DATABASE", Status.Code.NOT_FOUND, () -> write("", DATABASE, 0, header(512, 1)));
    String lease = acquire();
    assertEquals(0, size(DATABASE));
    write(lease, DATABASE, 0, header(512, 1));
    assertRead(header(512, 1), DATABASE, 0, 512);
    for (String wrong : List.of("", "x", "0".repeat(80), lease.substring(2), lease + "00")) {
      refused(
          "LEASE_LOST",
          Status.Code.FAILED_PRECONDITION,
          () -> write(wrong, DATABASE, 0, header(512, 2)));
    }
    refused("NO_SUCH_SESSION", Status.Code.NOT_FOUND, () -> heartbeat("x"));
    String ofAnother =
        files()
            .acquireLease(AcquireLeaseRequest.newBuilder().setDatabase("other").build())
            .getLeaseId();
    refused(
        "LEASE_LOST",
        Status.Code.FAILED_PRECONDITION,
        () -> write(ofAnother, DATABASE, 0, header(512, 2)));
  }

  @Test
  void aCopyThatIsRightIsNotSentAgain() {
    String lease = acquire();
    byte[] page = header(512, 1);
    write(lease, DATABASE, 0, page);
    ReadRequest request =
        ReadRequest.newBuilder()
            .setDatabase(DATABASE)
            .setFileName(DATABASE)
            .setOffset(100)
            .setLength(200)
            .build();
    long checksum = Pages.checksum(page, 100, 200);
    ReadResponse full = files().read(request);
    assertEquals(checksum, full.getChecksum());
    ReadResponse same = files().read(request.toBuilder().setChecksum(checksum).build());
    assertTrue(same.getData().isEmpty());
    assertEquals(checksum, same.getChecksum());
    ReadResponse other = files().read(request.toBuilder().setChecksum(checksum + 1).build());
    assertEquals(full, other);
  }

  @Test
  void p9_badFieldsAreRefused() {
    String lease = acquire();
    write(lease, DATABASE, 0, header(512, 1));
    WriteRequest wrong =
        WriteRequest.newBuilder()
            .setLeaseId(lease)
            .setDatabase(DATABASE)
            .setFileName(DATABASE)
            .setData(ByteString.copyFromUtf8("x"))
            .setChecksum(1)
            .build();
    refused("CHECKSUM_MISMATCH", Status.Code.DATA_LOSS, () -> files().write(wrong));
    for (long offset : new long[] {-1, Long.MIN_VALUE, Long.MAX_VALUE, 1L << 49}) {
      refused(
          "INVALID_REQUEST",
          Status.Code.INVALID_ARGUMENT,
          () -> write(lease, DATABASE, offset, new byte[1]));
      refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> read(DATABASE, offset, 1));
      refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> truncate(lease, offset));
    }
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> read(DATABASE, 0, -1));
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> read(DATABASE, 0, 1 << 30));
    refused("LIMIT", Status.Code.RESOURCE_EXHAUSTED, () -> truncate(lease, 1L << 47));
    refused(
        "LIMIT",
        Status.Code.RESOURCE_EXHAUSTED,
        () -> write(lease, DATABASE, 1L << 40, new byte[1]));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> read("", 0, 1));
    refused("INVALID_NAME", Status.Code.INVALID_ARGUMENT, () -> read("a/", 0, 1));
    refused(
        "INVALID_NAME",
        Status.Code.INVALID_ARGUMENT,
        () -> files().acquireLease(AcquireLeaseRequest.getDefaultInstance()));
    refused("INVALID_REQUEST", Status.Code.INVALID_ARGUMENT, () -> readAt(-1));
    if (!timeTravel()) {
      refused("UNSUPPORTED", Status.Code.UNIMPLEMENTED, () -> readAt(5));
      assertEquals(0, readAt(0).getTimeMillis());
    }
    assertRead(header(512, 1), DATABASE, 0, 512);
    assertEquals(512, size(DATABASE));
  }

  @Test
  void aBigGapIsZeros() {
    String lease = acquire();
    write(lease, DATABASE, 0, header(512, 1));
    int pages = 150_000;
    write(lease, DATABASE, (pages - 1) * 512L, random(512, 2));
    assertEquals(pages * 512L, size(DATABASE));
    assertRead(new byte[5000], DATABASE, 40_000_000, 5000);
    assertRead(random(512, 2), DATABASE, (pages - 1) * 512L, 1000);
  }

  @Test
  void sqlitesPragmasAreNotTheServers() {
    StatusRuntimeException e =
        assertThrows(StatusRuntimeException.class, () -> pragma("cache_size", "1"));
    assertEquals(Status.Code.NOT_FOUND, e.getStatus().getCode());
  }

  @Test
  void aPragmaThatTheStoreCannotDoIsAnErrorAndNotSilence() {
    acquire();
    if (!store().capabilities().fork()) {
      refused(
          "UNSUPPORTED",
          Status.Code.FAILED_PRECONDITION,
          () -> pragma("grpsqlite_fork", "another"));
    }
    if (!timeTravel()) {
      refused(
          "UNSUPPORTED", Status.Code.FAILED_PRECONDITION, () -> pragma("grpsqlite_restore", "0"));
    }
  }

  private PragmaResponse pragma(String name, String value) {
    return files()
        .pragma(
            PragmaRequest.newBuilder()
                .setDatabase(DATABASE)
                .setFileName(DATABASE)
                .setPragmaName(name)
                .setPragmaValue(value)
                .build());
  }

  private ReadResponse readAt(long timeMillis) {
    return files()
        .read(
            ReadRequest.newBuilder()
                .setDatabase(DATABASE)
                .setFileName(DATABASE)
                .setTimeMillis(timeMillis)
                .build());
  }

  // ---- Means

  private String acquire() {
    return files()
        .acquireLease(AcquireLeaseRequest.newBuilder().setDatabase(DATABASE).build())
        .getLeaseId();
  }

  private void heartbeat(String lease) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files().heartbeatLease(HeartbeatLeaseRequest.newBuilder().setLeaseId(lease).build()));
  }

  private void close(String lease, String file) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files().close(CloseRequest.newBuilder().setLeaseId(lease).setFileName(file).build()));
  }

  private void write(String lease, String file, long offset, byte[] data) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files()
            .write(
                WriteRequest.newBuilder()
                    .setLeaseId(lease)
                    .setDatabase(DATABASE)
                    .setFileName(file)
                    .setOffset(offset)
                    .setData(ByteString.copyFrom(data))
                    .setChecksum(Pages.checksum(data, 0, data.length))
                    .build()));
  }

  private static AtomicWrite write(long offset, byte[] data) {
    return AtomicWrite.newBuilder().setOffset(offset).setData(ByteString.copyFrom(data)).build();
  }

  private void batch(String lease, AtomicWrite... writes) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files()
            .atomicWriteBatch(
                AtomicWriteBatchRequest.newBuilder()
                    .setLeaseId(lease)
                    .setDatabase(DATABASE)
                    .setFileName(DATABASE)
                    .addAllWrites(List.of(writes))
                    .build()));
  }

  private void truncate(String lease, long size) {
    assertEquals(
        com.google.protobuf.Empty.getDefaultInstance(),
        files()
            .truncate(
                TruncateRequest.newBuilder()
                    .setLeaseId(lease)
                    .setDatabase(DATABASE)
                    .setFileName(DATABASE)
                    .setSize(size)
                    .build()));
  }

  private byte[] read(String file, long offset, long length) {
    return files()
        .read(
            ReadRequest.newBuilder()
                .setDatabase(DATABASE)
                .setFileName(file)
                .setOffset(offset)
                .setLength(length)
                .build())
        .getData()
        .toByteArray();
  }

  private void assertRead(byte[] expected, String file, long offset, long length) {
    org.junit.jupiter.api.Assertions.assertArrayEquals(expected, read(file, offset, length));
  }

  private long size(String file) {
    return files()
        .getFileSize(
            GetFileSizeRequest.newBuilder().setDatabase(DATABASE).setFileName(file).build())
        .getSize();
  }

  private OpenDatabaseResponse openByPageService() {
    PageStoreGrpc.PageStoreBlockingStub pages =
        PageStoreGrpc.newBlockingStub(server().channel).withDeadlineAfter(Duration.ofMinutes(1));
    ByteString session = ByteString.copyFrom(new byte[16]);
    assertNotEquals(
        0,
        pages
            .openSession(OpenSessionRequest.newBuilder().setSessionId(session).build())
            .getTtlMs());
    return pages.openDatabase(
        OpenDatabaseRequest.newBuilder().setSessionId(session).setName(DATABASE).build());
  }

  /** One page that begins as SQLite's databases do. */
  private static byte[] header(int pageSize, long seed) {
    byte[] page = random(pageSize, seed);
    System.arraycopy(bytes("SQLite format 3\0"), 0, page, 0, 16);
    int coded = pageSize == 65_536 ? 1 : pageSize;
    page[16] = (byte) (coded >> 8);
    page[17] = (byte) coded;
    return page;
  }

  private static byte[] random(int length, long seed) {
    byte[] bytes = new byte[length];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
