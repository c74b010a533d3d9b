package dev.grpsqlite.e2e;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.grpsqlite.pageclient.Download;
import dev.grpsqlite.pageclient.Endpoint;
import dev.grpsqlite.pageclient.Relay;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.pageclient.Session;
import dev.grpsqlite.pageclient.Session.At;
import dev.grpsqlite.pageclient.Session.Lease;
import dev.grpsqlite.pageclient.Session.Opened;
import dev.grpsqlite.pageclient.Upload;
import io.grpc.Status;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code grpsqlite_relay}, which speaks to servers for commands that are soon over. */
@Timeout(180)
class RelayTest {
  private static final int PAGE_SIZE = 4096;
  private static final int READERS = 3;
  private static final int READS = 50;
  private static final String NOBODY = "http://127.0.0.1:1";

  @TempDir Path folder;

  private static Endpoint endpoint(String url) {
    return new Endpoint(
        url,
        null,
        new Endpoint.Tls(null, null, null),
        Duration.ofMinutes(1),
        Duration.ofMinutes(1));
  }

  private static ServerConnection connect(String url) throws Exception {
    return ServerConnection.through(Relay.start(Dist.relay(), endpoint(url)), endpoint(url));
  }

  private static Lease lease(Session session, Opened database) {
    return session.acquire(database, Duration.ofMinutes(1)).orElseThrow();
  }

  @Test
  void whatIsWrittenThroughItIsReadThroughIt() throws Exception {
    String name = Kind.freshName("relayed");
    int pages = 1500; // more than is read in one message
    byte[] written = new byte[pages * PAGE_SIZE];
    new Random(7).nextBytes(written);
    try (ServerConnection connection = connect(Kind.MEMORY.server().url());
        Session session = Session.open(connection, "test")) {
      Opened database = session.openToWrite(name);
      Upload upload = new Upload(session, lease(session, database), PAGE_SIZE);
      int most = upload.pagesPerMessage();
      for (int first = 0; first < pages; first += most) {
        int count = Math.min(most, pages - first);
        byte[] part = new byte[count * PAGE_SIZE];
        System.arraycopy(written, first * PAGE_SIZE, part, 0, part.length);
        upload.stage(first + 1, count, part);
      }
      assertEquals(1, upload.commit(pages));
      Download download = new Download(session, session.openToRead(name, At.HEAD));
      // Answers of many messages, which come while others of the call are looked at.
      List<CompletableFuture<Void>> readers =
          IntStream.range(0, READERS)
              .mapToObj(
                  reader ->
                      CompletableFuture.runAsync(
                          () -> {
                            for (int i = 0; i < READS; i++) {
                              byte[] read = new byte[written.length];
                              download.read(1, pages, read);
                              assertArrayEquals(written, read);
                            }
                          }))
              .toList();
      for (CompletableFuture<Void> reader : readers) {
        reader.get(2, TimeUnit.MINUTES);
      }
    }
  }

  @Test
  void whatTheServerSaysArrives() throws Exception {
    try (ServerConnection connection = connect(Kind.MEMORY.server().url());
        Session session = Session.open(connection, "test")) {
      RemoteException missing =
          assertThrows(
              RemoteException.class, () -> session.openToRead(Kind.freshName("missing"), At.HEAD));
      assertEquals(Status.Code.NOT_FOUND, missing.code());
      assertEquals("NO_SUCH_DATABASE", missing.reason());
    }
  }

  @Test
  void aCallThatWaitsHoldsUpNoOther() throws Exception {
    try (ServerConnection connection = connect(Kind.MEMORY.server().url());
        Session holder = Session.open(connection, "holder");
        Session waiter = Session.open(connection, "waiter")) {
      String name = Kind.freshName("waited");
      Lease held = lease(holder, holder.openToWrite(name));
      Opened database = waiter.openToWrite(name);
      CompletableFuture<Optional<Lease>> waiting =
          CompletableFuture.supplyAsync(() -> waiter.acquire(database, Duration.ofMinutes(1)));
      for (int i = 0; i < 10; i++) {
        holder.roundTrip();
      }
      assertFalse(waiting.isDone(), "two have the lease");
      holder.release(held);
      assertTrue(waiting.get(1, TimeUnit.MINUTES).isPresent());
    }
  }

  @Test
  void whoIsNotThereIsSaidAndHow() throws Exception {
    try (ServerConnection connection = connect(NOBODY)) {
      RemoteException away =
          assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
      assertEquals(Status.Code.UNAVAILABLE, away.code());
      assertTrue(
          away.getMessage().startsWith("no server at " + NOBODY + " (connection refused)"),
          away::getMessage);
    }
    try (ServerConnection connection = connect("unix:/" + "long".repeat(50))) {
      RemoteException wrong =
          assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
      assertEquals(Relay.BAD_URL, wrong.reason());
    }
  }

  /** Who started it has a lock of that one. */
  @Test
  void anotherFileOfThatNameIsNotSent() throws Exception {
    Path source = Files.write(folder.resolve("a source"), new byte[PAGE_SIZE]);
    try (Program relay = start()) {
      relay.send(
          "upload 7 "
              + ("0123456789abcdef".repeat(2) + " ").repeat(3)
              + "1 4096 1 4194304 1000 1 1 %d %d\n%s%s"
                  .formatted(NOBODY.length(), source.toString().length(), NOBODY, source));
      assertEquals("end 7 2 - " + source + " is another file now", relay.line());
      assertEquals(0, relay.finish().exit());
    }
  }

  private Program start() throws Exception {
    Program relay = new Client(folder, NOBODY).start(Dist.relay().toString());
    assertEquals("ready", relay.line());
    return relay;
  }

  @Test
  void itEndsWithItsInputWhateverIsUnderWay() throws Exception {
    try (ServerSocket silent = new ServerSocket(0, 5, InetAddress.getLoopbackAddress());
        Program relay = start()) {
      String url = "http://127.0.0.1:" + silent.getLocalPort();
      relay.send("call 1 100000 /x/y " + url.length() + " 0\n" + url);
      silent.accept();
      assertEquals(0, relay.finish(Duration.ofMinutes(1)).exit());
    }
  }

  @Test
  void nonsenseEndsIt() throws Exception {
    for (String nonsense :
        new String[] {
          "\n", "call\n", "call 1 1000 /x/y 99999999999 0\n", "upload 1 a b c 1\n", "x".repeat(9999)
        }) {
      try (Program relay = start()) {
        relay.send(nonsense);
        Finished finished = relay.finish(Duration.ofMinutes(1));
        assertEquals(1, finished.exit(), nonsense);
        assertTrue(finished.err().contains("started by grpsqlite alone"), finished::toString);
      }
    }
  }
}
